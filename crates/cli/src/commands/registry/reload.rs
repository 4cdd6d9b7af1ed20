//! What an operator's signal makes the registry read again, and what it asks of the operating system.

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::signal::Signal;
use schleuse_model::Explain as _;
use schleuse_registry::Limits;
use tokio::signal::unix::{Signal as Listener, SignalKind, signal};

use super::files::Files;
use crate::context::Context;
use crate::failure::Failure;
use crate::signals::NoSignals;

/// A write beyond `ulimit -f` fails from now on. By default its signal (SIGXFSZ) ends the process: one layer that is too large would
/// stop the registry for all.
pub(super) fn outlive_file_limits() -> Result<(), Failure> {
    // It stays caught when this is dropped.
    signal(SignalKind::from_raw(Signal::SIGXFSZ as i32)).map(drop).map_err(NoSignals::from)?;
    Ok(())
}

/// SIGHUP, caught from now on: before that it ends the process, so this comes before anybody is told that it listens.
pub(super) fn hangups() -> Result<Listener, Failure> {
    Ok(signal(SignalKind::hangup()).map_err(NoSignals::from)?)
}

/// On each SIGHUP: users, certificate and key again, the log anew. What fails is warned of, and stays as it was. Never ends.
pub(super) async fn on_hangup(mut hangups: Listener, files: &Files, context: &Context) {
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

/// What this process has room for: a connection takes a file and a transfer another, an upload in progress takes one even while nobody
/// sends. The soft limit is often 1,024, kept for programs that still use `select`; it is raised as far as that goes. With fewer
/// places, clients wait; without files, nobody would be let in.
pub(super) fn limits() -> Limits {
    let Ok((soft, hard)) = getrlimit(Resource::RLIMIT_NOFILE) else { return Limits::DEFAULT };
    within(if setrlimit(Resource::RLIMIT_NOFILE, hard, hard).is_ok() { hard } else { soft })
}

fn within(files: u64) -> Limits {
    let third = usize::try_from(files.saturating_sub(OTHER_FILES) / 3).unwrap_or(usize::MAX);
    let cut = |most: usize| third.clamp(1, most);
    let most = Limits::DEFAULT;
    Limits { connections: cut(most.connections), uploads: cut(most.uploads), ..most }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_at_once_fits_into_the_files_that_there_are() {
        for files in [0, 256, 1024, 3000, 4096, 1 << 20, u64::MAX] {
            let limits = within(files);
            let taken = (2 * limits.connections + limits.uploads) as u64 + OTHER_FILES;
            assert!(taken <= files.max(OTHER_FILES + 3), "{taken} of {files}");
            assert!(limits.connections <= Limits::DEFAULT.connections && limits.uploads <= Limits::DEFAULT.uploads);
        }
        assert_eq!(within(4096), Limits::DEFAULT);
    }
}
