//! What the tool, the supervisor and the instance's init tell each other.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::identity::Identity;
use crate::target::Ended;

/// One start of an instance, written by the tool.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Spec {
    /// Counts the starts of this instance.
    pub(crate) launch: u64,
    /// The unpacked image.
    pub(crate) root: PathBuf,
    /// The host name inside.
    pub(crate) hostname: String,
    /// The program and its arguments.
    pub(crate) argv: Vec<String>,
    /// Its whole environment.
    pub(crate) env: BTreeMap<String, String>,
    /// Its working directory, inside.
    pub(crate) folder: String,
    /// As whom it runs, inside; never 0.
    pub(crate) uid: u32,
    /// Its group, inside; never 0.
    pub(crate) gid: u32,
    /// The signal that asks it to stop.
    pub(crate) stop_signal: i32,
    /// Seconds it has after that.
    pub(crate) stop_grace: u32,
    /// Where it is to listen.
    pub(crate) address: SocketAddr,
}

/// Written by the supervisor once the program runs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Running {
    pub(crate) address: SocketAddr,
    /// Who wrote it: a record of another supervisor than the living one is an old one.
    pub(crate) supervisor: Identity,
    /// Process 1 of the instance, seen from outside.
    pub(crate) init: Identity,
}

/// Written by the supervisor once the program has ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Exit {
    pub(crate) launch: u64,
    pub(crate) ended: Ended,
}

/// One line from init to the supervisor.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "is", rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) enum Report {
    Started,
    Ended { ended: Ended },
}

/// The most of a line from init that is read.
pub(crate) const REPORT_LIMIT: usize = 4096;
