//! All checks of one environment.

use std::collections::BTreeSet;
use std::time::Duration;

use futures_util::future::join_all;
use schleuse_model::{Exit, Explain, Finding, Timestamp};

use crate::builtin::{clock, ladder, signature};
use crate::{Check, CheckId, Definition, Facts, Judgement, NoAnswer, ProduceError, Produced, Subject};

/// The checks that every gate has. No configured check may take one's name: it would look as if it took its place.
pub const ALWAYS: [&str; 3] = [signature::ID, ladder::ID, clock::ID];

/// All checks of one environment: [`ALWAYS`], then the configured ones in the file's order.
#[derive(Clone, Debug)]
pub struct Gate {
    checks: Vec<Check>,
}

/// Why a gate cannot be built.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GateError {
    /// A configured check has the name of one that is always there.
    #[error("the check `{0}` is always there and cannot be configured")]
    Reserved(CheckId),
    /// Two checks have one name.
    #[error("the check `{0}` stands there twice")]
    Twice(CheckId),
}

impl Explain for GateError {
    fn exit(&self) -> Exit {
        Exit::Usage
    }

    fn hints(&self) -> Vec<String> {
        match self {
            Self::Reserved(id) => vec![format!("remove `{id}` from the list, or give your check another name")],
            Self::Twice(_) => Vec::new(),
        }
    }
}

impl Gate {
    /// The gate with these configured checks. `soak` is how long a release must have been healthy in the rung before.
    ///
    /// # Errors
    /// [`GateError`] for a reserved name or one that stands twice.
    pub fn new(soak: Duration, configured: impl IntoIterator<Item = Check>) -> Result<Self, GateError> {
        let mut checks = vec![signature::check(), ladder::check(soak), clock::check()];
        let mut seen = BTreeSet::new();
        for check in configured {
            if ALWAYS.contains(&check.id.as_str()) {
                return Err(GateError::Reserved(check.id));
            }
            if !seen.insert(check.id.clone()) {
                return Err(GateError::Twice(check.id));
            }
            checks.push(check);
        }
        Ok(Self { checks })
    }

    /// What the gate demands, in order: part of the plan's hash.
    pub fn definitions(&self) -> Vec<&Definition> {
        self.checks.iter().map(|check| &check.definition).collect()
    }

    /// Runs the producer of every check that does not pass on `facts` as they are, all at the same time: they are independent of
    /// each other. One that gives no result does not stop the others. Dropping the future stops them all.
    pub async fn produce(
        &self,
        subject: &Subject,
        facts: &Facts,
        now: Timestamp,
    ) -> Vec<(CheckId, Result<Produced, ProduceError>)> {
        let wanted = self.checks.iter().filter_map(|check| {
            let passes = matches!(check.judge.judge(facts, now), Ok(Judgement::Pass { .. }));
            check.producer.as_ref().filter(|_| !passes).map(|producer| (check.id.clone(), producer))
        });
        join_all(wanted.map(|(id, producer)| async move { (id, producer.produce(subject).await) })).await
    }

    /// Asks every judge, and stops at none.
    pub fn judge(&self, facts: &Facts, now: Timestamp) -> GateResult {
        GateResult { rows: self.checks.iter().map(|check| (check.id.clone(), check.judge.judge(facts, now))).collect() }
    }

    /// Asks the judges that need nothing produced. What comes out *blocked* here stays so: nothing need be run to know it.
    pub fn judge_before_producing(&self, facts: &Facts, now: Timestamp) -> GateResult {
        let without = self.checks.iter().filter(|check| check.producer.is_none());
        GateResult { rows: without.map(|check| (check.id.clone(), check.judge.judge(facts, now))).collect() }
    }
}

/// What every check said, in the gate's order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GateResult {
    /// One row a check.
    pub rows: Vec<(CheckId, Result<Judgement, NoAnswer>)>,
}

/// What it comes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// Every check passed or was waived.
    Open,
    /// At least one says no.
    Blocked {
        /// Everything that is wrong.
        findings: Vec<Finding>,
        /// When it would pass by waiting; `None`: not by waiting alone.
        clears_at: Option<Timestamp>,
        /// What could not be answered besides.
        unanswered: Vec<NoAnswer>,
    },
    /// None says no, and at least one has no answer.
    NoAnswer(Vec<NoAnswer>),
}

impl GateResult {
    /// What it comes to. A *no* outranks *don't know*: whatever the missing answer would have been, the gate stays shut.
    pub fn decision(&self) -> Decision {
        let mut findings = Vec::new();
        let mut unanswered = Vec::new();
        let mut blocked = false;
        for (_, row) in &self.rows {
            match row {
                Ok(Judgement::Pass { .. } | Judgement::Waived(_)) => {}
                Ok(Judgement::Block(found)) => {
                    // A judge that blocks without a reason still blocks.
                    blocked = true;
                    findings.extend(found.iter().cloned());
                }
                Err(no_answer) => unanswered.push(no_answer.clone()),
            }
        }
        if blocked {
            let by_waiting = unanswered.is_empty() && findings.iter().all(|finding| finding.clears_at.is_some());
            let clears_at = findings.iter().filter_map(|finding| finding.clears_at).max().filter(|_| by_waiting);
            Decision::Blocked { findings, clears_at, unanswered }
        } else if !unanswered.is_empty() {
            Decision::NoAnswer(unanswered)
        } else {
            Decision::Open
        }
    }
}
