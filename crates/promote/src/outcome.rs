//! How a run ended.

use schleuse_model::{Exit, Finding};

/// How a promotion, rollback or resume ended. "No" and "no answer" are apart: an error is not an outcome.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The release is in its place, and healthy where it is watched.
    Promoted,
    /// It was there already; nothing changed.
    Already,
    /// Going back worked, as a person asked.
    WentBack,
    /// Nothing was unfinished.
    NothingToDo,
    /// Checks say no; nothing changed.
    Blocked(Vec<Finding>),
    /// The rollout could not be judged; both instances stay.
    Held {
        /// Why.
        reason: String,
    },
    /// The release failed; the environment is back at what it ran before.
    RolledBack {
        /// Why.
        reason: String,
        /// Whether the journal could not be told yet: `resume` does it.
        unrecorded: bool,
    },
    /// Neither the release nor what was before it answers.
    RollbackFailed {
        /// Why.
        reason: String,
        /// Whether the journal could not be told yet.
        unrecorded: bool,
    },
    /// Given up before anything visible changed; not the release's fault.
    Aborted {
        /// Why.
        reason: String,
    },
}

impl Outcome {
    /// The exit code.
    pub const fn exit(&self) -> Exit {
        match self {
            Self::Promoted | Self::Already | Self::WentBack | Self::NothingToDo => Exit::Done,
            Self::Blocked(_) => Exit::Blocked,
            Self::Held { .. } => Exit::Held,
            Self::RolledBack { .. } => Exit::RolledBack,
            Self::RollbackFailed { .. } => Exit::RollbackFailed,
            Self::Aborted { .. } => Exit::Error,
        }
    }

    /// The word that a person reads.
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Promoted => "PROMOTED",
            Self::Already => "ALREADY SO",
            Self::WentBack => "WENT BACK",
            Self::NothingToDo => "NOTHING TO DO",
            Self::Blocked(_) => "BLOCKED",
            Self::Held { .. } => "HELD",
            Self::RolledBack { .. } => "ROLLED BACK",
            Self::RollbackFailed { .. } => "ROLLBACK FAILED - ACT NOW",
            Self::Aborted { .. } => "ABORTED",
        }
    }

    /// The word that a machine reads.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Promoted => "promoted",
            Self::Already => "already",
            Self::WentBack => "went-back",
            Self::NothingToDo => "nothing-to-do",
            Self::Blocked(_) => "blocked",
            Self::Held { .. } => "held",
            Self::RolledBack { .. } => "rolled-back",
            Self::RollbackFailed { .. } => "rollback-failed",
            Self::Aborted { .. } => "aborted",
        }
    }
}
