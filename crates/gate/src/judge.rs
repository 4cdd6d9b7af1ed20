//! Judging: sync, pure, and with three kinds of answer.

use std::fmt::Debug;

use schleuse_model::{Exit, Explain, Finding, Timestamp};

use crate::{CheckId, Facts};

/// Reads the facts and says whether a release may pass. Rules (ladder, soak, freeze, approval) are judges without a producer.
pub trait Judge: Debug + Send + Sync {
    /// The judgement at `now`.
    ///
    /// # Errors
    /// [`NoAnswer`] if what it needs is there and cannot be read. Absent evidence is no error: it blocks.
    fn judge(&self, facts: &Facts, now: Timestamp) -> Result<Judgement, NoAnswer>;
}

/// What a judge says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Judgement {
    /// The release may pass.
    Pass {
        /// What was found, for the line in the output: `trusted: build key 5f:1c:…`.
        note: String,
    },
    /// It may not.
    Block(Vec<Finding>),
    /// It may not, and somebody took that upon them.
    Waived(Waiver),
}

/// An exception. There is none without expiry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Waiver {
    /// Who answers for it.
    pub owner: String,
    /// Why.
    pub reason: String,
    /// Until when.
    pub until: Timestamp,
}

/// There is no answer: "don't know", which is neither yes nor no.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoAnswer {
    /// The evidence is there and cannot be read.
    #[error("{check}: its evidence cannot be read: {why}")]
    Unreadable {
        /// The check.
        check: CheckId,
        /// One line.
        why: String,
    },
}

impl NoAnswer {
    /// The check that has no answer.
    pub const fn check(&self) -> &CheckId {
        match self {
            Self::Unreadable { check, .. } => check,
        }
    }
}

impl Explain for NoAnswer {
    fn exit(&self) -> Exit {
        Exit::Untrusted
    }

    fn hints(&self) -> Vec<String> {
        vec!["promoting again produces this evidence anew".to_owned()]
    }
}
