//! What an operator's signal makes the registry read again, and what it asks of the operating system.

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use schleuse_model::Explain as _;
use schleuse_registry::Limits;
use tokio::signal::unix::{SignalKind, signal};

use super::files::Files;
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

/// Files beside those of connections: the runtime's, the log, locks, folders that are being synced.
const OTHER_FILES: u64 = 128;

/// How many connections this process has room for: each takes a file, and a transfer another. The soft limit is often 1,024, kept
/// for programs that still use `select`; it is raised as far as that goes. With fewer places, clients wait; without files, they
/// would be refused.
pub(super) fn connections() -> usize {
    let most = Limits::DEFAULT.connections;
    let Ok((soft, hard)) = getrlimit(Resource::RLIMIT_NOFILE) else { return most };
    let files = if setrlimit(Resource::RLIMIT_NOFILE, hard, hard).is_ok() { hard } else { soft };
    usize::try_from(files.saturating_sub(OTHER_FILES) / 2).unwrap_or(most).clamp(1, most)
}
