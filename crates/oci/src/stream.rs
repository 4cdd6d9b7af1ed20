//! Content on its way: checked as it passes, and by nobody a second time.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use futures_core::Stream;
use schleuse_model::{Digest, Hasher};

use crate::descriptor::Descriptor;
use crate::error::Error;

/// Bytes on their way, in pieces. It ends well only after exactly the bytes that its descriptor promises; otherwise with
/// [`Error::TooLarge`] or [`Error::WrongDigest`]. There is no other way to make one: who has read it to its end holds verified
/// content, wherever it came from, and needs not hash it again.
pub struct BodyStream {
    pieces: Pieces,
    /// None: it has ended, well or not.
    check: Option<Check>,
}

/// Bytes on their way that nobody has checked.
pub type Pieces = Pin<Box<dyn Stream<Item = Result<Bytes, Error>> + Send>>;

/// Whether bytes are the content that a descriptor promises: fed piece by piece, asked at the end.
#[must_use = "content that was not checked to its end is not verified"]
pub struct Check {
    hasher: Hasher,
    left: u64,
    size: u64,
    expected: Digest,
    what: String,
}

impl Check {
    /// For `blob`; `what` is how errors call it.
    pub fn new(blob: &Descriptor, what: impl Into<String>) -> Self {
        let (hasher, expected) = (Hasher::new(blob.digest.algorithm()), blob.digest.clone());
        Self { hasher, left: blob.size, size: blob.size, expected, what: what.into() }
    }

    /// The next piece.
    ///
    /// # Errors
    /// [`Error::TooLarge`].
    pub fn update(&mut self, piece: &[u8]) -> Result<(), Error> {
        let Some(left) = self.left.checked_sub(piece.len() as u64) else {
            return Err(Error::TooLarge { what: self.what.clone(), limit: self.size });
        };
        self.left = left;
        self.hasher.update(piece);
        Ok(())
    }

    /// That was all.
    ///
    /// # Errors
    /// [`Error::WrongDigest`], also for content that is shorter than its descriptor says.
    pub fn finish(self) -> Result<(), Error> {
        let actual = self.hasher.finish();
        if actual == self.expected && self.left == 0 {
            return Ok(());
        }
        Err(Error::WrongDigest { what: self.what, expected: self.expected, actual })
    }
}

impl BodyStream {
    /// What `pieces` brings, if it is `blob`. `what` is how errors call it.
    pub fn new(
        pieces: impl Stream<Item = Result<Bytes, Error>> + Send + 'static,
        blob: &Descriptor,
        what: impl Into<String>,
    ) -> Self {
        Self { pieces: Box::pin(pieces), check: Some(Check::new(blob, what)) }
    }

    /// The pieces, and what they have to pass: for who hashes on another thread than the one that receives. `None`: it has ended.
    pub fn split(self) -> Option<(Pieces, Check)> {
        Some((self.pieces, self.check?))
    }
}

impl Stream for BodyStream {
    type Item = Result<Bytes, Error>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        let Some(check) = &mut this.check else { return Poll::Ready(None) };
        let passed = match ready!(this.pieces.as_mut().poll_next(context)) {
            Some(piece) => piece.and_then(|piece| check.update(&piece).map(|()| piece)),
            None => return Poll::Ready(this.check.take().and_then(|check| check.finish().err()).map(Err)),
        };
        if passed.is_err() {
            this.check = None;
        }
        Poll::Ready(Some(passed))
    }
}

impl fmt::Debug for BodyStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BodyStream").field("check", &self.check).finish_non_exhaustive()
    }
}

impl fmt::Debug for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Check").field("what", &self.what).field("left", &self.left).finish_non_exhaustive()
    }
}

/// A stream of one piece.
pub fn stream_of(bytes: Bytes, blob: &Descriptor) -> BodyStream {
    BodyStream::new(Once(Some(bytes)), blob, format!("blob {}", blob.digest))
}

struct Once(Option<Bytes>);

impl Stream for Once {
    type Item = Result<Bytes, Error>;
    fn poll_next(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        Poll::Ready(self.0.take().map(Ok))
    }
}

/// Reads a stream whole, at most `limit` bytes.
///
/// # Errors
/// The stream's own error, or [`Error::TooLarge`].
pub async fn collect(mut stream: BodyStream, limit: usize, what: &str) -> Result<Vec<u8>, Error> {
    let mut bytes = Vec::new();
    while let Some(piece) = std::future::poll_fn(|context| Pin::new(&mut stream).poll_next(context)).await {
        let piece = piece?;
        if bytes.len() + piece.len() > limit {
            return Err(Error::TooLarge { what: what.to_owned(), limit: limit as u64 });
        }
        bytes.extend_from_slice(&piece);
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media_type;

    fn read(pieces: &[&'static [u8]], blob: &Descriptor) -> Result<Vec<u8>, Error> {
        struct Pieces(Vec<Bytes>);
        impl Stream for Pieces {
            type Item = Result<Bytes, Error>;
            fn poll_next(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Self::Item>> {
                Poll::Ready((!self.0.is_empty()).then(|| Ok(self.0.remove(0))))
            }
        }
        let pieces = pieces.iter().map(|piece| Bytes::from_static(piece)).collect();
        let reading = collect(BodyStream::new(Pieces(pieces), blob, "it"), 100, "it");
        let mut reading = std::pin::pin!(reading);
        match reading.as_mut().poll(&mut Context::from_waker(std::task::Waker::noop())) {
            Poll::Ready(read) => read,
            Poll::Pending => panic!("nothing here waits"),
        }
    }

    #[test]
    fn only_what_was_promised_ends_well() {
        let blob = Descriptor::of(media_type::LAYER_TAR, b"content");
        assert_eq!(read(&[b"con", b"", b"tent"], &blob).unwrap(), b"content");
        for bad in [&[b"con".as_slice()][..], &[b"Content"], &[]] {
            assert!(matches!(read(bad, &blob), Err(Error::WrongDigest { .. })), "{bad:?}");
        }
        assert!(matches!(read(&[b"content", b"!"], &blob), Err(Error::TooLarge { limit: 7, .. })));
        // A descriptor whose digest is right and whose size is not.
        let large = Descriptor { size: 8, ..blob.clone() };
        assert!(matches!(read(&[b"content"], &large), Err(Error::WrongDigest { .. })));
        let small = Descriptor { size: 6, ..blob };
        assert!(matches!(read(&[b"content"], &small), Err(Error::TooLarge { limit: 6, .. })));
    }
}
