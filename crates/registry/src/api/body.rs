//! Reading request bodies: bounded, and never waiting longer than `Limits::stall` for the next piece.

use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::body::Incoming;

use crate::limits::Limits;
use crate::problem::Problem;

/// The next piece; `None` at the end.
pub(crate) async fn next(body: &mut Incoming, limits: &Limits) -> Result<Option<Bytes>, Problem> {
    loop {
        let frame = tokio::time::timeout(limits.stall, body.frame()).await.map_err(|_| Problem::stalled())?;
        match frame {
            None => return Ok(None),
            Some(Err(error)) => return Err(Problem::body(&error.to_string())),
            // Trailers carry nothing for us.
            Some(Ok(frame)) => {
                if let Ok(bytes) = frame.into_data() {
                    return Ok(Some(bytes));
                }
            }
        }
    }
}

/// A small body whole, at most `limit` bytes.
pub(crate) async fn whole(mut body: Incoming, limit: usize, limits: &Limits) -> Result<Bytes, Problem> {
    let mut all = Vec::new();
    while let Some(piece) = next(&mut body, limits).await? {
        if all.len() + piece.len() > limit {
            return Err(Problem::too_large(limit as u64));
        }
        all.extend_from_slice(&piece);
    }
    Ok(all.into())
}
