//! Carries a rollout out: asks the machine what is next, does it, tells the machine what happened.

use std::sync::Arc;
use std::time::Duration;

use schleuse_deploy::{Ended, Observation, Receipt, Target, TargetError};
use schleuse_health::{Measurement, Outcome as Seen, ProcessEnd, Sample};
use schleuse_journal::{Admitted, Event, Phase, Rollout, VerifiedEntry};
use schleuse_model::{Release, Timestamp, json};
use tokio::time::Instant;

use super::{Ending, Fact, RolloutMachine, Step};
use crate::error::Error;
use crate::intent::Intent;
use crate::observer::Note;
use crate::probe::Probed;
use crate::world::{Environment, World};

/// How often a step of the target is tried when it says that trying again may help.
const TRIES: u32 = 3;
/// How long a restored release may take until it answers. It was kept running; this is for one that has to be started again.
const RESTORED_PATIENCE: Duration = Duration::from_secs(15);
/// How long between two probes of a restored release.
const RESTORED_INTERVAL: Duration = Duration::from_millis(100);
/// How much later than the analysis's own end a rollout is given up: time to start the new instance.
const SLACK: Duration = Duration::from_secs(120);
/// How many lines of its log are shown of a release that failed.
const LOG_LINES: usize = 30;

/// How a driven rollout ended.
#[derive(Debug)]
pub(crate) struct Driven {
    pub(crate) ending: Ending,
    /// The newest entry.
    pub(crate) head: VerifiedEntry,
    /// Whether the last event could not be journaled.
    pub(crate) unrecorded: bool,
}

/// Drives the unfinished rollout of `head` to its end. The caller holds the target's claim. With `intent`, a way back that was
/// begun is finished instead.
pub(crate) async fn drive(
    world: &World,
    environment: &Environment,
    target: &Arc<dyn Target>,
    head: VerifiedEntry,
    intent: Option<Intent>,
) -> Result<Driven, Error> {
    Driver::new(world, environment, target, head, intent)?.run().await
}

struct Driver<'a> {
    world: &'a World,
    environment: &'a Environment,
    target: &'a Arc<dyn Target>,
    machine: RolloutMachine,
    head: VerifiedEntry,
    admitted: Admitted,
    release: Release,
    before: Option<Release>,
    receipt: Option<Receipt>,
    unrecorded: bool,
    /// When the probe that decided was answered: the way back is measured from it.
    decided: Option<Instant>,
    last_answer: Option<String>,
    /// When the watched window ends.
    window_ends: Option<Timestamp>,
}

impl<'a> Driver<'a> {
    fn new(
        world: &'a World,
        environment: &'a Environment,
        target: &'a Arc<dyn Target>,
        head: VerifiedEntry,
        intent: Option<Intent>,
    ) -> Result<Self, Error> {
        let nothing = || Error::NoWayBack { environment: environment.name().clone() };
        let admitted = Admitted::by(&head).ok_or_else(nothing)?;
        let rollout = head.entry().state.rollout.clone().ok_or_else(nothing)?;
        let receipt = receipt_of(environment, &rollout)?.map(|receipt| receipt.renewed(&admitted));
        let settings = environment.health.clone();
        let deadline = deadline_from(environment, world.clock.now());
        let machine = match intent {
            Some(intent) => RolloutMachine::going_back(&rollout, settings, intent.reason, deadline),
            None => RolloutMachine::from_journal(&rollout, settings, deadline, seed(&world.run)),
        };
        let release = admitted.release().clone();
        let before = rollout.before.map(|placed| placed.release);
        let (unrecorded, decided, last_answer, window_ends) = Default::default();
        Ok(Self {
            world,
            environment,
            target,
            machine,
            head,
            admitted,
            release,
            before,
            receipt,
            unrecorded,
            decided,
            last_answer,
            window_ends,
        })
    }

