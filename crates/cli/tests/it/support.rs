//! Runs the binary: nothing of the surrounding environment reaches it.

use std::path::Path;
use std::process::{Command, Output, Stdio};

/// A run of the binary.
pub(crate) struct Run(Command);

/// `schleuse ARGUMENTS` in `folder`.
#[allow(clippy::disallowed_methods, reason = "a test starts the program under test")]
pub(crate) fn schleuse(folder: &Path, arguments: &[&str]) -> Run {
    let mut command = Command::new(env!("CARGO_BIN_EXE_schleuse"));
    command.args(arguments).current_dir(folder).env_clear().env("HOME", folder).env("PATH", "/usr/bin:/bin");
    command.stdin(Stdio::null());
    Run(command)
}

impl Run {
    /// With this variable.
    pub(crate) fn env(mut self, name: &str, value: &str) -> Self {
        self.0.env(name, value);
        self
    }

    /// Runs it to its end.
    pub(crate) fn done(mut self) -> Done {
        Done(self.0.output().expect("the binary starts"))
    }

    /// The command, to be started by the caller.
    pub(crate) fn command(self) -> Command {
        self.0
    }
}

/// What a run gave.
pub(crate) struct Done(Output);

impl Done {
    /// The exit code; the whole output if it is another one.
    #[track_caller]
    pub(crate) fn exits(self, code: i32) -> Self {
        assert_eq!(self.0.status.code(), Some(code), "stdout:\n{}\nstderr:\n{}", self.stdout(), self.stderr());
        self
    }

    pub(crate) fn stdout(&self) -> String {
        String::from_utf8_lossy(&self.0.stdout).into_owned()
    }

    pub(crate) fn stderr(&self) -> String {
        String::from_utf8_lossy(&self.0.stderr).into_owned()
    }

    /// stdout as JSON.
    #[allow(clippy::disallowed_methods, reason = "a test reads the output of the program under test")]
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.stdout()).unwrap_or_else(|error| panic!("{error} in {}", self.stdout()))
    }
}
