//! What every verb is handed, and how a configuration becomes things that work.

use std::path::PathBuf;
use std::sync::Arc;

use schleuse_config::Flags;
use schleuse_config::env::{self, Environment};
use schleuse_model::{Clock, Exit, Explain, SystemClock, Timestamp};

use crate::environment::Variables;
use crate::failure::Failure;
use crate::output::Printer;
use crate::progress::Progress;
use crate::project::Project;

/// One run of the program.
#[derive(Debug)]
pub(crate) struct Context {
    /// Where answers and notes go.
    pub(crate) printer: Printer,
    /// The variables that count for configuration and connections.
    pub(crate) environment: Environment,
    /// The whole process environment: for `env://NAME` and what the configuration does not know.
    pub(crate) variables: Variables,
    /// The clock.
    pub(crate) clock: Arc<dyn Clock>,
    /// The configuration file that was named, by `--config` or `SCHLEUSE_CONFIG`.
    pub(crate) named_config: Option<PathBuf>,
}

/// The folder we are in cannot be found out: it was removed, or may not be read.
#[derive(Debug, thiserror::Error)]
#[error("cannot tell which folder this is")]
struct NoFolder(#[from] std::io::Error);

impl Explain for NoFolder {
    fn exit(&self) -> Exit {
        Exit::Error
    }
}

impl Context {
    /// A run on the machine's clock.
    pub(crate) fn new(printer: Printer, variables: Variables, config_flag: Option<PathBuf>) -> Self {
        let environment = variables.declared();
        let named_config = config_flag.or_else(|| environment.get(&env::SCHLEUSE_CONFIG).map(PathBuf::from));
        Self { printer, environment, variables, clock: Arc::new(SystemClock), named_config }
    }

    /// The time now.
    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// The folder we are in.
    pub(crate) fn folder(&self) -> Result<PathBuf, Failure> {
        Ok(std::env::current_dir().map_err(NoFolder)?)
    }

    /// A folder for temporary files, removed when dropped.
    pub(crate) fn work_folder(&self) -> Result<tempfile::TempDir, Failure> {
        let below = self.environment.get(&env::TMPDIR).unwrap_or("/tmp");
        let failed = |source| crate::files::FileError::Write { path: below.into(), source };
        Ok(tempfile::Builder::new().prefix("schleuse-").tempdir_in(below).map_err(failed)?)
    }

    /// The project around us: its configuration and what that describes.
    pub(crate) fn project(&self, flags: &Flags) -> Result<Project, Failure> {
        Project::load(self, flags)
    }

    /// A line on the terminal that says what takes its time, until dropped.
    pub(crate) fn progress(&self, text: &str) -> Progress {
        Progress::start(&self.printer, text)
    }
}
