//! How an error reaches a person: what, why, what to do, and which exit code.

use std::error::Error;

/// The exit codes of `schleuse`. One table; the documentation is generated from it (`xtask docs`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Exit {
    /// Done, or already so: nothing had to change.
    Done = 0,
    /// An error: nothing was decided. Trying again may help.
    Error = 1,
    /// The command line or the configuration is wrong.
    Usage = 2,
    /// Blocked: a check says no. Nothing was changed.
    Blocked = 10,
    /// A signature, evidence or the journal is not trusted. Nothing was changed.
    Untrusted = 11,
    /// Lost a race against another promotion, and the plan no longer holds.
    LostRace = 12,
    /// Held: the rollout could not be judged, or waits for a person.
    Held = 13,
    /// Rolled back: the system is safe, the release failed.
    RolledBack = 20,
    /// The rollback failed: a human is needed now.
    RollbackFailed = 21,
    /// Interrupted (Ctrl-C, SIGTERM): `schleuse resume` goes on.
    Interrupted = 130,
}

impl Exit {
    /// Every code, in order.
    pub const ALL: [Self; 10] = [
        Self::Done,
        Self::Error,
        Self::Usage,
        Self::Blocked,
        Self::Untrusted,
        Self::LostRace,
        Self::Held,
        Self::RolledBack,
        Self::RollbackFailed,
        Self::Interrupted,
    ];

    /// The number the process ends with.
    pub const fn code(self) -> u8 {
        self as u8
    }

    /// One line for the table in the documentation.
    pub const fn meaning(self) -> &'static str {
        match self {
            Self::Done => "done, or already so",
            Self::Error => "error: nothing was decided; trying again may help",
            Self::Usage => "the command line or the configuration is wrong",
            Self::Blocked => "blocked: a check says no; nothing was changed",
            Self::Untrusted => "a signature, evidence or the journal is not trusted; nothing was changed",
            Self::LostRace => "lost a race against another promotion, and the plan no longer holds",
            Self::Held => "held: the rollout could not be judged, or waits for a person",
            Self::RolledBack => "rolled back: the system is safe, the release failed",
            Self::RollbackFailed => "the rollback failed: a human is needed now",
            Self::Interrupted => "interrupted; `schleuse resume` goes on",
        }
    }
}

/// An error that can say what to do about it. Implemented beside each error enum, rendered in one place of the command line.
///
/// `Display` is one line that says what happened; `source()` says why; `hints` say what to do, most useful first. Lines have no
/// closing full stop, commands stand in backticks.
pub trait Explain: Error + Send + Sync + 'static {
    /// The exit code this error ends the process with.
    fn exit(&self) -> Exit {
        Exit::Error
    }

    /// What the person can do, each one line.
    fn hints(&self) -> Vec<String> {
        Vec::new()
    }
}
