//! What the target has accepted and how far it is. Pure; saved after every change, before or after the act as each step says.

use schleuse_model::{EnvironmentName, PinnedRef};
use serde::{Deserialize, Serialize};

use crate::failure::Failure;
use crate::target::{Instance, Receipt, TargetError};

/// How far the newest rollout is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Stage {
    /// Nothing visible has changed.
    Prepared,
    /// The new instance was started, or is about to be.
    Applied,
    /// It has the traffic.
    Switched,
    /// The old one was stopped.
    Settled,
    /// It was, or is about to be, brought back. It cannot go forward from here.
    BroughtBack,
}

/// The newest rollout.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Rollout {
    pub(crate) receipt: Receipt,
    pub(crate) stage: Stage,
}

/// The target's record.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct State {
    /// The highest sequence accepted; 0: none.
    pub(crate) sequence: u64,
    /// The instance that has the traffic.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(crate) active: Option<Instance>,
    /// The newest rollout.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(crate) rollout: Option<Rollout>,
}

impl State {
    /// Looks whether an admitted image of that sequence may be prepared, and raises the fence. The receipt of a rollout that is
    /// known already; `None`: it is a new one.
    pub(crate) fn prepare(&mut self, image: &PinnedRef, sequence: u64) -> Result<Option<Receipt>, TargetError> {
        self.fence(sequence)?;
        let Some(rollout) = &mut self.rollout else { return Ok(None) };
        let same = rollout.receipt.image() == image;
        if rollout.receipt.sequence() == sequence {
            // One entry admits one image. Another one is a forged journal, or another journal's target.
            return if same { Ok(Some(rollout.receipt.clone())) } else { Err(Failure::Conflict { sequence }.into()) };
        }
        if same && rollout.stage == Stage::Prepared {
            // Taken over before anything visible happened.
            rollout.receipt = rollout.receipt.clone().at_sequence(sequence);
            return Ok(Some(rollout.receipt.clone()));
        }
        Ok(None)
    }

    /// Puts the prepared rollout in its place.
    pub(crate) fn prepared(&mut self, receipt: Receipt) {
        self.sequence = self.sequence.max(receipt.sequence());
        self.rollout = Some(Rollout { receipt, stage: Stage::Prepared });
    }

    /// The rollout that `receipt` names, its sequence and the fence raised to the receipt's.
    pub(crate) fn accept(
        &mut self,
        receipt: &Receipt,
        environment: &EnvironmentName,
    ) -> Result<&mut Rollout, TargetError> {
        let sequence = receipt.sequence();
        self.known(receipt, environment)?;
        self.fence(sequence)?;
        let rollout = self.rollout.as_mut().ok_or(Failure::NotPrepared { sequence })?;
        if sequence > rollout.receipt.sequence() {
            rollout.receipt = rollout.receipt.clone().at_sequence(sequence);
        }
        Ok(rollout)
    }

    /// The same for somebody who only looks: nothing is raised.
    pub(crate) fn known(&self, receipt: &Receipt, environment: &EnvironmentName) -> Result<&Rollout, TargetError> {
        if receipt.environment() != environment {
            let (have, got) = (environment.to_string(), receipt.environment().to_string());
            return Err(Failure::Foreign { have, got }.into());
        }
        let (have, got) = (self.sequence, receipt.sequence());
        if got < have {
            return Err(TargetError::Fenced { have, got });
        }
        let rollout = self.rollout.as_ref().filter(|rollout| {
            rollout.receipt.instance() == receipt.instance() && rollout.receipt.image() == receipt.image()
        });
        Ok(rollout.ok_or(Failure::NotPrepared { sequence: got })?)
    }

    fn fence(&mut self, got: u64) -> Result<(), TargetError> {
        let have = self.sequence;
        if got < have {
            return Err(TargetError::Fenced { have, got });
        }
        self.sequence = got;
        Ok(())
    }
}

