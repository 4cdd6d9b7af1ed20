//! Where an environment stands, and how each event changes it. Pure.
//!
//! # Expected flow
//!
//! ```text
//! promoted ──(no target)──────────────────────────────▶ Healthy
//!    └─(rollout)─▶ Admitted ─ rollout-started ─▶ Started ─ healthy ─▶ Healthy
//!                     │                            │ ├─ held ─▶ Held ─ taken-over ─▶ Started
//!                     │                            │ └─ taken-over ─▶ Started
//!                     └────────── aborted ─────────┴─ rolled-back ─▶ what ran before
//! ```
//!
//! `rekeyed` takes releases off the list of ways back that its signer does not vouch for, and nothing else; it can follow wherever
//! nothing is under way.
//!
//! # Guarantees
//!
//! One unfinished rollout at most. Only a release with a Healthy verdict here is a way back. A rollback is never rolled back: a
//! rollout that *is* a rollback ends Healthy or in `rollback-failed`, and going back once takes the release one left off the
//! list of ways back.

use schleuse_model::{Release, Timestamp};
use serde::{Deserialize, Serialize};

use crate::entry::{Event, RunId};

/// How many proven-good releases are remembered. Enough to go back further than anybody has wanted to, small enough that an
/// entry stays a few KiB.
const GOOD_LIMIT: usize = 8;
/// How many failed marks are remembered; the oldest are forgotten first, the journal itself keeps them all.
const FAILED_LIMIT: usize = 16;

const UNFINISHED: &str = "no rollout of this release is unfinished";

/// What is known of the release in its place.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "is", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Standing {
    /// Admitted, not judged yet.
    Pending,
    /// Judged healthy, or placed where nothing is rolled out.
    Healthy,
    /// Could not be judged.
    Held {
        /// Why.
        reason: String,
    },
    /// Neither it nor what was before it answers.
    RollbackFailed {
        /// Why.
        reason: String,
    },
}

/// A release in an environment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Placed {
    /// Which.
    pub release: Release,
    /// The entry that admitted it.
    pub sequence: u64,
    /// What is known of it.
    pub standing: Standing,
    /// Since when it stands so.
    pub since: Timestamp,
}

impl Placed {
    /// Whether it is judged healthy.
    pub fn is_healthy(&self) -> bool {
        self.standing == Standing::Healthy
    }
}

/// How far an unfinished rollout is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "is", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Phase {
    /// Nothing visible has changed.
    Admitted,
    /// Something visible may have changed.
    Started {
        /// The target's receipt.
        receipt: serde_json::Value,
        /// When it must be decided.
        deadline: Timestamp,
    },
    /// Could not be judged; waits for a person.
    Held {
        /// The target's receipt.
        receipt: serde_json::Value,
    },
}

/// A rollout that has not ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rollout {
    /// Who runs it.
    pub run: RunId,
    /// Whether it is itself a rollback: then there is no way back from it.
    pub rollback: bool,
    /// How far it is.
    pub phase: Phase,
    /// What stood here before, to return to.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub before: Option<Placed>,
    /// What stood here instead, if going back had failed: given up before anything changed, the rollout leaves it so. Saying
    /// that `before` runs there again would be a guess.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub displaced: Option<Placed>,
}

/// This release failed in this environment. Trying again is allowed, and recorded.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FailedMark {
    /// Which.
    pub release: Release,
    /// Why, one line.
    pub reason: String,
    /// When.
    pub at: Timestamp,
}

/// Where an environment stands.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct State {
    /// What it runs, or is to run.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub current: Option<Placed>,
    /// Releases with a Healthy verdict here, oldest first, the current one included once it has its verdict.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub good: Vec<Placed>,
    /// The unfinished rollout.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub rollout: Option<Rollout>,
    /// Releases that failed here, oldest first.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub failed: Vec<FailedMark>,
}

/// An event that cannot happen in this state.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{event}` cannot follow here: {why}")]
pub struct IllegalTransition {
    event: &'static str,
    why: &'static str,
}

/// What [`State::after`] needs to know beside the event.
#[derive(Clone, Copy, Debug)]
pub struct Step<'a> {
    /// What happened.
    pub event: &'a Event,
    /// To which release.
    pub release: &'a Release,
    /// Which run.
    pub run: &'a RunId,
    /// The entry's sequence.
    pub sequence: u64,
    /// The entry's time.
    pub at: Timestamp,
}

impl State {
    /// The release to go back to: the newest proven-good one that is not the current one.
    pub fn way_back(&self) -> Option<&Placed> {
        let current = self.current.as_ref().map(|placed| &placed.release.digest);
        self.good.iter().rev().find(|placed| Some(&placed.release.digest) != current)
    }

    /// The failed mark of `release`, if it has one.
    pub fn failed_mark(&self, release: &Release) -> Option<&FailedMark> {
        self.failed.iter().rev().find(|mark| mark.release.digest == release.digest)
    }

