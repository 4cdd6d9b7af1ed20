//! Reading request bodies: bounded, counted, and never waiting longer than `Limits::stall` for the next piece.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use bytes::Bytes;
use http::HeaderMap;
use http::header::EXPECT;
use http_body_util::BodyExt;
use hyper::body::{Body as _, Incoming};

use crate::limits::Limits;
use crate::problem::Problem;

/// A request's body.
///
/// Dropped before its end, it is read on for a while and thrown away: a client that is still sending when the connection closes
/// is told that it broke, and not what we have answered ("the disk is full").
#[derive(Debug)]
pub(crate) struct Body {
    /// `None` only while it is dropped.
    incoming: Option<Incoming>,
    received: Arc<AtomicU64>,
    /// The client is not sending: it waits for us to read (`Expect`), or it has stood still.
    silent: bool,
}

/// How long what nobody wants any more is read: time enough to see an answer and stop.
const LINGER: Duration = Duration::from_secs(10);

impl Body {
    /// Counts what comes in `received`.
    pub(crate) fn new(incoming: Incoming, headers: &HeaderMap, received: Arc<AtomicU64>) -> Self {
        Self { incoming: Some(incoming), received, silent: headers.contains_key(EXPECT) }
    }

    /// The next piece; `None` at the end.
    pub(crate) async fn next(&mut self, limits: &Limits) -> Result<Option<Bytes>, Problem> {
        self.silent = false;
        let Some(incoming) = &mut self.incoming else { return Ok(None) };
        loop {
            let frame = tokio::time::timeout(limits.stall, incoming.frame()).await;
            let Ok(frame) = frame else {
                self.silent = true;
                return Err(Problem::stalled());
            };
            match frame {
                None => return Ok(None),
                Some(Err(error)) => return Err(Problem::body(&error.to_string())),
                // Trailers carry nothing for us.
                Some(Ok(frame)) => {
                    if let Ok(bytes) = frame.into_data() {
                        self.received.fetch_add(bytes.len() as u64, Relaxed);
                        return Ok(Some(bytes));
                    }
                }
            }
        }
    }

    /// A small body whole, at most `limit` bytes.
    pub(crate) async fn whole(mut self, limit: usize, limits: &Limits) -> Result<Bytes, Problem> {
        let mut all = Vec::new();
        while let Some(piece) = self.next(limits).await? {
            if all.len() + piece.len() > limit {
                return Err(Problem::too_large(limit as u64));
            }
            all.extend_from_slice(&piece);
        }
        Ok(all.into())
    }
}

impl Drop for Body {
    fn drop(&mut self) {
        let Some(mut rest) = self.incoming.take().filter(|rest| !self.silent && !rest.is_end_stream()) else { return };
        // Without a runtime there is no connection any more.
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            let read = async move { while let Some(Ok(_)) = rest.frame().await {} };
            runtime.spawn(tokio::time::timeout(LINGER, read));
        }
    }
}
