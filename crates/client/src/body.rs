//! Reading an answer's body: bounded, never waiting long, verified. The one home of body reads.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use reqwest::Response;
use schleuse_model::{Digest, Hasher};
use schleuse_oci::Error;
use tokio::time::{Instant, timeout_at};

use crate::transport::describe;

/// A body and how long it may take.
#[derive(Debug)]
pub(crate) struct Incoming {
    pub(crate) response: Response,
    pub(crate) host: String,
    pub(crate) what: String,
    pub(crate) idle: Duration,
    pub(crate) deadline: Instant,
}

impl Incoming {
    /// The next piece.
    pub(crate) async fn piece(&mut self) -> Result<Option<Bytes>, Error> {
        let until = self.deadline.min(Instant::now() + self.idle);
        let message = match timeout_at(until, self.response.chunk()).await {
            Ok(Ok(piece)) => return Ok(piece),
            Ok(Err(error)) => format!("it broke off: {}", describe(error).message),
            Err(_) => "it stalled".to_owned(),
        };
        Err(Error::Interrupted { host: self.host.clone(), what: self.what.clone(), message })
    }

    /// The whole body, if it has at most `limit` bytes.
    pub(crate) async fn whole(mut self, limit: usize) -> Result<Bytes, Error> {
        let too_large = |what: &str| Error::TooLarge { what: what.to_owned(), limit: limit as u64 };
        if self.response.content_length().is_some_and(|length| length > limit as u64) {
            return Err(too_large(&self.what));
        }
        let mut bytes = BytesMut::new();
        while let Some(piece) = self.piece().await? {
            if bytes.len() + piece.len() > limit {
                return Err(too_large(&self.what));
            }
            bytes.extend_from_slice(&piece);
        }
        Ok(bytes.freeze())
    }

    /// The first `limit` bytes of what is only a message; what cannot be read is left out. Reading it to its end also keeps the
    /// connection usable.
    pub(crate) async fn start(mut self, limit: usize) -> Bytes {
        let mut bytes = BytesMut::new();
        while bytes.len() < limit {
            match self.piece().await {
                Ok(Some(piece)) => bytes.extend_from_slice(&piece),
                Ok(None) | Err(_) => break,
            }
        }
        bytes.truncate(limit);
        bytes.freeze()
    }
}

/// Compares `bytes` with the digest they were asked for by.
pub(crate) fn verify(bytes: &[u8], expected: &Digest, what: &str) -> Result<(), Error> {
    let mut hasher = Hasher::new(expected.algorithm());
    hasher.update(bytes);
    let actual = hasher.finish();
    if actual == *expected {
        return Ok(());
    }
    Err(Error::WrongDigest { what: what.to_owned(), expected: expected.clone(), actual })
}