    /// The state after `step`.
    ///
    /// # Errors
    /// [`IllegalTransition`] if the event cannot happen here. A journal with such an entry is not trusted.
    pub fn after(&self, step: Step<'_>) -> Result<Self, IllegalTransition> {
        let refuse = |why| IllegalTransition { event: step.event.name(), why };
        let mut next = self.clone();
        match step.event {
            Event::Promoted { rollout, .. } => {
                if self.rollout.is_some() {
                    return Err(refuse("a rollout is unfinished"));
                }
                next.place(step, *rollout, false);
            }
            Event::Rollback { rollout, .. } => {
                // The whole release, not its digest alone: the names that people read come with it.
                let good = self.good.iter().any(|placed| placed.release == *step.release);
                if !good {
                    return Err(refuse("the release has no healthy verdict in this environment"));
                }
                next.leave_current(step);
                next.place(step, *rollout, true);
            }
            Event::RolloutStarted { receipt, deadline } => {
                let rollout = next.own_rollout(step).map_err(refuse)?;
                if rollout.phase != Phase::Admitted {
                    return Err(refuse("the rollout has already started"));
                }
                rollout.phase = Phase::Started { receipt: receipt.clone(), deadline: *deadline };
            }
            Event::TakenOver { from, deadline } => {
                let rollout = next.unfinished(step).ok_or(refuse(UNFINISHED))?;
                if rollout.run != *from {
                    return Err(refuse("another run has it"));
                }
                rollout.run = step.run.clone();
                if let Phase::Started { receipt, .. } | Phase::Held { receipt } = &rollout.phase {
                    rollout.phase = Phase::Started { receipt: receipt.clone(), deadline: *deadline };
                }
                next.stand(Standing::Pending, step.at);
            }
            Event::Healthy { .. } => {
                next.started(step).map_err(refuse)?;
                next.stand(Standing::Healthy, step.at);
                next.rollout = None;
                next.remember_good();
            }
            Event::Held { reason } => {
                let receipt = next.started(step).map_err(refuse)?;
                next.stand(Standing::Held { reason: reason.clone() }, step.at);
                if let Some(rollout) = &mut next.rollout {
                    rollout.phase = Phase::Held { receipt };
                }
            }
            Event::RolledBack { reason, .. } => {
                if next.own_rollout(step).map_err(refuse)?.rollback {
                    return Err(refuse("a rollback is never rolled back"));
                }
                next.mark_failed(step.release, reason, step.at);
                next.current = next.rollout.take().and_then(|rollout| rollout.before);
            }
            Event::RollbackFailed { reason } => {
                let rollback = next.own_rollout(step).map_err(refuse)?.rollback;
                if !rollback {
                    next.mark_failed(step.release, reason, step.at);
                }
                next.stand(Standing::RollbackFailed { reason: reason.clone() }, step.at);
                next.rollout = None;
            }
            Event::Aborted { .. } => {
                next.own_rollout(step).map_err(refuse)?;
                next.current = next.rollout.take().and_then(|rollout| rollout.displaced.or(rollout.before));
            }
            // Who adopts a journal says that it stands as it says: that cannot be said of what is under way.
            Event::Rekeyed { .. } if self.rollout.is_some() => return Err(refuse("a rollout is unfinished")),
            Event::Rekeyed { without, .. } => {
                next.good.retain(|placed| !without.contains(&placed.release.digest));
            }
        }
        Ok(next)
    }

    /// Puts the release in its place, before any verdict.
    fn place(&mut self, step: Step<'_>, rollout: bool, rollback: bool) {
        let standing = if rollout { Standing::Pending } else { Standing::Healthy };
        let placed = Placed { release: step.release.clone(), sequence: step.sequence, standing, since: step.at };
        let before = self.current.replace(placed);
        if rollout {
            // A place in which nothing was ever judged good is none to return to.
            let failed = |placed: &Placed| matches!(placed.standing, Standing::RollbackFailed { .. });
            let displaced = before.clone().filter(failed);
            let before = before.filter(Placed::is_healthy).or_else(|| self.way_back().cloned());
            self.rollout = Some(Rollout { run: step.run.clone(), rollback, phase: Phase::Admitted, before, displaced });
        } else {
            self.rollout = None;
            self.remember_good();
        }
    }

    /// Going back takes what one leaves off the list of ways back, and marks it failed if it was never judged good.
    fn leave_current(&mut self, step: Step<'_>) {
        let Some(current) = self.current.clone() else { return };
        if current.release.digest == step.release.digest {
            return;
        }
        self.good.retain(|placed| placed.release.digest != current.release.digest);
        if self.rollout.take().is_some() {
            self.mark_failed(&current.release, "left for an older release while it was rolled out", step.at);
        }
    }

    /// The unfinished rollout, if it is of this step's release.
    fn unfinished(&mut self, step: Step<'_>) -> Option<&mut Rollout> {
        let current = self.current.as_ref()?;
        if current.release.digest == step.release.digest { self.rollout.as_mut() } else { None }
    }

    /// The same, if this step's run has it.
    fn own_rollout(&mut self, step: Step<'_>) -> Result<&mut Rollout, &'static str> {
        let rollout = self.unfinished(step).ok_or(UNFINISHED)?;
        if rollout.run == *step.run { Ok(rollout) } else { Err("another run has taken the rollout over") }
    }

    /// The receipt of this step's rollout, if it has started.
    fn started(&mut self, step: Step<'_>) -> Result<serde_json::Value, &'static str> {
        match &self.own_rollout(step)?.phase {
            Phase::Started { receipt, .. } => Ok(receipt.clone()),
            _ => Err("the rollout has not started"),
        }
    }

    fn stand(&mut self, standing: Standing, at: Timestamp) {
        if let Some(current) = &mut self.current {
            current.standing = standing;
            current.since = at;
        }
    }

    fn remember_good(&mut self) {
        let Some(current) = self.current.clone() else { return };
        self.failed.retain(|mark| mark.release.digest != current.release.digest);
        self.good.retain(|placed| placed.release.digest != current.release.digest);
        self.good.push(current);
        let surplus = self.good.len().saturating_sub(GOOD_LIMIT);
        self.good.drain(..surplus);
    }

    fn mark_failed(&mut self, release: &Release, reason: &str, at: Timestamp) {
        self.failed.retain(|mark| mark.release.digest != release.digest);
        self.failed.push(FailedMark { release: release.clone(), reason: reason.to_owned(), at });
        let surplus = self.failed.len().saturating_sub(FAILED_LIMIT);
        self.failed.drain(..surplus);
    }
}

#[cfg(test)]
mod tests;
