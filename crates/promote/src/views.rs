//! What people ask of the journal: where do we stand, why, and what happened. Pure over verified entries; the structs are the
//! JSON (`json-v1`).

use schleuse_journal::{Placed, Standing, State, VerifiedEntry};
use schleuse_model::{EnvironmentName, Release, Timestamp};
use serde::Serialize;

/// One rung of `schleuse status`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct StatusRow {
    /// The environment.
    pub environment: EnvironmentName,
    /// What it runs, or is to run.
    pub release: Option<Release>,
    /// Since when it stands so.
    pub since: Option<Timestamp>,
    /// How it stands.
    pub verdict: Verdict,
    /// Why, where that says more.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// What is next.
    pub next: Next,
    /// The journal's newest entry; 0: none.
    pub head: u64,
    /// How far back the entries were verified for this answer.
    pub verified_to: u64,
}

/// How a release stands, as one word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// Nothing runs there.
    Empty,
    /// Judged healthy.
    Healthy,
    /// A rollout is unfinished.
    RollingOut,
    /// Waits for a person.
    Held,
    /// A human is needed now.
    RollbackFailed,
    /// Went back, and the journal has not been told yet.
    Unrecorded,
}

impl Verdict {
    /// The word.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Empty => "empty",
            Self::Healthy => "healthy",
            Self::RollingOut => "rolling out",
            Self::Held => "held",
            Self::RollbackFailed => "ROLLBACK FAILED",
            Self::Unrecorded => "unrecorded",
        }
    }
}

/// What is next for a rung.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "is", rename_all = "kebab-case")]
pub enum Next {
    /// Nothing waits below.
    Nothing,
    /// The rung before has this release, and it is healthy there.
    Ready {
        /// Which.
        release: Release,
    },
    /// The rung before has this release, and it failed here.
    FailedHere {
        /// Which.
        release: Release,
        /// When.
        at: Timestamp,
        /// Why.
        reason: String,
    },
    /// An unfinished rollout or an untold way back: `schleuse resume`.
    Resume,
}

/// One rung, from its head, the head of the rung before, and whether the target has an untold way back.
pub fn status_row(
    environment: &EnvironmentName,
    head: Option<&VerifiedEntry>,
    before: Option<&VerifiedEntry>,
    unrecorded: bool,
    verified_to: u64,
) -> StatusRow {
    let state = head.map(|head| &head.entry().state);
    let current = state.and_then(|state| state.current.as_ref());
    let (verdict, reason) = if unrecorded { (Verdict::Unrecorded, None) } else { verdict(state, current) };
    let next = if unrecorded || verdict == Verdict::RollingOut { Next::Resume } else { next(state, current, before) };
    StatusRow {
        environment: environment.clone(),
        release: current.map(|placed| placed.release.clone()),
        since: current.map(|placed| placed.since),
        verdict,
        reason,
        next,
        head: head.map_or(0, |head| head.entry().sequence),
        verified_to,
    }
}

fn verdict(state: Option<&State>, current: Option<&Placed>) -> (Verdict, Option<String>) {
    let Some(current) = current else { return (Verdict::Empty, None) };
    match &current.standing {
        Standing::Held { reason } => (Verdict::Held, Some(reason.clone())),
        Standing::RollbackFailed { reason } => (Verdict::RollbackFailed, Some(reason.clone())),
        _ if state.is_some_and(|state| state.rollout.is_some()) => (Verdict::RollingOut, None),
        Standing::Healthy => (Verdict::Healthy, None),
        Standing::Pending => (Verdict::RollingOut, None),
    }
}

fn next(state: Option<&State>, current: Option<&Placed>, before: Option<&VerifiedEntry>) -> Next {
    let newest = before.and_then(|before| before.entry().state.current.as_ref()).filter(|placed| placed.is_healthy());
    let here = current.map(|placed| &placed.release.digest);
    match newest {
        Some(newest) if Some(&newest.release.digest) != here => {
            match state.and_then(|state| state.failed_mark(&newest.release)) {
                Some(mark) => {
                    Next::FailedHere { release: mark.release.clone(), at: mark.at, reason: mark.reason.clone() }
                }
                None => Next::Ready { release: newest.release.clone() },
            }
        }
        // The rung before may itself run something older by now; what failed here last is still worth saying.
        _ => match state.and_then(|state| state.failed.last()) {
            Some(mark) if newest.is_none() => {
                Next::FailedHere { release: mark.release.clone(), at: mark.at, reason: mark.reason.clone() }
            }
            _ => Next::Nothing,
        },
    }
}

