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

/// The operating system gives no thread.
#[derive(Debug, thiserror::Error)]
#[error("cannot start a thread")]
struct NoThread(#[source] std::io::Error);

impl Explain for NoThread {}

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
/// The stack of the thread that works: what a main thread has.
const STACK: usize = 8 << 20;

/// Runs what `work` begins until it ends or a signal comes; then it is dropped where it waits, which is safe wherever a kill is.
///
/// It has a thread of its own: reading a file or a line may block for as long as somebody else likes, and Ctrl-C must be heard then
/// too.
pub(crate) fn interruptible<F>(
    runtime: &Runtime,
    work: impl FnOnce() -> F + Send + 'static,
    hint: &'static str,
) -> Result<Exit, Failure>
where
    F: Future<Output = Result<Exit, Failure>>,
{
    let stop = {
        let _inside = runtime.enter();
        Stop::listen()?
    };
    let (dropped, drop_it) = oneshot::channel::<()>();
    let (done, mut outcome) = oneshot::channel();
    let handle = runtime.handle().clone();
    let run = move || {
        let outcome = handle.block_on(async {
            tokio::select! {
                biased;
                _ = drop_it => None,
                outcome = work() => Some(outcome),
            }
        });
        // Nobody waits for it any more only when the process ends.
        let _ = done.send(outcome);
    };
    let thread = std::thread::Builder::new().name("verb".to_owned()).stack_size(STACK).spawn(run).map_err(NoThread)?;
    let ended = runtime.block_on(async {
        let signal = tokio::select! {
            biased;
            ended = &mut outcome => return ended.ok().flatten(),
            signal = stop.asked() => signal,
        };
        drop(dropped);
        match tokio::time::timeout(TIDY, outcome).await {
            // It was done before it heard of the signal: what it has said is true.
            Ok(Ok(Some(Ok(exit)))) => Some(Ok(exit)),
            // It panicked.
            Ok(Err(_)) => None,
            _ => Some(Err(Interrupted { signal, hint }.into())),
        }
    });
    match (ended, thread) {
        (Some(ended), _) => ended,
        // Only a panic ends the thread without an outcome; it is handed on.
        (None, thread) => match thread.join() {
            Err(panic) => std::panic::resume_unwind(panic),
            Ok(()) => Ok(Exit::Error),
        },
    }
}
