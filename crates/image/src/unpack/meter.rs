//! Counts and hashes what comes out of the decompressor, and stops it in time.

use std::io::{self, Read};

use schleuse_model::digest::Algorithm;
use schleuse_model::{Digest, Hasher};

use super::limits::{Limit, Limits};

/// A reader that fails once more has come than is allowed.
#[derive(Debug)]
pub(crate) struct Meter<R> {
    inner: R,
    hasher: Hasher,
    seen: u64,
    total_left: u64,
    total_allowed: u64,
    ratio_bytes: u64,
    ratio: u64,
}

/// The error inside the `io::Error` that a [`Meter`] gives.
#[derive(Debug, Clone, Copy, thiserror::Error)]
#[error("more than {allowed} {limit}")]
pub(crate) struct Exceeded {
    pub(crate) limit: Limit,
    pub(crate) allowed: u64,
}

impl<R: Read> Meter<R> {
    /// `compressed`: the layer's size as downloaded. `used`: what earlier layers took of the total. `diff_id`'s algorithm hashes.
    pub(crate) fn new(inner: R, algorithm: Algorithm, compressed: u64, used: u64, limits: &Limits) -> Self {
        Self {
            inner,
            hasher: Hasher::new(algorithm),
            seen: 0,
            total_left: limits.total_bytes.saturating_sub(used),
            total_allowed: limits.total_bytes,
            ratio_bytes: compressed.saturating_mul(limits.ratio).max(limits.ratio_floor),
            ratio: limits.ratio,
        }
    }

    /// The digest of what was read, and how much it was.
    pub(crate) fn finish(self) -> (Digest, u64) {
        (self.hasher.finish(), self.seen)
    }
}

impl<R: Read> Read for Meter<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(into)?;
        self.seen = self.seen.saturating_add(read as u64);
        if self.seen > self.total_left {
            return Err(io::Error::other(Exceeded { limit: Limit::TotalBytes, allowed: self.total_allowed }));
        }
        if self.seen > self.ratio_bytes {
            return Err(io::Error::other(Exceeded { limit: Limit::Ratio, allowed: self.ratio }));
        }
        self.hasher.update(&into[..read]);
        Ok(read)
    }
}
