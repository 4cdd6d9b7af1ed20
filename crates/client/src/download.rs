//! A blob on its way to us: verified while it streams, and gone on with where the connection broke off.
//!
//! What has been handed on is not asked for again: the next request says `Range: bytes=<have>-`. No `If-Range` is needed, because
//! the digest is of the whole: pieces of two different contents do not pass.

mod range;

use bytes::Bytes;
use futures_util::stream;
use http::{HeaderValue, StatusCode, header};
use schleuse_oci::{BodyStream, Descriptor, Error};

use crate::address::Endpoint;
use crate::answer::MESSAGE_LIMIT;
use crate::body::Incoming;
use crate::exchange::{Call, Client, Head};
use crate::retry::{Failure, Tries};
use range::ContentRange;

/// After that much new content the budget of retries is whole again: 1 MiB. A line that breaks every few seconds still moves a
/// large layer; one that gives a few bytes at a time ends it. The whole is bounded by [`crate::Deadlines::transfer`].
const PROGRESS: u64 = 1 << 20;

impl Client {
    /// The blob as a stream that ends well only after exactly `blob.size` bytes with `blob.digest`. `None`: it is not there.
    pub(crate) async fn download(&self, endpoint: Endpoint, blob: &Descriptor) -> Result<Option<BodyStream>, Error> {
        let deadline = self.0.transfer();
        let call = Call::blob(&endpoint, &blob.digest);
        let head = self.0.open(&endpoint, &call, deadline).await?;
        if head.status() != StatusCode::OK || head.is_web_page() {
            let answer = head.read(MESSAGE_LIMIT).await?;
            return if answer.says_absent() { Ok(None) } else { Err(answer.unexpected()) };
        }
        if head.body.response.content_length().is_some_and(|length| length > blob.size) {
            return Err(Error::TooLarge { what: call.what, limit: blob.size });
        }
        let what = call.what.clone();
        let download = Download {
            tries: self.0.tries(deadline),
            client: self.clone(),
            endpoint,
            call,
            body: head.body,
            skip: 0,
            have: 0,
            since_break: 0,
            size: blob.size,
        };
        Ok(Some(BodyStream::new(stream::try_unfold(download, Download::next), blob, what)))
    }
}

struct Download {
    client: Client,
    endpoint: Endpoint,
    call: Call,
    body: Incoming,
    tries: Tries,
    /// Bytes of the body in hand that have been handed on already: the registry does not know `Range`.
    skip: u64,
    /// Bytes handed on.
    have: u64,
    /// How many of them since the budget of retries was whole.
    since_break: u64,
    size: u64,
}

impl Download {
    async fn next(mut self) -> Result<Option<(Bytes, Self)>, Error> {
        loop {
            match self.body.piece().await {
                Ok(Some(mut piece)) => {
                    let known = usize::try_from(self.skip).unwrap_or(usize::MAX).min(piece.len());
                    self.skip -= known as u64;
                    let piece = piece.split_off(known);
                    if piece.is_empty() {
                        continue;
                    }
                    return self.take(piece).map(Some);
                }
                Ok(None) => return Ok(None),
                // Only the end of the answer itself was lost.
                Err(_) if self.have == self.size => return Ok(None),
                Err(error) => self.resume(error).await?,
            }
        }
    }

    fn take(mut self, piece: Bytes) -> Result<(Bytes, Self), Error> {
        let length = piece.len() as u64;
        if length > self.size - self.have {
            return Err(Error::TooLarge { what: self.call.what, limit: self.size });
        }
        self.have += length;
        self.since_break += length;
        if self.since_break >= PROGRESS {
            self.since_break = 0;
            self.tries.refill();
        }
        Ok((piece, self))
    }

    /// Asks for the rest, within the budget of retries.
    async fn resume(&mut self, error: Error) -> Result<(), Error> {
        let mut failure = Failure::Again { error, after: None };
        loop {
            self.tries.after(failure).await?;
            let mut call = self.call.clone();
            if self.have > 0 {
                let value = HeaderValue::from_str(&format!("bytes={}-", self.have));
                call = call.header(header::RANGE, value.map_err(|_| self.lost("its range cannot be asked for"))?);
            }
            match self.client.0.attempt(&self.endpoint, &call, self.body.deadline).await {
                Ok(head) => return self.go_on(head).await,
                Err(next) => failure = next,
            }
        }
    }

    /// Takes the rest from `head`, if it is the rest.
    async fn go_on(&mut self, head: Head) -> Result<(), Error> {
        match head.status() {
            StatusCode::PARTIAL_CONTENT => {
                let said = head.body.response.headers().get(header::CONTENT_RANGE).and_then(ContentRange::parse);
                if !said.is_some_and(|range| range.is_rest_of(self.have, self.size)) {
                    return Err(self.lost("it goes on at another place than it was asked to (`Content-Range`)"));
                }
                self.skip = 0;
            }
            // It starts anew.
            StatusCode::OK if !head.is_web_page() => self.skip = self.have,
            _ => return Err(head.read(MESSAGE_LIMIT).await?.unexpected()),
        }
        self.body = head.body;
        Ok(())
    }

    fn lost(&self, message: &str) -> Error {
        Error::Unexpected {
            host: self.body.host.clone(),
            what: self.call.what.clone(),
            status: StatusCode::PARTIAL_CONTENT.as_u16(),
            message: message.to_owned(),
        }
    }
}
