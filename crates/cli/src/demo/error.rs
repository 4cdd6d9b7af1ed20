//! Why the demo stopped.

use std::io;
use std::path::PathBuf;

use schleuse_model::{Exit, Explain};

/// The demo did not go as it must.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DemoError {
    /// A verb ended otherwise than it must.
    #[error("`schleuse {command}` ended with {ended}, and must end with exit code {expected}")]
    Unexpected {
        /// The verb and its arguments.
        command: String,
        /// How it ended.
        ended: String,
        /// How it must end.
        expected: String,
    },
    /// Users noticed the rollout.
    #[error("{lost} of {sent} requests through the front door were lost during the rollout")]
    Lost {
        /// How many.
        lost: u32,
        /// Of how many.
        sent: u32,
    },
    /// A file cannot be used.
    #[error("cannot use {}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The folder is not a demo's.
    #[error("{} is not a folder that the demo made", .0.display())]
    NotADemo(PathBuf),
    /// What is running cannot be told.
    #[error("cannot find out what this program is made of: {0}")]
    Self_(&'static str),
    /// Something does not answer as it must.
    #[error("{0}")]
    Wrong(String),
}

impl Explain for DemoError {
    fn exit(&self) -> Exit {
        match self {
            Self::NotADemo(_) => Exit::Usage,
            _ => Exit::Error,
        }
    }

    fn hints(&self) -> Vec<String> {
        match self {
            Self::Unexpected { .. } => {
                vec!["its own output stands above; `schleuse demo --keep` leaves everything to look at".to_owned()]
            }
            _ => Vec::new(),
        }
    }
}

/// A file that cannot be used, for `map_err`.
pub(crate) fn file(path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> DemoError {
    let path = path.into();
    move |source| DemoError::File { path, source }
}
