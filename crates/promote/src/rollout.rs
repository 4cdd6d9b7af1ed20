//! The rollout as a pure machine: it is told what happened and says what to do next. No I/O, no clock, no runtime.
//!
//! # Expected flow
//!
//! ```text
//! Prepare ─ RecordStart ─ Apply ─ Probe … (first good probe: Switch) … Probe ─▶ RecordHealthy ─ Settle ─▶ Promoted
//!    │                      │        ├─ inconclusive ─▶ RecordHeld ─▶ Held
//!    │                      │        └─ unhealthy ─ Intend ─ Restore ─ ProbeRestored ─▶ RecordRolledBack ─▶ RolledBack
//!    └──── RecordAborted ◀──┴ the target's own trouble                 └─ no answer ─▶ RecordFailed ─▶ RollbackFailed
//! ```
//!
//! # Guarantees
//!
//! One way back per rollout: after `Restore` only recording follows. A rollout that is itself a rollback never restores.
//! Nothing is switched before a good probe of the new release. The journaled deadline is looked at before anything else: when
//! it has passed while watching, the rollout is inconclusive, whatever the probes say.

mod drive;

use std::time::Duration;

use schleuse_health::{Analysis, Outcome as Seen, ProcessEnd, Sample, Settings, Verdict};
use schleuse_journal::{Event, Phase, Rollout};
use schleuse_model::Timestamp;

pub(crate) use drive::{deadline_from, drive, restored_answers};

/// What is to be done next.
#[derive(Clone, Debug, PartialEq)]
pub enum Step {
    /// `Target::prepare`.
    Prepare,
    /// Append this event to the journal; nothing else may happen before it is there.
    Record(Event),
    /// `Target::apply`.
    Apply,
    /// `Target::switch`.
    Switch,
    /// Wait until then, look whether the process lives, probe the new instance.
    Probe {
        /// Not before this time.
        at: Timestamp,
    },
    /// Write the signed intent to go back beside the receipt.
    Intend {
        /// Why.
        reason: String,
    },
    /// `Target::restore`.
    Restore,
    /// Probe what was restored, until it answers or the target's patience ends.
    ProbeRestored,
    /// `Target::settle`.
    Settle,
    /// Over.
    Done(Ending),
}

/// How a rollout ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ending {
    /// Judged healthy.
    Healthy,
    /// Could not be judged.
    Held(String),
    /// Back at what was before.
    RolledBack(String),
    /// Nothing answers.
    Failed(String),
    /// Given up before anything visible changed.
    Aborted(String),
}

/// What happened.
#[derive(Clone, Debug, PartialEq)]
pub enum Fact {
    /// The target is prepared; its receipt.
    Prepared(serde_json::Value),
    /// The event is in the journal; or, on the way back only, it could not be told.
    Recorded,
    /// The new instance runs beside the old.
    Applied,
    /// Traffic goes to the new instance.
    Switched,
    /// A probe was made.
    Probed(Sample),
    /// The process ended by itself.
    Exited {
        /// When it was noticed.
        at: Timestamp,
        /// How.
        how: ProcessEnd,
    },
    /// The intent is on disk, or could not be written (going back matters more).
    Intended,
    /// Traffic goes to the old instance.
    Restored,
    /// Whether the restored release answers.
    RestoredAnswers(Result<(), String>),
    /// The old instance is gone.
    Settled,
    /// The target could not do the step: its own trouble, after all retries.
    TargetFailed(String),
}

#[derive(Clone, Debug)]
enum At {
    Prepare,
    RecordStart { receipt: serde_json::Value },
    Apply,
    Switch(Box<Analysis>),
    Watch(Box<Analysis>),
    RecordHealthy,
    Settle,
    RecordHeld(String),
    Intend(String),
    Restore(String),
    ProbeRestored(String),
    RecordRolledBack { reason: String, done: Timestamp },
    RecordFailed(String),
    RestoreToAbort(String),
    RecordAborted(String),
    Done(Ending),
}

