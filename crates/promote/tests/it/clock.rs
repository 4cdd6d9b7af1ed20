//! A wall clock that goes with the runtime's paused time, and jumps when told to.

use std::sync::atomic::{AtomicI64, Ordering};

use schleuse_model::{Clock, Timestamp};
use tokio::time::Instant;

#[derive(Debug)]
pub(crate) struct ManualClock {
    started: Instant,
    jumped: AtomicI64,
}

impl ManualClock {
    pub(crate) fn new() -> Self {
        Self { started: Instant::now(), jumped: AtomicI64::new(0) }
    }

    /// Seconds forwards, or backwards.
    pub(crate) fn jump(&self, seconds: i64) {
        self.jumped.fetch_add(seconds * 1000, Ordering::Relaxed);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        let elapsed = i64::try_from(self.started.elapsed().as_millis()).unwrap();
        Timestamp::from_millis(1_795_000_000_000 + elapsed + self.jumped.load(Ordering::Relaxed))
    }
}
