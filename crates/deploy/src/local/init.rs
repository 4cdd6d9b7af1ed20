//! What starts an instance and stays with it: the hidden verb `schleuse local-init`.
//!
//! # Expected flow
//!
//! Two processes of our own binary stand between the tool and the release:
//! 1. The **supervisor** ([`supervisor`]) lives outside, in a session of its own, and outlives the tool. It holds the instance's
//!    lock, copies its output into a log that cannot grow without end, passes on the request to stop, kills what does not heed
//!    it, and records how it ended.
//! 2. The **init** ([`inner`]) is process 1 inside: it builds the sandbox, gives up every right, starts the release, reaps, and
//!    reports.
//!
//! # Guarantees
//! - The release sees its own processes, a read-only root, a private `/tmp` and `/dev/shm`, a minimal `/dev`, and no
//!   capabilities; it is never root, not even within; it cannot gain rights from a file (`no_new_privs`).
//! - If the supervisor dies, however it dies, the release dies: by the parent-death signal, and because init's line to the
//!   supervisor ends.
//! - One supervisor an instance: the second finds the lock taken and ends.
//!
//! # Caveats
//! Linux only. The host's network; no limits on memory or processor time (no cgroup); no seccomp filter; one user id. It keeps
//! an honest release apart from the machine and from its neighbours; it is not a wall against a kernel exploit.

mod inner;
mod sandbox;
mod supervisor;

use std::ffi::{OsStr, OsString};
use std::io::Write as _;
use std::path::Path;
use std::process::ExitCode;

/// The hidden verb under which [`main`] is reached.
pub const VERB: &str = "local-init";

pub(crate) const SPEC: &str = "--spec";
const INNER: &str = "--inner";

/// Runs the verb. `args` are the arguments after it. To be called before any thread was started: an unprivileged user
/// namespace can be entered by a single-threaded process only.
pub fn main(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    let args: Vec<OsString> = args.into_iter().collect();
    match args.as_slice() {
        [flag, path] if flag == OsStr::new(SPEC) => supervisor::main(Path::new(path)),
        [flag, path] if flag == OsStr::new(INNER) => inner::main(Path::new(path)),
        _ => {
            complain("this is an internal command of schleuse's local target");
            ExitCode::from(2)
        }
    }
}

/// To the log: there is no user at this end.
fn complain(what: &str) {
    // Nobody is left to tell if that fails.
    let _ = writeln!(std::io::stderr(), "schleuse: {what}");
}