    async fn run(mut self) -> Result<Driven, Error> {
        loop {
            let step = self.machine.next(self.world.clock.now());
            let fact = match step {
                Step::Done(ending) => {
                    return Ok(Driven { ending, head: self.head, unrecorded: self.unrecorded });
                }
                Step::Prepare => self.prepare().await?,
                Step::Record(event) => self.journal(event).await?,
                Step::Apply => self.apply().await?,
                Step::Switch => self.switch().await?,
                Step::Probe { at } => self.probe(at).await?,
                Step::Intend { reason } => self.intend(reason).await,
                Step::Restore => self.restore().await?,
                Step::ProbeRestored => self.probe_restored().await?,
                Step::Settle => self.settle().await?,
            };
            self.machine.record(fact, self.world.clock.now());
        }
    }

    async fn prepare(&mut self) -> Result<Fact, Error> {
        self.world.observer.note(Note::Preparing);
        match self.patiently(|| self.target.prepare(&self.admitted)).await {
            Ok(receipt) => {
                let written = json::to_bytes(&receipt);
                self.receipt = Some(receipt);
                let value = json::from_untrusted(&written, written.len());
                Ok(value.map_or_else(|error| Fact::TargetFailed(error.to_string()), Fact::Prepared))
            }
            Err(error) => self.failed(error),
        }
    }

    async fn journal(&mut self, event: Event) -> Result<Fact, Error> {
        let back = self.machine.is_going_back();
        match &event {
            Event::Healthy { probes, good } => {
                self.world.observer.note(Note::Healthy { probes: *probes, good: *good });
            }
            Event::RollbackFailed { reason } => self.diagnose(reason.clone()).await,
            _ => {}
        }
        let draft = self.world.draft(event, &self.release);
        match self.world.append(self.environment, &self.head, draft).await {
            Ok(head) => {
                self.head = head;
                if back {
                    // The journal knows: the intent has done its work. One that stays is recognised as told.
                    let _ = self.target.clear_intent().await;
                }
                Ok(Fact::Recorded)
            }
            // Going back is done, and matters more than the record: `resume` tells the journal.
            Err(error) if back && !matches!(error, Error::TakenOver { .. }) => {
                self.unrecorded = true;
                self.world.observer.note(Note::Unrecorded { why: error.to_string() });
                Ok(Fact::Recorded)
            }
            Err(error) => Err(error),
        }
    }

    async fn apply(&mut self) -> Result<Fact, Error> {
        let receipt = self.receipt()?;
        match self.patiently(|| self.target.apply(&receipt)).await {
            Ok(()) => {
                self.window_ends = Some(self.world.clock.now().plus(self.environment.health.window));
                self.world.observer.note(Note::Applied);
                Ok(Fact::Applied)
            }
            Err(error) => self.failed(error),
        }
    }

    async fn switch(&mut self) -> Result<Fact, Error> {
        let receipt = self.receipt()?;
        match self.patiently(|| self.target.switch(&receipt)).await {
            Ok(()) => {
                self.world.observer.note(Note::Switched);
                Ok(Fact::Switched)
            }
            Err(error) => self.failed(error),
        }
    }

    /// Waits until `at`, looks whether the process lives, and asks it how it is.
    async fn probe(&mut self, at: Timestamp) -> Result<Fact, Error> {
        // Bounded by the monotonic clock: a wall clock that jumps back right now must not put the probe off for hours.
        let longest = self.environment.health.interval * 2;
        tokio::time::sleep(at.since(self.world.clock.now()).min(longest)).await;
        let receipt = self.receipt()?;
        let observed = self.target.observe(&receipt).await;
        let now = self.world.clock.now();
        let address = match observed {
            Ok(Observation::Running { address }) => address,
            Ok(Observation::Exited { how }) => {
                self.decided = Some(Instant::now());
                self.note_probe(false, how.to_string(), now);
                return Ok(Fact::Exited { at: now, how: process_end(&how) });
            }
            Ok(Observation::Unknown { why }) => return Ok(self.broken(why, now)),
            Err(TargetError::Fenced { .. }) => return Err(self.taken_over()),
            Err(error) => return Ok(self.broken(error.to_string(), now)),
        };
        let probed = self.world.prober.probe(address, &self.environment.probe, &self.release).await;
        self.decided = Some(Instant::now());
        let Probed { took, outcome, answer } = probed;
        self.last_answer = answer.or(self.last_answer.take());
        let outcome = match outcome {
            Ok(()) => {
                self.note_probe(true, format!("{} ms", took.as_millis()), now);
                Seen::Good { latency: took }
            }
            Err(failure) => {
                self.note_probe(false, failure.to_string(), now);
                Seen::Failed(failure)
            }
        };
        Ok(Fact::Probed(Sample { at: now, outcome }))
    }

