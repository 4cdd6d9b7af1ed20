//! Saying something about an image.

use bytes::Bytes;
use schleuse_model::{PinnedRef, Timestamp};

use super::{Store, Written, attach_statement, legacy_tag, subject};
use crate::error::Error;
use crate::fetch::{Limits, attestation_candidates};
use crate::keys::Signer;
use crate::statement::{Statement, sign_statement};
use crate::trust::{Role, Trust};
use crate::{legacy, verify};

/// In which formats an attestation is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AttestOptions {
    /// As a bundle, for cosign 3 and us. On by default.
    pub bundle: bool,
    /// Under the legacy tag `sha256-<hex>.att`, for cosign 2. Off by default: nothing that we rely on is kept there alone.
    pub legacy: bool,
}

impl Default for AttestOptions {
    fn default() -> Self {
        Self { bundle: true, legacy: false }
    }
}

/// What attesting did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attested {
    /// The bundle.
    pub bundle: Written,
    /// The legacy attestation.
    pub legacy: Written,
}

/// Signs `statement`, which is about `image`, and stores it. A key that has said exactly this already adds nothing.
///
/// # Errors
/// [`Error`]; on [`Error::LegacyContended`] the bundle is there.
pub async fn attest(
    store: Store<'_>,
    image: &PinnedRef,
    statement: &Statement,
    signer: &dyn Signer,
    options: AttestOptions,
    now: Timestamp,
) -> Result<Attested, Error> {
    let bundle = if !options.bundle {
        Written::NotWanted
    } else if is_said(store, image, statement, signer).await? {
        Written::Already
    } else {
        attach_statement(store, image, &subject(store, image).await?, statement, signer, now).await?;
        Written::New
    };
    let legacy = if options.legacy {
        let envelope = Bytes::from(sign_statement(signer, statement)?);
        let kind = statement.predicate_type();
        let append = |existing: Option<&_>| legacy::append_attestation(existing, &envelope, kind);
        legacy_tag::merge(store, image, legacy::ATTESTATIONS, append).await?
    } else {
        Written::NotWanted
    };
    Ok(Attested { bundle, legacy })
}

/// Whether a bundle has this statement, to the byte, by this key.
async fn is_said(
    store: Store<'_>,
    image: &PinnedRef,
    statement: &Statement,
    signer: &dyn Signer,
) -> Result<bool, Error> {
    let own = Trust::only(signer.public_key(), Role::Build);
    let kind = statement.predicate_type();
    let candidates = attestation_candidates(store.source(), image, kind, Limits::ATTESTATIONS).await?;
    let bundles: Vec<_> = candidates.into_iter().filter(|candidate| !candidate.origin().is_legacy()).collect();
    let found = verify::attestations(image.digest(), &bundles, &own, Role::Build, kind);
    Ok(found.accepted.iter().any(|verified| verified.statement() == statement))
}
