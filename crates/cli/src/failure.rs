//! Any error of any crate, on its way to the person.

use std::error::Error;

use schleuse_model::{Exit, Explain};
use serde::Serialize;

/// An error with its exit code and hints. `?` turns every [`Explain`] error into one.
#[derive(Debug)]
pub(crate) struct Failure(Box<dyn Explain>);

impl<E: Explain> From<E> for Failure {
    fn from(error: E) -> Self {
        Self(Box::new(error))
    }
}

/// What a failure says, ready to be rendered. This struct *is* the JSON (`error` in `json-v1`).
#[derive(Debug, Serialize)]
pub(crate) struct FailureReport {
    /// The exit code's name: stable, for scripts.
    pub(crate) code: &'static str,
    /// What happened, one line.
    pub(crate) message: String,
    /// Why, outermost first, each one line.
    pub(crate) causes: Vec<String>,
    /// What to do, most useful first.
    pub(crate) hints: Vec<String>,
    /// The process's exit code.
    pub(crate) exit: u8,
}

impl Failure {
    /// The exit code it ends the process with.
    pub(crate) fn exit(&self) -> Exit {
        self.0.exit()
    }

    /// What it says.
    pub(crate) fn report(&self) -> FailureReport {
        // A text of several lines says what in the first, and lists why below (the mistakes of a configuration).
        let text = self.0.to_string();
        let mut lines = text.lines().map(one_line).filter(|line| !line.is_empty());
        let message = lines.next().unwrap_or_default();
        let mut causes: Vec<String> = lines.take(64).collect();
        let mut next: Option<&(dyn Error + 'static)> = self.0.source();
        // A chain deeper than this is a bug or an attack on the reader's patience.
        while let Some(cause) = next.filter(|_| causes.len() < 80) {
            let line = one_line(&cause.to_string());
            // Some errors repeat their source in their own text: once is enough.
            if !causes.last().unwrap_or(&message).contains(&line) {
                causes.push(line);
            }
            next = cause.source();
        }
        let hints = self.0.hints().iter().map(|hint| one_line(hint)).collect();
        FailureReport { code: code(self.exit()), message, causes, hints, exit: self.exit().code() }
    }
}

/// The stable name of an exit code.
const fn code(exit: Exit) -> &'static str {
    match exit {
        Exit::Done => "done",
        Exit::Error => "error",
        Exit::Usage => "usage",
        Exit::Blocked => "blocked",
        Exit::Untrusted => "untrusted",
        Exit::LostRace => "lost-race",
        Exit::Held => "held",
        Exit::RolledBack => "rolled-back",
        Exit::RollbackFailed => "rollback-failed",
        Exit::Interrupted => "interrupted",
    }
}

/// One line without characters a terminal would act on. An error's text may quote what a registry or a program said.
pub(crate) fn one_line(text: &str) -> String {
    let shown: String = text.trim().chars().map(|c| if c.is_control() { ' ' } else { c }).take(1000).collect();
    shown.split(' ').filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("cannot sign\u{1b}[31mthe image\nsecond line")]
    struct Outer(#[source] Middle);
    #[derive(Debug, thiserror::Error)]
    #[error("the key is locked: wrong password")]
    struct Middle(#[source] Inner);
    #[derive(Debug, thiserror::Error)]
    #[error("wrong password")]
    struct Inner;

    impl Explain for Outer {
        fn exit(&self) -> Exit {
            Exit::Usage
        }
        fn hints(&self) -> Vec<String> {
            vec!["set COSIGN_PASSWORD".to_owned()]
        }
    }

    #[test]
    fn what_why_and_what_to_do() {
        let report = Failure::from(Outer(Middle(Inner))).report();
        assert_eq!(report.message, "cannot sign [31mthe image");
        assert_eq!(report.causes, ["second line", "the key is locked: wrong password"]);
        assert_eq!(report.hints, ["set COSIGN_PASSWORD"]);
        assert_eq!((report.code, report.exit), ("usage", 2));
    }
}
