//! Where a run can be stopped: before and after each call it makes to the registry or to the target.

use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::mpsc::UnboundedSender;
use tokio::sync::{Notify, Semaphore};

/// One run's gate; each run has its own.
#[derive(Debug)]
pub(crate) struct Gate {
    passed: AtomicUsize,
    mode: Mode,
    /// A run here makes one call at a time, so that an order of calls can be told and repeated.
    turn: tokio::sync::Mutex<()>,
}

#[derive(Debug)]
enum Mode {
    Open,
    /// The run dies at that point.
    Kill {
        at: usize,
        dead: Notify,
    },
    /// The run waits at each point until it is let on.
    Stepped {
        arrived: UnboundedSender<usize>,
        id: usize,
        permits: Semaphore,
    },
}

impl Gate {
    pub(crate) const fn open() -> Self {
        Self { passed: AtomicUsize::new(0), turn: tokio::sync::Mutex::const_new(()), mode: Mode::Open }
    }

    pub(crate) fn kill(at: usize) -> Self {
        Self {
            passed: AtomicUsize::new(0),
            turn: tokio::sync::Mutex::const_new(()),
            mode: Mode::Kill { at, dead: Notify::new() },
        }
    }

    pub(crate) fn stepped(id: usize, arrived: UnboundedSender<usize>) -> Self {
        Self {
            passed: AtomicUsize::new(0),
            turn: tokio::sync::Mutex::const_new(()),
            mode: Mode::Stepped { arrived, id, permits: Semaphore::new(0) },
        }
    }

    /// Until dropped, no other call of this run is made.
    pub(crate) async fn turn(&self) -> tokio::sync::MutexGuard<'_, ()> {
        self.turn.lock().await
    }

    /// How many points were passed.
    pub(crate) fn passed(&self) -> usize {
        self.passed.load(Ordering::Relaxed)
    }

    /// A point at which the run can die.
    pub(crate) async fn pass(&self) {
        let point = self.passed.fetch_add(1, Ordering::Relaxed);
        match &self.mode {
            Mode::Open => {}
            Mode::Kill { at, dead } => {
                if point == *at {
                    dead.notify_one();
                    std::future::pending::<()>().await;
                }
            }
            Mode::Stepped { arrived, id, permits } => {
                // Nobody listens any more: the test is over, and the run is let on.
                if arrived.send(*id).is_ok() {
                    permits.acquire().await.unwrap().forget();
                }
            }
        }
    }

    /// A point within a step of the target. A run that others overtake is not stopped here: a target's lease ends with its
    /// process, and its fence is looked at when a step begins.
    pub(crate) async fn within(&self) {
        if matches!(self.mode, Mode::Kill { .. } | Mode::Open) {
            self.pass().await;
        }
    }

    /// A point after a call. For a stepped run it is the point before its next call.
    pub(crate) async fn after(&self) {
        self.within().await;
    }

    /// Lets a stepped run on to its next point.
    pub(crate) fn step(&self) {
        if let Mode::Stepped { permits, .. } = &self.mode {
            permits.add_permits(1);
        }
    }

    /// Runs to the end, or until it dies (`None`): then the whole future is dropped, as the process would be.
    pub(crate) async fn run<T>(&self, run: impl Future<Output = T>) -> Option<T> {
        match &self.mode {
            Mode::Kill { dead, .. } => tokio::select! {
                biased;
                () = dead.notified() => None,
                outcome = run => Some(outcome),
            },
            _ => Some(run.await),
        }
    }
}
