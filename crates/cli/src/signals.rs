//! Ctrl-C and SIGTERM.

use std::time::Duration;

use schleuse_model::{Exit, Explain};
use tokio::runtime::Runtime;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::oneshot;

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

/// How long interrupted work has to be dropped: it restores a terminal and removes temporary files. Work that does not even notice is
/// inside a call of the operating system that waits for somebody else (a FIFO, stdin, a file on a network); that one is left there.
const TIDY: Duration = Duration::from_secs(1);

/// Runs `work` until it ends or a signal comes; then it is dropped where it waits, which is safe wherever a kill is. Where it does not
/// notice, because reading a file or a line blocks for as long as somebody else likes, `stuck` ends the process.
///
/// The signal is waited for on the runtime's own threads, the work stays on this one: memory is cheaper here.
pub(crate) fn interruptible(
    runtime: &Runtime,
    work: impl Future<Output = Result<Exit, Failure>>,
    hint: &'static str,
    stuck: impl FnOnce(Failure) + Send + 'static,
) -> Result<Exit, Failure> {
    let stop = {
        let _inside = runtime.enter();
        Stop::listen()?
    };
    let (tell, told) = oneshot::channel();
    let watcher = runtime.spawn(async move {
        let signal = stop.asked().await;
        // Nobody to tell: the work is done.
        if tell.send(signal).is_ok() {
            tokio::time::sleep(TIDY).await;
            stuck(Interrupted { signal, hint }.into());
        }
    });
    let outcome = runtime.block_on(async {
        tokio::select! {
            biased;
            Ok(signal) = told => Err(Interrupted { signal, hint }.into()),
            outcome = work => outcome,
        }
    });
    watcher.abort();
    outcome
}
