//! Signatures by keys that were superseded: they hold for what the journal named before (DESIGN §6). The journals are asked only
//! where such a signature is met.

use std::collections::BTreeSet;

use schleuse_journal::{Journal, named};
use schleuse_model::{Digest, PinnedRef, Timestamp};
use schleuse_sign::fetch::Source;
use schleuse_sign::{Limits, Rejected, Role, Trust, Verified, find_signature};

use crate::error::Error;

/// Finds a build key's signature of `image`; where only a superseded key has signed it, `journals` are asked whether one of them has
/// named it before.
///
/// # Errors
/// Not signed by a trusted key, or no answer.
pub async fn find_signature_on_record(
    source: Source<'_>,
    image: &PinnedRef,
    trust: &Trust,
    journals: &[Journal],
    now: Timestamp,
) -> Result<Verified, Error> {
    let find = async |trust| find_signature(source, image, trust, Role::Build, Limits::SIGNATURES, now).await;
    let refused = match find(trust).await {
        Err(schleuse_sign::Error::Untrusted(refused)) => refused,
        found => return Ok(found?),
    };
    let since = Rejected::superseded(refused.rejected());
    match knowing(trust, journals, image.digest(), &since).await? {
        Some(trust) => Ok(find(&trust).await?),
        None => Err(schleuse_sign::Error::Untrusted(refused).into()),
    }
}

/// `trust`, knowing that one of `journals` has named `digest` before one of these times; the earliest that it was named before.
/// `None`: it was not, and nothing changes. With no times nothing is read.
///
/// # Errors
/// A journal gives no answer or is not trusted.
pub async fn knowing(
    trust: &Trust,
    journals: &[Journal],
    digest: &Digest,
    since: &BTreeSet<Timestamp>,
) -> Result<Option<Trust>, Error> {
    for since in since {
        for journal in journals {
            if let Some(at) = named(journal, digest, *since).await? {
                return Ok(Some(trust.clone().naming(digest.clone(), at)));
            }
        }
    }
    Ok(None)
}