impl Rollout {
    /// Goes forward to `stage`, or stays where it is if it is further already. What was brought back stays back.
    pub(crate) fn forward(&mut self, stage: Stage) -> Result<(), Failure> {
        if self.stage == Stage::BroughtBack {
            return Err(Failure::BroughtBack { sequence: self.receipt.sequence() });
        }
        self.stage = self.stage.max(stage);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use schleuse_model::{Digest, Release};

    fn environment() -> EnvironmentName {
        "production".parse().unwrap()
    }

    fn image(name: &str) -> PinnedRef {
        format!("registry.example/app@{}", Digest::sha256(name.as_bytes())).parse().unwrap()
    }

    fn receipt(name: &str, sequence: u64) -> Receipt {
        let digest = image(name).digest().clone();
        let instance = Instance { name: format!("i-{name}"), release: Release { digest, commit: None, version: None } };
        Receipt::new(environment(), sequence, image(name), instance, None, "127.0.0.1:1".parse().unwrap())
    }

    fn prepared(name: &str, sequence: u64) -> State {
        let mut state = State::default();
        assert_eq!(state.prepare(&image(name), sequence).unwrap(), None);
        state.prepared(receipt(name, sequence));
        state
    }

    #[test]
    fn a_lower_sequence_is_refused_everywhere() {
        let mut state = prepared("a", 7);
        assert!(matches!(state.prepare(&image("b"), 6), Err(TargetError::Fenced { have: 7, got: 6 })));
        assert!(matches!(state.accept(&receipt("a", 6), &environment()), Err(TargetError::Fenced { have: 7, got: 6 })));
        assert!(matches!(state.known(&receipt("a", 6), &environment()), Err(TargetError::Fenced { have: 7, got: 6 })));
        assert_eq!(state, prepared("a", 7));
    }

    #[test]
    fn a_renewed_receipt_fences_off_the_run_before() {
        let mut state = prepared("a", 7);
        state.accept(&receipt("a", 9), &environment()).unwrap();
        assert!(matches!(state.accept(&receipt("a", 7), &environment()), Err(TargetError::Fenced { have: 9, got: 7 })));
        assert_eq!(state.rollout.unwrap().receipt.sequence(), 9);
    }

    #[test]
    fn one_entry_admits_one_image() {
        let mut state = prepared("a", 7);
        assert!(matches!(state.prepare(&image("a"), 7), Ok(Some(_))));
        assert!(matches!(state.prepare(&image("b"), 7), Err(TargetError::Terminal(Failure::Conflict { sequence: 7 }))));
    }

    #[test]
    fn a_prepared_rollout_that_is_taken_over_keeps_its_instance() {
        let mut state = prepared("a", 7);
        let renewed = state.prepare(&image("a"), 8).unwrap().unwrap();
        assert_eq!((renewed.instance(), renewed.sequence()), (receipt("a", 7).instance(), 8));
    }

    #[test]
    fn strangers() {
        let mut state = prepared("a", 7);
        let stranger = state.accept(&receipt("b", 7), &environment());
        assert!(matches!(stranger, Err(TargetError::Terminal(Failure::NotPrepared { sequence: 7 }))));
        let elsewhere = state.accept(&receipt("a", 7), &"staging".parse().unwrap());
        assert!(matches!(elsewhere, Err(TargetError::Terminal(Failure::Foreign { .. }))));
    }

    #[test]
    fn what_was_brought_back_does_not_go_forward_again() {
        let mut rollout = prepared("a", 7).rollout.unwrap();
        rollout.forward(Stage::Switched).unwrap();
        rollout.forward(Stage::Applied).unwrap();
        assert_eq!(rollout.stage, Stage::Switched);
        rollout.stage = Stage::BroughtBack;
        assert!(matches!(rollout.forward(Stage::Applied), Err(Failure::BroughtBack { sequence: 7 })));
    }
}
