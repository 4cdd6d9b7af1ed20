//! What is to be run, said before it runs.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use schleuse_model::Secret;

use crate::DEFAULT_OUTPUT_LIMIT;

/// How long a program may run when the caller says nothing: 60 s.
///
/// Long enough for a `git push` over a bad line, short enough that a credential helper that waits for a person who is not there
/// is noticed within one. Checks and migrations bring their own figure.
pub const DEFAULT_DEADLINE: Duration = Duration::from_secs(60);

/// A program, its arguments, and the limits it runs under.
///
/// ```no_run
/// # async fn example() -> Result<(), schleuse_process::ProcessError> {
/// let head = schleuse_process::Program::new("git")
///     .search_path("/usr/bin:/bin")
///     .args(["rev-parse", "HEAD"])
///     .current_dir("/srv/checkout")
///     .run()
///     .await?
///     .require_success()?;
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct Program {
    pub(crate) program: OsString,
    pub(crate) args: Vec<OsString>,
    pub(crate) env: BTreeMap<OsString, OsString>,
    pub(crate) secret_env: BTreeMap<OsString, Secret<String>>,
    pub(crate) search_path: Option<OsString>,
    pub(crate) current_dir: Option<PathBuf>,
    pub(crate) stdin: Option<Secret<Vec<u8>>>,
    pub(crate) deadline: Duration,
    pub(crate) output_limit: usize,
    pub(crate) secrets: Vec<Secret<String>>,
}

impl Program {
    /// A program by name (then [`search_path`](Self::search_path) is needed), by absolute path, or by a relative path with a
    /// slash in it (then it is looked for under [`current_dir`](Self::current_dir), which is needed).
    pub fn new(program: impl Into<OsString>) -> Self {
        Self {
            program: program.into(),
            args: Vec::new(),
            env: BTreeMap::new(),
            secret_env: BTreeMap::new(),
            search_path: None,
            current_dir: None,
            stdin: None,
            deadline: DEFAULT_DEADLINE,
            output_limit: DEFAULT_OUTPUT_LIMIT,
            secrets: Vec::new(),
        }
    }

    /// One more argument. Never a secret: arguments are public on the machine (`/proc/<pid>/cmdline`).
    #[must_use]
    pub fn arg(mut self, arg: impl Into<OsString>) -> Self {
        self.args.push(arg.into());
        self
    }

    /// More arguments.
    #[must_use]
    pub fn args<A: Into<OsString>>(mut self, args: impl IntoIterator<Item = A>) -> Self {
        self.args.extend(args.into_iter().map(Into::into));
        self
    }

    /// An environment variable. Nothing is inherited, so what is not named here (or by [`search_path`](Self::search_path)) is
    /// not set.
    #[must_use]
    pub fn env(mut self, key: impl Into<OsString>, value: impl Into<OsString>) -> Self {
        self.env.insert(key.into(), value.into());
        self
    }

    /// An environment variable whose value is redacted from the output. Wins over [`env`](Self::env) with the same key.
    #[must_use]
    pub fn secret_env(mut self, key: impl Into<OsString>, value: &Secret<String>) -> Self {
        self.secret_env.insert(key.into(), value.clone());
        self.redact(value.clone())
    }

    /// Where to look for a program given by name: folders separated by colons, as in `PATH`. The program gets it as its `PATH`
    /// too, unless [`env`](Self::env) names another. Entries that are not absolute (the empty one means "here") are skipped:
    /// a checkout must not be able to bring its own `git`.
    #[must_use]
    pub fn search_path(mut self, path: impl Into<OsString>) -> Self {
        self.search_path = Some(path.into());
        self
    }

    /// The folder the program starts in. Default: the caller's own.
    #[must_use]
    pub fn current_dir(mut self, path: impl Into<PathBuf>) -> Self {
        self.current_dir = Some(path.into());
        self
    }

    /// What the program reads on its standard input. Default: nothing (`/dev/null`). A program that does not read it all is no
    /// error.
    #[must_use]
    pub fn stdin(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.stdin = Some(Secret::new(bytes.into()));
        self
    }

    /// How long it may run, from the start. Default: [`DEFAULT_DEADLINE`].
    #[must_use]
    pub const fn deadline(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }

    /// How many bytes of each stream are kept. Default: [`DEFAULT_OUTPUT_LIMIT`].
    #[must_use]
    pub const fn output_limit(mut self, bytes: usize) -> Self {
        self.output_limit = bytes;
        self
    }

    /// A secret that may turn up in the output: every occurrence becomes `[redacted]` (see [`redact`](crate::redact)).
    #[must_use]
    pub fn redact(mut self, secret: Secret<String>) -> Self {
        self.secrets.push(secret);
        self
    }

    /// The program as it was named, for messages.
    pub(crate) fn name(&self) -> String {
        self.program.to_string_lossy().into_owned()
    }

    /// The environment of the program: exactly this.
    pub(crate) fn environment(&self) -> BTreeMap<&OsStr, &OsStr> {
        let mut all = BTreeMap::new();
        if let Some(path) = &self.search_path {
            all.insert(OsStr::new("PATH"), path.as_os_str());
        }
        all.extend(self.env.iter().map(|(key, value)| (key.as_os_str(), value.as_os_str())));
        all.extend(self.secret_env.iter().map(|(key, value)| (key.as_os_str(), OsStr::new(value.expose().as_str()))));
        all
    }
}

impl fmt::Debug for Program {
    /// Names, never values: a value that was passed by `env` although it is a secret does not print either.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let environment = self.environment();
        f.debug_struct("Program")
            .field("program", &self.program)
            .field("args", &self.args)
            .field("env", &environment.keys().collect::<Vec<_>>())
            .field("current_dir", &self.current_dir)
            .field("deadline", &self.deadline)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neither_secrets_nor_values_print() {
        let token = Secret::new("hunter2".to_owned());
        let program = Program::new("git").env("HOME", "/home/me").secret_env("TOKEN", &token).stdin("hunter2");
        let shown = format!("{program:?}");
        assert!(shown.contains("TOKEN") && !shown.contains("hunter2") && !shown.contains("/home/me"), "{shown}");
    }

    #[test]
    fn a_secret_wins_over_a_plain_value_of_the_same_name() {
        let program =
            Program::new("x").secret_env("A", &Secret::new("s".to_owned())).env("A", "plain").search_path("/bin");
        let env = program.environment();
        assert_eq!(env.get(OsStr::new("A")), Some(&OsStr::new("s")));
        assert_eq!(env.get(OsStr::new("PATH")), Some(&OsStr::new("/bin")));
        assert_eq!(env.len(), 2);
    }
}
