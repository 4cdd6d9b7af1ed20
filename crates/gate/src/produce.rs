//! Producing evidence.

use std::fmt::Debug;
use std::path::PathBuf;
use std::time::Duration;

use async_trait::async_trait;
use schleuse_model::predicate::test_result::TestResult;
use schleuse_model::{EnvironmentName, Exit, Explain, PinnedRef};
use schleuse_process::ProcessError;

use crate::CheckId;

/// What a producer runs against.
#[derive(Clone, Debug)]
pub struct Subject {
    /// The release, by digest.
    pub image: PinnedRef,
    /// The environment it is to enter.
    pub environment: EnvironmentName,
    /// Where the release under test answers, if it was started for the check.
    pub base_url: Option<String>,
}

/// Runs something and returns an unsigned statement; `promote` signs and stores it. A producer holds no key.
#[async_trait]
pub trait Producer: Debug + Send + Sync {
    /// Runs it.
    ///
    /// # Errors
    /// [`ProduceError`] if there is no result: not started, not done in time, lost. A test that fails is a result.
    async fn produce(&self, subject: &Subject) -> Result<Produced, ProduceError>;
}

/// An unsigned test result.
#[derive(Clone, Debug)]
pub struct Produced {
    /// The check it is for.
    pub check: CheckId,
    /// The predicate.
    pub result: TestResult,
    /// How long it took.
    pub took: Duration,
    /// The last lines it wrote, redacted and cleaned, for people.
    pub last_lines: Vec<String>,
}

/// Why there is no result: "don't know".
#[derive(Debug, thiserror::Error)]
pub enum ProduceError {
    /// The program gave no result.
    #[error("{check} has no result")]
    Process {
        /// The check.
        check: CheckId,
        /// Why.
        source: ProcessError,
    },
    /// A signal ended the program: out of memory, or somebody's kill. It did not say no; it did not say anything.
    #[error("{check} has no result: {how}")]
    Killed {
        /// The check.
        check: CheckId,
        /// How it ended.
        how: schleuse_process::Ended,
    },
    /// A script is not the one the plan was made with.
    #[error("{check}: `{}` is not the file that the plan was made with", path.display())]
    ScriptChanged {
        /// The check.
        check: CheckId,
        /// The script.
        path: PathBuf,
    },
    /// A script cannot be read.
    #[error("{check}: `{}` cannot be read", path.display())]
    ScriptUnreadable {
        /// The check.
        check: CheckId,
        /// The script.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
}

impl Explain for ProduceError {
    fn exit(&self) -> Exit {
        match self {
            Self::Process { source, .. } => source.exit(),
            _ => Exit::Error,
        }
    }

    fn hints(&self) -> Vec<String> {
        match self {
            Self::Process { source, .. } => source.hints(),
            Self::ScriptChanged { .. } => vec!["make a new plan: promote again".to_owned()],
            _ => Vec::new(),
        }
    }
}
