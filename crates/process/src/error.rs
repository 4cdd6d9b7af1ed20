//! Why a program did not run to its end.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use schleuse_model::time::human;
use schleuse_model::{Exit, Explain};

use crate::{Captured, Ended};

/// Why a program did not run, or not to its end. A program that ran and ended badly is [`Finished`](crate::Finished), and
/// becomes [`Failed`](Self::Failed) only when the caller asks for success.
#[derive(Debug, thiserror::Error)]
pub enum ProcessError {
    /// No such file in any place it was looked for.
    #[error("`{program}` was not found")]
    NotFound {
        /// The program as it was named.
        program: String,
        /// Every path that was tried.
        searched: Vec<PathBuf>,
    },
    /// It is there, and is a folder or not marked executable.
    #[error("`{}` is not an executable file", path.display())]
    NotExecutable {
        /// The path found.
        path: PathBuf,
    },
    /// A bare name without a search path, or a relative path without an absolute folder to start from. A mistake of the caller.
    #[error("`{program}` is no absolute path, and no place to look for it was given")]
    NoSearchPath {
        /// The program as it was named.
        program: String,
    },
    /// The system refused to start it.
    #[error("`{program}` could not be started")]
    Start {
        /// The program as it was named.
        program: String,
        /// The system's reason.
        source: io::Error,
    },
    /// Its end or its output could not be read: nothing is known about how it ended.
    #[error("lost track of `{program}`")]
    Lost {
        /// The program as it was named.
        program: String,
        /// The system's reason.
        source: io::Error,
    },
    /// It was still running at its deadline and was stopped, with everything it had started.
    #[error("`{program}` was stopped: not done after {}", human(*deadline))]
    Deadline {
        /// The program as it was named.
        program: String,
        /// The deadline it had.
        deadline: Duration,
        /// What it had written until then.
        stdout: Captured,
        /// What it had complained about until then.
        stderr: Captured,
    },
    /// It ran and did not succeed, and the caller needed success.
    #[error("`{program}` failed: {ended}{}{last_words}", if last_words.is_empty() { "" } else { ": " })]
    Failed {
        /// The program as it was named.
        program: String,
        /// How it ended.
        ended: Ended,
        /// The last lines it wrote, redacted, cleaned and shortened.
        last_words: String,
    },
    /// The log file of a detached program could not be opened.
    #[error("the log file `{}` could not be opened", path.display())]
    Log {
        /// The log file.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// A detached program ended before it stood on its own.
    #[error("`{program}` ended at once: {ended}")]
    EndedAtOnce {
        /// The program as it was named.
        program: String,
        /// How it ended.
        ended: Ended,
        /// Where its output is.
        log: PathBuf,
    },
    /// A detached program did not make itself leader of a session in time, and was stopped.
    #[error("`{program}` did not detach itself within {}", human(*deadline))]
    NotDetached {
        /// The program as it was named.
        program: String,
        /// How long it was waited for.
        deadline: Duration,
    },
}

impl Explain for ProcessError {
    fn exit(&self) -> Exit {
        match self {
            Self::NotFound { .. } | Self::NotExecutable { .. } => Exit::Usage,
            _ => Exit::Error,
        }
    }

    fn hints(&self) -> Vec<String> {
        match self {
            Self::NotFound { program, searched } if !program.contains('/') => {
                let folders: Vec<_> = searched
                    .iter()
                    .filter_map(|path| path.parent())
                    .take(12)
                    .map(|p| p.display().to_string())
                    .collect();
                vec![format!("install `{program}`, or put its folder on PATH; looked in {}", folders.join(", "))]
            }
            Self::NotFound { searched, .. } => {
                searched.iter().take(1).map(|path| format!("there is no `{}`", path.display())).collect()
            }
            Self::NotExecutable { path } => vec![format!("if it is a program: `chmod +x {}`", path.display())],
            Self::Start { source, .. } if source.kind() == io::ErrorKind::NotFound => {
                vec!["if it is a script, the interpreter in its first line is missing".to_owned()]
            }
            Self::Deadline { stderr, stdout, .. } => {
                let words = if stderr.text().trim().is_empty() { stdout } else { stderr };
                words.last_lines(1).into_iter().map(|line| format!("its last line was: {line}")).collect()
            }
            Self::EndedAtOnce { log, .. } => vec![format!("see `{}`", log.display())],
            _ => Vec::new(),
        }
    }
}
