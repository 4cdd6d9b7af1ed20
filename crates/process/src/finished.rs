//! How a run ended.

use std::fmt;
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;
use std::time::Duration;

use crate::{Captured, ProcessError};

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// It exited with this code, 0 to 255.
    Code(i32),
    /// A signal ended it (the number as in signal(7)).
    Signal(i32),
}

impl Ended {
    /// Whether it exited with code 0.
    pub const fn success(self) -> bool {
        matches!(self, Self::Code(0))
    }
}

impl From<ExitStatus> for Ended {
    fn from(status: ExitStatus) -> Self {
        match (status.code(), status.signal()) {
            (Some(code), _) => Self::Code(code),
            (None, signal) => Self::Signal(signal.unwrap_or(0)),
        }
    }
}

impl fmt::Display for Ended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Code(code) => write!(f, "exit code {code}"),
            Self::Signal(number) => match nix::sys::signal::Signal::try_from(number) {
                Ok(signal) => write!(f, "killed by {}", signal.as_str()),
                Err(_) => write!(f, "killed by signal {number}"),
            },
        }
    }
}

/// A program that ran to its end, well or badly. `Debug` shows sizes, not output: what a credential helper prints is a secret
/// that nobody could have named beforehand.
pub struct Finished {
    pub(crate) program: String,
    /// How it ended.
    pub ended: Ended,
    /// Its standard output, redacted.
    pub stdout: Captured,
    /// Its standard error, redacted.
    pub stderr: Captured,
    /// How long it ran, from its start until its output was read.
    pub took: Duration,
}

impl Finished {
    /// Whether it exited with code 0.
    pub const fn success(&self) -> bool {
        self.ended.success()
    }

    /// Turns any other end into an error that quotes the last lines of standard error (of standard output, where that is empty).
    ///
    /// # Errors
    /// [`ProcessError::Failed`].
    pub fn require_success(self) -> Result<Self, ProcessError> {
        if self.success() {
            return Ok(self);
        }
        let words = if self.stderr.text().trim().is_empty() { &self.stdout } else { &self.stderr };
        Err(ProcessError::Failed {
            program: self.program,
            ended: self.ended,
            last_words: words.last_lines(5).join(" | "),
        })
    }
}

impl fmt::Debug for Finished {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Finished")
            .field("program", &self.program)
            .field("ended", &self.ended)
            .field("stdout", &self.stdout)
            .field("stderr", &self.stderr)
            .field("took", &self.took)
            .finish()
    }
}
