//! Where wall time comes from. The cores take `now`; executors hold an `Arc<dyn Clock>`.

use std::fmt::Debug;

use crate::Timestamp;

/// A source of wall time.
pub trait Clock: Debug + Send + Sync {
    /// The wall time now, in whole milliseconds.
    fn now(&self) -> Timestamp;
}

/// The machine's clock. The one place where the wall time is read.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[allow(clippy::disallowed_methods, reason = "the one home of the wall clock")]
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(jiff::Timestamp::now().as_millisecond())
    }
}