    fn broken(&self, why: String, now: Timestamp) -> Fact {
        self.note_probe(false, why.clone(), now);
        Fact::Probed(Sample { at: now, outcome: Seen::Broken(Measurement::PathDown) })
    }

    fn note_probe(&self, good: bool, detail: String, now: Timestamp) {
        // When a verdict is due if all goes well: what a person at the terminal wants to know.
        let until = self.window_ends.unwrap_or(now);
        self.world.observer.note(Note::Probed { good, detail, until });
    }

    async fn intend(&mut self, reason: String) -> Fact {
        self.world.observer.note(Note::Unhealthy { reason: reason.clone() });
        let intent = Intent {
            image: self.environment.journal.names().image.clone(),
            environment: self.environment.name().clone(),
            leaves: self.release.clone(),
            returns_to: self.before.clone(),
            asked_for: false,
            reason: reason.clone(),
            seen: self.head.entry().sequence,
            run: self.world.run.clone(),
            actor: self.world.actor.clone(),
            at: self.world.clock.now(),
        };
        let written = match intent.seal(self.world.signer.as_ref()) {
            Ok(bytes) => self.target.write_intent(&bytes).await.map_err(|error| error.to_string()),
            Err(error) => Err(error.to_string()),
        };
        // A sick release in front of users is worse than a missing note: go back all the same, and say so.
        if let Err(why) = written {
            self.world.observer.note(Note::Unrecorded { why });
        }
        Fact::Intended
    }

    async fn restore(&mut self) -> Result<Fact, Error> {
        let receipt = self.receipt()?;
        match self.patiently(|| self.target.restore(&receipt)).await {
            Ok(()) => Ok(self.returned_elsewhere(&receipt).map_or(Fact::Restored, Fact::TargetFailed)),
            Err(error) => self.failed(error),
        }
    }

    /// Why it is not where the journal would say it is. After a way back that failed the target may still serve what was left
    /// on purpose: to return there is no success, and must not be recorded as one.
    fn returned_elsewhere(&self, receipt: &Receipt) -> Option<String> {
        let (there, meant) = (receipt.previous_release(), self.before.as_ref());
        let name = |release: Option<&Release>| release.map_or("nothing", |release| release.digest.short()).to_owned();
        let same = there.map(|release| &release.digest) == meant.map(|release| &release.digest);
        (!same).then(|| format!("the target is back at {}, the journal at {}", name(there), name(meant)))
    }

    async fn probe_restored(&mut self) -> Result<Fact, Error> {
        let (receipt, Some(before)) = (self.receipt()?, self.before.clone()) else {
            return Ok(Fact::RestoredAnswers(Ok(())));
        };
        match restored_answers(self.world, self.environment, self.target, &receipt, &before).await {
            Ok(Ok(())) => {
                let after = self.decided.map_or(Duration::ZERO, |decided| decided.elapsed());
                self.world.observer.note(Note::Restored { after });
                self.diagnose_after_restore().await;
                Ok(Fact::RestoredAnswers(Ok(())))
            }
            Ok(Err(last)) => Ok(Fact::RestoredAnswers(Err(last))),
            Err(error) => self.failed(error),
        }
    }

    async fn settle(&mut self) -> Result<Fact, Error> {
        let receipt = self.receipt()?;
        match self.patiently(|| self.target.settle(&receipt)).await {
            Ok(()) => Ok(Fact::Settled),
            Err(error) => self.failed(error),
        }
    }

    async fn diagnose_after_restore(&self) {
        if let Some(answer) = &self.last_answer {
            self.world.observer.note(Note::Diagnosis { label: "last answer", text: answer.clone() });
        }
        let Some(receipt) = &self.receipt else { return };
        if let Ok(lines) = self.target.logs(receipt, LOG_LINES).await
            && !lines.is_empty()
        {
            self.world.observer.note(Note::Diagnosis { label: "last lines", text: lines.join("\n") });
        }
    }