/// `schleuse why`: what runs there, why it was allowed, and how to get back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Why {
    /// The environment.
    pub environment: EnvironmentName,
    /// The image's repository.
    pub image: String,
    /// What runs there.
    pub release: Release,
    /// The entry that admitted it.
    pub sequence: u64,
    /// When it was admitted.
    pub admitted: Timestamp,
    /// By whom.
    pub actor: String,
    /// From which rung; none: the first, or a way back.
    pub from: Option<EnvironmentName>,
    /// `promoted` or `rollback`.
    pub event: &'static str,
    /// The reason that a person gave.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The plan's hash.
    pub plan: Option<String>,
    /// How many pieces of evidence the entry relies on.
    pub evidence: Vec<String>,
    /// The key that signed the entry.
    pub signer: String,
    /// How it stands, and since when.
    pub verdict: Verdict,
    /// Since when.
    pub since: Timestamp,
    /// Where one would go back to.
    pub way_back: Option<Release>,
    /// What is next.
    pub next: Next,
}

/// From the head and the entry that admitted what runs. `None`: nothing runs there.
pub fn why(head: &VerifiedEntry, admitting: &VerifiedEntry, before: Option<&VerifiedEntry>) -> Option<Why> {
    let state = &head.entry().state;
    let current = state.current.as_ref()?;
    let entry = admitting.entry();
    let (from, reason) = match &entry.event {
        schleuse_journal::Event::Promoted { from, .. } => (from.clone(), None),
        schleuse_journal::Event::Rollback { reason, .. } => (None, reason.clone()),
        _ => (None, None),
    };
    Some(Why {
        environment: entry.environment.clone(),
        image: entry.image.to_string(),
        release: current.release.clone(),
        sequence: entry.sequence,
        admitted: entry.at,
        actor: entry.actor.to_string(),
        from,
        event: entry.event.name(),
        reason,
        plan: entry.plan.as_ref().map(ToString::to_string),
        evidence: entry.evidence.iter().map(ToString::to_string).collect(),
        signer: admitting.signer().to_owned(),
        verdict: verdict(Some(state), Some(current)).0,
        since: current.since,
        way_back: state.way_back().map(|placed| placed.release.clone()),
        next: next(Some(state), Some(current), before),
    })
}

/// One line of `schleuse history`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct HistoryRow {
    /// The place in the journal.
    pub sequence: u64,
    /// When.
    pub at: Timestamp,
    /// What happened.
    pub event: &'static str,
    /// To which release.
    pub release: Release,
    /// What more the event says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// Who.
    pub actor: String,
    /// The entry's digest.
    pub digest: String,
}

/// One entry as a line.
pub fn history_row(entry: &VerifiedEntry) -> HistoryRow {
    use schleuse_journal::Event;
    let written = entry.entry();
    let detail = match &written.event {
        Event::Promoted { from, .. } => from.as_ref().map(|from| format!("from {from}")),
        Event::Rollback { reason, .. } => reason.clone(),
        Event::RolloutStarted { deadline, .. } => Some(format!("to be decided by {deadline}")),
        Event::TakenOver { from, .. } => {
            Some(format!("from run {}", from.as_str().chars().take(8).collect::<String>()))
        }
        Event::Healthy { probes, good } => Some(format!("{good} of {probes} probes good")),
        Event::Held { reason } | Event::RollbackFailed { reason } | Event::Aborted { reason } => Some(reason.clone()),
        Event::RolledBack { reason, .. } => Some(reason.clone()),
        Event::Rekeyed { reason, .. } => Some(reason.clone().unwrap_or_else(|| format!("by {}", entry.signer()))),
    };
    HistoryRow {
        sequence: written.sequence,
        at: written.at,
        event: written.event.name(),
        release: written.release.clone(),
        detail,
        actor: written.actor.to_string(),
        digest: entry.digest().to_string(),
    }
}
