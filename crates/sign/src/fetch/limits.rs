//! How much is read and held of what anybody may have put there. What is beyond is an error, never "there is none".

use schleuse_model::PinnedRef;
use schleuse_oci::Error as OciError;

use crate::candidate::{Candidate, SIGNATURE_LIMIT};
use crate::error::Error;
use crate::verify::ATTESTATION_LIMIT;

/// How much is read for one image at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// How many referrers the registry may list. More is an error.
    pub listed: usize,
    /// How many candidates are read. If none of these is it, and there are more, that is an error: nobody knows.
    pub count: usize,
    /// How many bytes a single candidate may have. A larger one is rejected unread.
    pub bytes: usize,
    /// How many bytes are held at once where all candidates are collected. More is an error: nobody knows.
    pub total: usize,
}

impl Limits {
    /// For signatures: 16,384 referrers (a long-lived image collects a few a day; a list of so many has some 10 MB), of which 256
    /// are read, [`SIGNATURE_LIMIT`] bytes each.
    pub const SIGNATURES: Self =
        Self { listed: 1 << 14, count: 256, bytes: SIGNATURE_LIMIT, total: 256 * SIGNATURE_LIMIT };
    /// For attestations: as many, [`ATTESTATION_LIMIT`] bytes each and 256 MiB together, what a small CI machine can spare. 256 that
    /// are as large as they may be would have 16 GiB.
    pub const ATTESTATIONS: Self = Self { bytes: ATTESTATION_LIMIT, total: 256 << 20, ..Self::SIGNATURES };

    /// Refuses to read candidate number `read` (from 0).
    pub(super) fn allow(self, read: usize, image: &PinnedRef) -> Result<(), Error> {
        if read < self.count {
            return Ok(());
        }
        let what = format!("the number of candidates among the evidence of {image}");
        Err(OciError::TooLarge { what, limit: self.count as u64 }.into())
    }
}

/// Candidates, and how many bytes more may be held.
pub(super) struct Collected {
    pub(super) candidates: Vec<Candidate>,
    left: usize,
}

impl Collected {
    pub(super) const fn up_to(limits: Limits) -> Self {
        Self { candidates: Vec::new(), left: limits.total }
    }

    pub(super) fn add(&mut self, candidate: Candidate, image: &PinnedRef, limits: Limits) -> Result<(), Error> {
        let Some(left) = self.left.checked_sub(candidate.size()) else {
            let what = format!("the evidence of {image} together");
            return Err(OciError::TooLarge { what, limit: limits.total as u64 }.into());
        };
        self.left = left;
        self.candidates.push(candidate);
        Ok(())
    }
}
