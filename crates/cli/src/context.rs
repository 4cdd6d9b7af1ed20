//! What every verb is handed: the printer, the environment, and builders for what the configuration describes.

use std::path::PathBuf;
use std::sync::Arc;

use schleuse_model::{Clock, SystemClock};

use crate::environment::Variables;
use crate::output::Printer;

/// One run of the program.
#[derive(Debug)]
pub(crate) struct Context {
    /// Where answers and notes go.
    pub(crate) printer: Printer,
    /// The process environment.
    pub(crate) environment: Variables,
    /// The clock.
    pub(crate) clock: Arc<dyn Clock>,
    /// `--config`, as typed.
    pub(crate) config_flag: Option<PathBuf>,
}

impl Context {
    /// A run on the machine's clock.
    pub(crate) fn new(printer: Printer, environment: Variables, config_flag: Option<PathBuf>) -> Self {
        Self { printer, environment, clock: Arc::new(SystemClock), config_flag }
    }
}
