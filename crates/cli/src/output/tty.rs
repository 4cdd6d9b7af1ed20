//! What is known of the terminal, if there is one.

use std::io::IsTerminal as _;

/// Which streams are a terminal. Asked once, at the start.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Terminal {
    /// A person can be asked.
    pub(crate) stdin: bool,
    /// The answer is read by a person.
    pub(crate) stdout: bool,
    /// Notes are read by a person.
    pub(crate) stderr: bool,
}

impl Terminal {
    /// Asks the operating system.
    pub(crate) fn detect() -> Self {
        Self {
            stdin: std::io::stdin().is_terminal(),
            stdout: std::io::stdout().is_terminal(),
            stderr: std::io::stderr().is_terminal(),
        }
    }
}
