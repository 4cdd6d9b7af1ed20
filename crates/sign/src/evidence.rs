//! What is known about an image: everything that was found beside it, and what of it is believed. For listing it; decisions are
//! [`verify`](mod@crate::verify)'s.

use bytes::Bytes;
use schleuse_model::predicate::COSIGN_SIGN_V1;
use schleuse_model::{PinnedRef, Timestamp};

use crate::candidate::{Candidate, Content, Origin};
use crate::error::Error;
use crate::fetch::{Limits, Source, all_candidates};
use crate::statement::Statement;
use crate::trust::{Role, Trust, TrustedKey};
use crate::verify::{Reason, examine};

/// One piece of evidence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Evidence {
    /// Where it was found.
    pub origin: Origin,
    /// The predicate type; [`COSIGN_SIGN_V1`] for legacy signatures as well. `None`: it cannot be read. Believe it only if the verdict
    /// is good.
    pub predicate_type: Option<String>,
    /// When it was made, as its writer says. Unsigned.
    pub created: Option<Timestamp>,
    /// The size in bytes of the bundle, envelope or payload; 0 if it was not read.
    pub size: usize,
    /// Who says it, if that is somebody we trust for one of the roles.
    pub verdict: Result<Believed, Reason>,
    /// The bundle's or envelope's exact bytes, or the legacy signature as one document ([`Candidate::evidence`]).
    pub bytes: Option<Bytes>,
}

/// A signature that holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Believed {
    /// The key that signed it.
    pub signer: TrustedKey,
    /// The role by which it counts.
    pub role: Role,
    /// What it says; `None` for a legacy signature, which is no statement.
    pub statement: Option<Statement>,
}

/// Lists all evidence of `image`: bundles first, then what is under the legacy tags.
///
/// # Errors
/// [`Error::Registry`].
pub async fn evidence(
    source: Source<'_>,
    image: &PinnedRef,
    trust: &Trust,
    limits: Limits,
) -> Result<Vec<Evidence>, Error> {
    let found = all_candidates(source, image, limits).await?;
    Ok(found.iter().map(|candidate| judged(candidate, image, trust)).collect())
}

fn judged(candidate: &Candidate, image: &PinnedRef, trust: &Trust) -> Evidence {
    let bytes = candidate.evidence();
    let predicate_type = match &candidate.content {
        Content::Simple { .. } => Some(COSIGN_SIGN_V1.to_owned()),
        Content::Unreadable(_) => None,
        Content::Bundle(_) | Content::Envelope(_) => examine::claimed_type(candidate),
    };
    let size = match &candidate.content {
        Content::Simple { payload, .. } => payload.len(),
        _ => bytes.as_ref().map_or(0, Bytes::len),
    };
    let verdict = examine::believe(candidate, image, trust);
    Evidence { origin: candidate.origin.clone(), predicate_type, created: candidate.created, size, verdict, bytes }
}
