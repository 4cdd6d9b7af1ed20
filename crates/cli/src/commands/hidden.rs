//! Verbs that `schleuse` starts itself with: the instance's supervisor and init, and the front door.
//!
//! They fork or enter namespaces, so they run before any thread exists; and they outlive the tool, so they own their exit codes.

use std::ffi::OsString;
use std::process::ExitCode;

use schleuse_deploy::{front_door, local};

/// Their arguments are their own business; the grammar only has to know their names.
#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    _arguments: Vec<OsString>,
}

/// Runs a hidden verb, if the command line names one.
pub(crate) fn dispatch(arguments: &[OsString]) -> Option<ExitCode> {
    let (verb, rest) = (arguments.get(1)?.to_str()?, arguments.iter().skip(2).cloned());
    match verb {
        local::init::VERB => Some(local::init::main(rest)),
        front_door::VERB => Some(front_door::main(rest)),
        _ => None,
    }
}