/// One rollout.
#[derive(Clone, Debug)]
pub struct RolloutMachine {
    settings: Settings,
    /// It is itself a rollback.
    rollback: bool,
    /// There is something to return to.
    before: bool,
    deadline: Timestamp,
    switched: bool,
    probes: u32,
    good: u32,
    /// When the next probe is due.
    due: Timestamp,
    /// Decides the jitter; any number.
    seed: u64,
    at: At,
}

impl RolloutMachine {
    /// A machine that stands where the journal says. `deadline` is the journaled one, or for a rollout that has not started
    /// the one that will be. `seed` decides the probes' jitter.
    pub fn from_journal(rollout: &Rollout, settings: Settings, deadline: Timestamp, seed: u64) -> Self {
        let (at, deadline) = match &rollout.phase {
            Phase::Admitted => (At::Prepare, deadline),
            Phase::Started { deadline, .. } => (At::Apply, *deadline),
            Phase::Held { .. } => (At::Done(Ending::Held("waits for a person".to_owned())), deadline),
        };
        let before = rollout.before.is_some();
        Self {
            settings,
            rollback: rollout.rollback,
            before,
            deadline,
            switched: false,
            probes: 0,
            good: 0,
            due: Timestamp::UNIX_EPOCH,
            seed,
            at,
        }
    }

    /// A machine that goes back at once: an intent was found that was not recorded.
    pub fn going_back(rollout: &Rollout, settings: Settings, reason: String, deadline: Timestamp) -> Self {
        Self { at: At::Restore(reason), ..Self::from_journal(rollout, settings, deadline, 0) }
    }

    /// How many probes were made, and how many were good.
    pub const fn probes(&self) -> (u32, u32) {
        (self.probes, self.good)
    }

    /// Whether going back has begun: from here on the registry is told afterwards.
    pub const fn is_going_back(&self) -> bool {
        matches!(
            self.at,
            At::Intend(_) | At::Restore(_) | At::ProbeRestored(_) | At::RecordRolledBack { .. } | At::RecordFailed(_)
        )
    }

    /// What to do now.
    pub fn next(&mut self, now: Timestamp) -> Step {
        if let At::Watch(analysis) = &self.at {
            // The deadline first: it fires whatever else happens (flagger#1801, argo-rollouts#4626).
            if now >= self.deadline {
                self.at = At::RecordHeld("the deadline passed without a verdict".to_owned());
            } else {
                match analysis.verdict(now) {
                    Verdict::Wait { until } => return Step::Probe { at: self.due.min(until).min(self.deadline) },
                    Verdict::Healthy if self.switched => self.at = At::RecordHealthy,
                    Verdict::Healthy => self.at = At::Switch(analysis.clone()),
                    Verdict::Unhealthy(reason) => self.at = self.sick(reason.to_string()),
                    Verdict::Inconclusive(reason) => self.at = At::RecordHeld(reason.to_string()),
                }
            }
        }
        match &self.at {
            At::Prepare => Step::Prepare,
            At::RecordStart { receipt } => {
                Step::Record(Event::RolloutStarted { receipt: receipt.clone(), deadline: self.deadline })
            }
            At::Apply => Step::Apply,
            At::Switch(_) => Step::Switch,
            At::Watch(_) => Step::Probe { at: now },
            At::RecordHealthy => Step::Record(Event::Healthy { probes: self.probes, good: self.good }),
            At::Settle => Step::Settle,
            At::RecordHeld(reason) => Step::Record(Event::Held { reason: reason.clone() }),
            At::Intend(reason) => Step::Intend { reason: reason.clone() },
            At::Restore(_) | At::RestoreToAbort(_) => Step::Restore,
            At::ProbeRestored(_) => Step::ProbeRestored,
            At::RecordRolledBack { reason, done } => {
                Step::Record(Event::RolledBack { reason: reason.clone(), done: *done })
            }
            At::RecordFailed(reason) => Step::Record(Event::RollbackFailed { reason: reason.clone() }),
            At::RecordAborted(reason) => Step::Record(Event::Aborted { reason: reason.clone() }),
            At::Done(ending) => Step::Done(ending.clone()),
        }
    }

