//! Verbs that `schleuse` starts itself with. They replace or fork the process, so they run before any thread exists.

use std::ffi::OsString;
use std::process::ExitCode;

/// Their arguments are their own business; the grammar only has to know their names.
#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    _arguments: Vec<OsString>,
}

/// Runs a hidden verb, if the command line names one.
pub(crate) fn dispatch(arguments: &[OsString]) -> Option<ExitCode> {
    match arguments.get(1)?.to_str()? {
        _ => None,
    }
}
