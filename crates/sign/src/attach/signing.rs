//! Signing an image.

use std::collections::BTreeMap;

use futures_util::join;
use schleuse_model::{PinnedRef, Timestamp};

use super::{Store, Written, attach_statement, legacy_tag, subject};
use crate::error::Error;
use crate::fetch::{Limits, find_bundle};
use crate::keys::Signer;
use crate::statement::Statement;
use crate::trust::{Role, Trust};
use crate::verify::Demand;
use crate::{legacy, simple};

/// How an image is signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignOptions {
    /// As a bundle, for cosign 3 and us. On by default.
    pub bundle: bool,
    /// Under the legacy tag, for skopeo, podman and cosign 2. On by default.
    pub legacy: bool,
    /// The name in the legacy payload (see [`simple::payload`]). `None`: the repository.
    pub identity: Option<String>,
    /// What is signed beside the digest: name and value, in both formats.
    pub annotations: BTreeMap<String, String>,
}

impl Default for SignOptions {
    fn default() -> Self {
        Self { bundle: true, legacy: true, identity: None, annotations: BTreeMap::new() }
    }
}

/// What signing did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Signed {
    /// The bundle.
    pub bundle: Written,
    /// The legacy signature.
    pub legacy: Written,
}

/// Signs `image` with `signer` in the formats of `options`. Signing the same again with the same key adds nothing.
///
/// # Errors
/// [`Error`]; on [`Error::LegacyContended`] the bundle is there.
pub async fn sign_image(
    store: Store<'_>,
    image: &PinnedRef,
    signer: &dyn Signer,
    options: &SignOptions,
    now: Timestamp,
) -> Result<Signed, Error> {
    // At the same time, and each to its end: the one is there whatever becomes of the other.
    let (bundle, legacy) = join!(
        async {
            if options.bundle { sign_bundle(store, image, signer, options, now).await } else { Ok(Written::NotWanted) }
        },
        async {
            if options.legacy { sign_legacy(store, image, signer, options).await } else { Ok(Written::NotWanted) }
        },
    );
    Ok(Signed { bundle: bundle?, legacy: legacy? })
}

async fn sign_legacy(
    store: Store<'_>,
    image: &PinnedRef,
    signer: &dyn Signer,
    options: &SignOptions,
) -> Result<Written, Error> {
    let identity = options.identity.as_deref();
    let payload = simple::payload(image.repository(), image.digest(), identity, &options.annotations);
    let append = |existing: Option<&_>| legacy::append_signature(existing, &payload, signer);
    legacy_tag::merge(store, image, legacy::SIGNATURES, append).await
}

async fn sign_bundle(
    store: Store<'_>,
    image: &PinnedRef,
    signer: &dyn Signer,
    options: &SignOptions,
    now: Timestamp,
) -> Result<Written, Error> {
    // Any role does: the question is only whether this key has signed this digest.
    let own = Trust::only(signer.public_key(), Role::Build);
    let demand = Demand { annotations: options.annotations.clone(), ..Demand::one(Role::Build) };
    match find_bundle(store.source(), image, &own, &demand, Limits::SIGNATURES, now).await {
        Ok(_) => return Ok(Written::Already),
        Err(Error::Untrusted(_)) => {}
        Err(error) => return Err(error),
    }
    let statement = Statement::signature(image.digest(), &options.annotations)?;
    attach_statement(store, image, &subject(store, image).await?, &statement, signer, now).await?;
    Ok(Written::New)
}
