//! Writing signatures and attestations to a registry.

use std::collections::BTreeMap;

use schleuse_model::{Digest, PinnedRef, TagRef, Timestamp};
use schleuse_oci::{Body, Descriptor, Error as OciError, Pull, Push, Referrers};

use crate::artifact::{Artifact, bundle_artifact};
use crate::error::Error;
use crate::fetch::{Limits, Source, find_bundle, legacy_tag};
use crate::keys::Signer;
use crate::statement::Statement;
use crate::trust::{Role, Trust};
use crate::verify::Demand;
use crate::{legacy, simple};

/// A registry that may be written.
#[derive(Clone, Copy, Debug)]
pub struct Store<'a> {
    /// Manifests, tags and blobs.
    pub pull: &'a dyn Pull,
    /// Writing them.
    pub push: &'a dyn Push,
    /// What refers to an image.
    pub referrers: &'a dyn Referrers,
}

impl<'a> Store<'a> {
    /// The reading half.
    pub const fn source(self) -> Source<'a> {
        Source { pull: self.pull, referrers: self.referrers }
    }
}

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

/// What became of one format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Written {
    /// It is there now.
    New,
    /// This key had signed already; nothing was written.
    Already,
    /// It was not asked for.
    NotWanted,
}

/// What signing did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Signed {
    /// The bundle.
    pub bundle: Written,
    /// The legacy signature.
    pub legacy: Written,
}

/// How often the legacy tag is read, merged and written before we give up against other writers.
const LEGACY_ATTEMPTS: u32 = 5;
/// The most legacy layers that are merged into.
const LEGACY_LAYERS: usize = 1024;

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
    let bundle =
        if options.bundle { sign_bundle(store, image, signer, options, now).await? } else { Written::NotWanted };
    let legacy = if options.legacy { sign_legacy(store, image, signer, options).await? } else { Written::NotWanted };
    Ok(Signed { bundle, legacy })
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
    let subject = match store.pull.manifest(image).await? {
        Some(manifest) => manifest.descriptor(),
        None => return Err(OciError::Missing { what: image.to_string() }.into()),
    };
    let statement = Statement::signature(image.digest(), &options.annotations)?;
    attach_statement(store, image, &subject, &statement, signer, now).await?;
    Ok(Written::New)
}

/// Signs `statement` and attaches it to `image` as a bundle; `subject` is the descriptor of the image's manifest. The same arguments
/// write the same bytes (given a deterministic signer), so repeating it is harmless. Answers the digest of the bundle's manifest.
///
/// # Errors
/// [`Error`].
pub async fn attach_statement(
    store: Store<'_>,
    image: &PinnedRef,
    subject: &Descriptor,
    statement: &Statement,
    signer: &dyn Signer,
    now: Timestamp,
) -> Result<Digest, Error> {
    let artifact = bundle_artifact(subject, statement, signer, now)?;
    push_blobs(store, image, &artifact).await?;
    store.referrers.attach(image, &artifact.manifest).await?;
    Ok(artifact.manifest.digest().clone())
}

async fn push_blobs(store: Store<'_>, image: &PinnedRef, artifact: &Artifact) -> Result<(), Error> {
    for (descriptor, bytes) in &artifact.blobs {
        store.push.push_blob(image.repository(), descriptor, Body::Bytes(bytes.clone())).await?;
    }
    Ok(())
}

/// Read, merge, write, and read again: the registry cannot compare and swap, so a writer between our read and our write loses its
/// layer to us, or we ours to it. What we can do is notice the latter and try again.
async fn sign_legacy(
    store: Store<'_>,
    image: &PinnedRef,
    signer: &dyn Signer,
    options: &SignOptions,
) -> Result<Written, Error> {
    let tag = legacy_tag(image, legacy::SIGNATURES)?;
    let payload =
        simple::payload(image.repository(), image.digest(), options.identity.as_deref(), &options.annotations);
    for attempt in 0..LEGACY_ATTEMPTS {
        match append(store, image, &tag, &payload, signer).await? {
            Some(artifact) => {
                push_blobs(store, image, &artifact).await?;
                store.push.tag(&tag, &artifact.manifest).await?;
            }
            None if attempt == 0 => return Ok(Written::Already),
            None => return Ok(Written::New),
        }
    }
    match append(store, image, &tag, &payload, signer).await? {
        None => Ok(Written::New),
        Some(_) => Err(Error::LegacyContended { tag, attempts: LEGACY_ATTEMPTS }),
    }
}

/// What is under the tag now, with our signature appended; `None` if it is there already.
async fn append(
    store: Store<'_>,
    image: &PinnedRef,
    tag: &TagRef,
    payload: &[u8],
    signer: &dyn Signer,
) -> Result<Option<Artifact>, Error> {
    let existing = store.pull.tagged(tag).await?;
    if let Some(existing) = &existing {
        let layers = existing.as_image().map_or(0, |manifest| manifest.layers.len());
        if layers > LEGACY_LAYERS {
            let what = format!("the number of layers of {}", image.repository());
            return Err(OciError::TooLarge { what, limit: LEGACY_LAYERS as u64 }.into());
        }
    }
    legacy::append_signature(existing.as_ref(), payload, signer)
}
