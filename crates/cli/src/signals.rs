//! Ctrl-C and SIGTERM.

use std::future::Future;

use schleuse_model::{Exit, Explain};
use tokio::signal::unix::{SignalKind, signal};

use crate::failure::Failure;

/// The person, or the machine that shuts down, stopped us.
#[derive(Debug, thiserror::Error)]
#[error("interrupted by {signal}")]
pub(crate) struct Interrupted {
    signal: &'static str,
    hint: &'static str,
}

impl Explain for Interrupted {
    fn exit(&self) -> Exit {
        Exit::Interrupted
    }

    fn hints(&self) -> Vec<String> {
        vec![self.hint.to_owned()]
    }
}

/// The operating system gives no signal handlers.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen for signals")]
pub(crate) struct NoSignals(#[from] std::io::Error);

impl Explain for NoSignals {}

/// Waits for SIGINT or SIGTERM; answers which.
///
/// # Errors
/// If no handler can be installed.
pub(crate) async fn stop_asked() -> Result<&'static str, NoSignals> {
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    Ok(tokio::select! {
        _ = interrupt.recv() => "SIGINT",
        _ = terminate.recv() => "SIGTERM",
    })
}

/// Runs `work` until it ends or a signal comes; then it is dropped where it waits, which is safe wherever a kill is.
pub(crate) async fn interruptible<F>(work: F, hint: &'static str) -> Result<Exit, Failure>
where
    F: Future<Output = Result<Exit, Failure>>,
{
    tokio::select! {
        outcome = work => outcome,
        signal = stop_asked() => Err(Interrupted { signal: signal?, hint }.into()),
    }
}
