//! Who holds a place without using it. Places are bounded; without this, whoever opens as many connections and says nothing would
//! keep everybody else waiting, for as long as a header may take and then again ("slowloris").

use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::task::AbortHandle;
use tokio::time::Instant;

/// One connection: whether a request of its is being answered, and since when it has got nothing from us.
#[derive(Debug)]
pub(crate) struct Seat {
    requests: AtomicUsize,
    since: Mutex<Instant>,
}

impl Seat {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self { requests: AtomicUsize::new(0), since: Mutex::new(Instant::now()) })
    }

    /// Something has left for it: the end of an answer may still be on its way when the request counts as over. What it sends
    /// does not count, as a header may come byte by byte.
    pub(super) fn touch(&self) {
        *self.since.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
    }

    pub(super) fn busy(self: &Arc<Self>) -> Busy {
        self.requests.fetch_add(1, SeqCst);
        Busy(self.clone())
    }

    fn idle_since(&self) -> Option<Instant> {
        let since = *self.since.lock().unwrap_or_else(PoisonError::into_inner);
        (self.requests.load(SeqCst) == 0).then_some(since)
    }
}

/// A request of a connection, until its answer has left or is given up.
#[derive(Debug)]
pub(crate) struct Busy(Arc<Seat>);

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.touch();
        self.0.requests.fetch_sub(1, SeqCst);
    }
}

/// All connections.
#[derive(Debug, Default)]
pub(super) struct Seats(Vec<(Arc<Seat>, AbortHandle)>);

impl Seats {
    /// `places`: how many there may be at once.
    pub(super) fn add(&mut self, seat: Arc<Seat>, task: AbortHandle, places: usize) {
        if self.0.len() >= places.saturating_mul(2) {
            self.forget_ended();
        }
        self.0.push((seat, task));
    }

    fn forget_ended(&mut self) {
        self.0.retain(|(_, task)| !task.is_finished());
    }

    /// Ends the connection that has been idle longest, if that is `least` at least. Clients know that an idle connection may end.
    pub(super) fn shed(&mut self, least: Duration) {
        self.forget_ended();
        let idle = self.0.iter().filter_map(|(seat, task)| Some((seat.idle_since()?, task)));
        if let Some((since, task)) = idle.min_by_key(|(since, _)| *since)
            && since.elapsed() >= least
        {
            task.abort();
        }
    }
}
