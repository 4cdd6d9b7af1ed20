//! Reading request bodies: bounded, counted, and never waiting longer than `Limits::stall` for the next piece.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::body::Incoming;

use crate::limits::Limits;
use crate::problem::Problem;

/// A request's body.
#[derive(Debug)]
pub(crate) struct Body {
    incoming: Incoming,
    received: Arc<AtomicU64>,
}

impl Body {
    /// Counts what comes in `received`.
    pub(crate) fn new(incoming: Incoming, received: Arc<AtomicU64>) -> Self {
        Self { incoming, received }
    }

    /// The next piece; `None` at the end.
    pub(crate) async fn next(&mut self, limits: &Limits) -> Result<Option<Bytes>, Problem> {
        loop {
            let frame = tokio::time::timeout(limits.stall, self.incoming.frame()).await;
            match frame.map_err(|_| Problem::stalled())? {
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