    /// Takes in what happened at `now`. A fact that does not fit where the machine stands changes nothing.
    pub fn record(&mut self, fact: Fact, now: Timestamp) {
        let at = std::mem::replace(&mut self.at, At::Prepare);
        self.at = match (at, fact) {
            (At::Prepare, Fact::Prepared(receipt)) => At::RecordStart { receipt },
            // A way back that cannot be gone is not taken back: what it left was left for a reason. A person is needed.
            (At::Prepare | At::Apply | At::Switch(_), Fact::TargetFailed(why)) if self.rollback => {
                At::RecordFailed(why)
            }
            (At::Prepare, Fact::TargetFailed(why)) => At::RecordAborted(why),
            (At::RecordStart { .. }, Fact::Recorded) => At::Apply,
            (At::Apply, Fact::Applied) => At::Watch(Box::new(Analysis::new(self.settings.clone(), now))),
            (At::Apply, Fact::TargetFailed(why)) => At::RestoreToAbort(why),
            (At::Watch(mut analysis), Fact::Probed(sample)) => {
                self.probes = self.probes.saturating_add(1);
                let good = matches!(sample.outcome, Seen::Good { .. });
                self.due = sample.at.plus(self.spread_interval());
                self.good = self.good.saturating_add(u32::from(good));
                analysis.observe(sample);
                match (good, self.switched) {
                    (true, false) => At::Switch(analysis),
                    // A way back is short: it was proven here before, and it answers behind the switch.
                    (true, true) if self.rollback => At::RecordHealthy,
                    _ => At::Watch(analysis),
                }
            }
            (At::Watch(mut analysis), Fact::Exited { at, how }) => {
                analysis.process_exited(at, how);
                At::Watch(analysis)
            }
            (At::Switch(analysis), Fact::Switched) => {
                self.switched = true;
                At::Watch(analysis)
            }
            (At::Switch(_), Fact::TargetFailed(why)) => At::RestoreToAbort(why),
            (At::RecordHealthy, Fact::Recorded) => At::Settle,
            // A settled old instance is housekeeping: the verdict stands, `resume` sweeps.
            (At::Settle, Fact::Settled | Fact::TargetFailed(_)) => At::Done(Ending::Healthy),
            (At::RecordHeld(reason), Fact::Recorded) => At::Done(Ending::Held(reason)),
            (At::Intend(reason), Fact::Intended) => At::Restore(reason),
            (At::Restore(reason), Fact::Restored) if self.before => At::ProbeRestored(reason),
            (At::Restore(reason), Fact::Restored) => At::RecordRolledBack { reason, done: now },
            (At::Restore(reason), Fact::TargetFailed(why)) => {
                At::RecordFailed(format!("{reason}; going back failed: {why}"))
            }
            (At::ProbeRestored(reason), Fact::RestoredAnswers(Ok(()))) => At::RecordRolledBack { reason, done: now },
            (At::ProbeRestored(reason), Fact::RestoredAnswers(Err(why))) => {
                At::RecordFailed(format!("{reason}; the restored release does not answer: {why}"))
            }
            (At::RecordRolledBack { reason, .. }, Fact::Recorded) => At::Done(Ending::RolledBack(reason)),
            (At::RecordFailed(reason), Fact::Recorded) => At::Done(Ending::Failed(reason)),
            (At::RestoreToAbort(why), Fact::Restored) => At::RecordAborted(why),
            (At::RestoreToAbort(why), Fact::TargetFailed(also)) => {
                At::RecordFailed(format!("{why}; going back failed: {also}"))
            }
            (At::RecordAborted(why), Fact::Recorded) => At::Done(Ending::Aborted(why)),
            (at, _) => at,
        };
    }

    /// A sick release: back, unless this is the way back.
    fn sick(&self, reason: String) -> At {
        if self.rollback { At::RecordFailed(reason) } else { At::Intend(reason) }
    }

    /// The interval, spread by ±10 % so that probes do not fall into step with whatever else happens that often.
    fn spread_interval(&self) -> Duration {
        // Multiplicative hashing (Knuth, TAOCP 6.4): all that is needed is that successive probes differ.
        let hash = self.seed.wrapping_add(u64::from(self.probes)).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 48;
        let percent = 90 + u32::try_from(hash % 21).unwrap_or(10);
        self.settings.interval * percent / 100
    }
}

#[cfg(test)]
mod tests;
