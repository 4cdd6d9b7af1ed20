//! What an operator's signal makes the registry read again, and what it asks of the operating system.

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use schleuse_model::Explain as _;
use tokio::signal::unix::{SignalKind, signal};

use super::serve::Files;
use crate::context::Context;
use crate::failure::Failure;
use crate::signals::NoSignals;

/// On each SIGHUP: users, certificate and key again, the log anew. What fails is warned of, and stays as it was. Never ends.
pub(super) async fn on_hangup(files: &Files, context: &Context) -> Result<(), Failure> {
    let mut hangups = signal(SignalKind::hangup()).map_err(NoSignals::from)?;
    while hangups.recv().await.is_some() {
        let users = files.users.as_ref().map(schleuse_registry::Users::reload);
        let tls = files.tls.as_ref().map(schleuse_registry::Tls::reload);
        if let Some(log) = &files.log {
            log.reopen();
        }
        let mut failed = false;
        for error in [users, tls].into_iter().flatten().filter_map(Result::err) {
            failed = true;
            let hints = error.hints().join("; ");
            context.printer.warn(&format!("SIGHUP: {error}: what was read before still holds ({hints})"));
        }
        if !failed {
            context.printer.note("SIGHUP: read again");
        }
    }
    // The signals do not end while the process lives.
    std::future::pending().await
}

/// Each connection takes a file, and a transfer another: the soft limit is often 1,024, kept for programs that still use
/// `select`. If it cannot be raised, connections beyond it wait.
pub(super) fn raise_open_files() {
    if let Ok((_, hard)) = getrlimit(Resource::RLIMIT_NOFILE) {
        let _ = setrlimit(Resource::RLIMIT_NOFILE, hard, hard);
    }
}
