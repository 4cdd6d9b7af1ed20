//! Ctrl-C and SIGTERM.

use schleuse_model::{Exit, Explain};
use tokio::signal::unix::{Signal, SignalKind, signal};

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

/// SIGINT and SIGTERM, caught from [`Stop::listen`] on.
#[derive(Debug)]
pub(crate) struct Stop {
    interrupt: Signal,
    terminate: Signal,
}

impl Stop {
    /// Catches the signals from now on.
    ///
    /// # Errors
    /// If no handler can be installed.
    pub(crate) fn listen() -> Result<Self, NoSignals> {
        Ok(Self { interrupt: signal(SignalKind::interrupt())?, terminate: signal(SignalKind::terminate())? })
    }

    /// Waits for one; answers which.
    pub(crate) async fn asked(mut self) -> &'static str {
        tokio::select! {
            _ = self.interrupt.recv() => "SIGINT",
            _ = self.terminate.recv() => "SIGTERM",
        }
    }
}

/// Runs `work` until it ends or a signal comes; then it is dropped where it waits, which is safe wherever a kill is.
pub(crate) async fn interruptible<F>(work: F, hint: &'static str) -> Result<Exit, Failure>
where
    F: Future<Output = Result<Exit, Failure>>,
{
    let stop = Stop::listen()?;
    tokio::select! {
        outcome = work => outcome,
        signal = stop.asked() => Err(Interrupted { signal, hint }.into()),
    }
}