    async fn diagnose(&self, reason: String) {
        self.world.observer.note(Note::Unhealthy { reason });
        self.diagnose_after_restore().await;
    }

    /// Tries a step of the target a few times while it says that trying again may help.
    async fn patiently<T, Tried>(&self, step: impl Fn() -> Tried) -> Result<T, TargetError>
    where
        Tried: Future<Output = Result<T, TargetError>>,
    {
        let mut tries = 1;
        loop {
            match step().await {
                Err(TargetError::Transient { after, .. }) if tries < TRIES => {
                    tries += 1;
                    tokio::time::sleep(after).await;
                }
                other => return other,
            }
        }
    }

    /// A step that did not work is the target's own trouble; only being fenced off ends the run at once.
    fn failed(&self, error: TargetError) -> Result<Fact, Error> {
        match error {
            TargetError::Fenced { .. } => Err(self.taken_over()),
            error => Ok(Fact::TargetFailed(error.to_string())),
        }
    }

    fn taken_over(&self) -> Error {
        let sequence = self.head.entry().sequence + 1;
        Error::TakenOver { environment: self.environment.name().clone(), sequence }
    }

    fn receipt(&self) -> Result<Receipt, Error> {
        let missing = || Error::NoWayBack { environment: self.environment.name().clone() };
        self.receipt.clone().ok_or_else(missing)
    }
}

/// Probes what was restored until it answers as `release`; else what the last probe said when the patience ended.
///
/// # Errors
/// Only [`TargetError::Fenced`]: another run has taken over.
pub(crate) async fn restored_answers(
    world: &World,
    environment: &Environment,
    target: &Arc<dyn Target>,
    receipt: &Receipt,
    release: &Release,
) -> Result<Result<(), String>, TargetError> {
    let patience = Instant::now() + RESTORED_PATIENCE;
    let mut last = "nothing was probed".to_owned();
    while Instant::now() < patience {
        match target.restored_address(receipt).await {
            Ok(Some(address)) => match world.prober.probe(address, &environment.probe, release).await.outcome {
                Ok(()) => return Ok(Ok(())),
                Err(fault) => last = fault.to_string(),
            },
            Ok(None) => last = "it has no address".to_owned(),
            Err(fenced @ TargetError::Fenced { .. }) => return Err(fenced),
            Err(error) => last = error.to_string(),
        }
        tokio::time::sleep(RESTORED_INTERVAL).await;
    }
    Ok(Err(last))
}

/// When a rollout that starts `now` must be decided.
pub(crate) fn deadline_from(environment: &Environment, now: Timestamp) -> Timestamp {
    now.plus(environment.health.window + environment.health.extension + SLACK)
}

/// The target's words in those of the analysis. What never ran is gone, too: the log says why.
const fn process_end(how: &Ended) -> ProcessEnd {
    match how {
        Ended::Code { code } => ProcessEnd::Code(*code),
        Ended::Signal { signal } => ProcessEnd::Signal(*signal),
        Ended::NotStarted { .. } | Ended::Unseen => ProcessEnd::Gone,
    }
}

/// Any number that differs between runs.
fn seed(run: &schleuse_journal::RunId) -> u64 {
    run.as_str().bytes().fold(0, |seed, byte| seed.wrapping_mul(31).wrapping_add(u64::from(byte)))
}

/// The journaled receipt of a rollout, if it has started.
fn receipt_of(environment: &Environment, rollout: &Rollout) -> Result<Option<Receipt>, Error> {
    let (Phase::Started { receipt, .. } | Phase::Held { receipt }) = &rollout.phase else { return Ok(None) };
    let bytes = json::to_bytes(receipt);
    let receipt = json::from_untrusted(&bytes, bytes.len());
    receipt.map(Some).map_err(|error| Error::UntrustedIntent {
        environment: environment.name().clone(),
        why: format!("the journaled receipt is malformed: {error}"),
    })
}
