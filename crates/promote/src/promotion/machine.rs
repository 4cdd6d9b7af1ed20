//! The order of a promotion, pure: it is told what happened and says what to do next.
//!
//! # Guarantees
//!
//! Nothing is committed before every check has passed under the plan that was looked at; no tag moves and nothing is rolled out
//! before the commit; after a lost race the promotion goes on only if the plan's hash is the same.

use schleuse_model::{Digest, Finding};

use crate::outcome::Outcome;

/// What is to be done next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Ask the judges that need nothing to run.
    Judge,
    /// Run the producers, then ask every judge.
    Produce,
    /// Append the entry.
    Commit,
    /// Move the tag.
    Tag,
    /// Roll out.
    RollOut,
    /// Over: checks say no.
    Blocked(Vec<Finding>),
    /// Over: another was faster, and the plan no longer holds.
    LostRace {
        /// The winner's entry.
        sequence: u64,
    },
    /// Over.
    Done(Outcome),
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fact {
    /// The judges' findings; none: all pass.
    Judged(Vec<Finding>),
    /// The entry is committed.
    Committed,
    /// Another writer took the sequence; the plan as it would be now.
    Lost {
        /// The new plan's hash.
        plan: Digest,
        /// The winner's entry.
        sequence: u64,
    },
    /// The tag was moved.
    Tagged,
    /// The rollout ended.
    RolledOut(Outcome),
}

/// One promotion.
#[derive(Clone, Debug)]
pub struct PromotionMachine {
    plan: Digest,
    rollout: bool,
    at: Step,
}

impl PromotionMachine {
    /// A promotion under the plan with this hash; `rollout`: whether there is a target.
    pub const fn new(plan: Digest, rollout: bool) -> Self {
        Self { plan, rollout, at: Step::Judge }
    }

    /// What to do now.
    pub fn next(&self) -> Step {
        self.at.clone()
    }

    /// Takes in what happened. A fact that does not fit changes nothing.
    pub fn record(&mut self, fact: Fact) {
        self.at = match (&self.at, fact) {
            (Step::Judge | Step::Produce, Fact::Judged(findings)) if !findings.is_empty() => Step::Blocked(findings),
            (Step::Judge, Fact::Judged(_)) => Step::Produce,
            (Step::Produce, Fact::Judged(_)) => Step::Commit,
            (Step::Commit, Fact::Committed) => Step::Tag,
            // The same plan still: judge again, for what is decided upon may have changed with the head.
            (Step::Commit, Fact::Lost { plan, .. }) if plan == self.plan => Step::Judge,
            (Step::Commit, Fact::Lost { sequence, .. }) => Step::LostRace { sequence },
            (Step::Tag, Fact::Tagged) if self.rollout => Step::RollOut,
            (Step::Tag, Fact::Tagged) => Step::Done(Outcome::Promoted),
            (Step::RollOut, Fact::RolledOut(outcome)) => Step::Done(outcome),
            (at, _) => at.clone(),
        };
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn hash(n: u8) -> Digest {
        Digest::sha256(&[n])
    }

    fn any_fact() -> impl Strategy<Value = Fact> {
        prop_oneof![
            Just(Fact::Judged(Vec::new())),
            Just(Fact::Judged(vec![Finding::new("smoke", "no")])),
            Just(Fact::Committed),
            (0u8..2).prop_map(|n| Fact::Lost { plan: hash(n), sequence: 7 }),
            Just(Fact::Tagged),
            Just(Fact::RolledOut(Outcome::Promoted)),
        ]
    }

    proptest! {
        /// Whatever it is told, in whatever order: no commit without two clean judgements before it, no tag and no rollout
        /// before the commit, and a lost race under another plan is the end.
        #[test]
        fn order(facts in proptest::collection::vec(any_fact(), 1..40), rollout: bool) {
            let mut machine = PromotionMachine::new(hash(0), rollout);
            let (mut clean, mut committed) = (0, false);
            for fact in facts {
                let before = machine.next();
                machine.record(fact.clone());
                let after = machine.next();
                match (&before, &fact) {
                    (Step::Judge, Fact::Judged(findings)) if findings.is_empty() => clean = 1,
                    (Step::Produce, Fact::Judged(findings)) if findings.is_empty() => clean += 1,
                    (Step::Commit, Fact::Committed) => committed = true,
                    (Step::Commit, Fact::Lost { plan, .. }) => {
                        clean = 0;
                        prop_assert_eq!(*plan == hash(0), after == Step::Judge);
                    }
                    _ => {}
                }
                match after {
                    Step::Commit => prop_assert_eq!(clean, 2),
                    Step::Tag | Step::RollOut | Step::Done(_) => prop_assert!(committed),
                    Step::Blocked(findings) => prop_assert!(!committed && !findings.is_empty()),
                    _ => {}
                }
            }
        }
    }
}
