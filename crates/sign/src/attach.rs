//! Writing signatures and attestations to a registry.

mod attesting;
mod legacy_tag;
mod signing;

use bytes::Bytes;
use futures_util::future::try_join_all;
use schleuse_model::{Digest, PinnedRef, Timestamp};
use schleuse_oci::{Body, Descriptor, Error as OciError, Pull, Push, Referrers};

pub use attesting::{AttestOptions, Attested, attest};
pub use signing::{SignOptions, Signed, sign_image};

use crate::artifact::{Artifact, bundle_artifact};
use crate::error::Error;
use crate::fetch::Source;
use crate::keys::Signer;
use crate::statement::Statement;

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

impl Written {
    /// As a word, for machines: `new`, `already`, `not-wanted`.
    pub const fn word(self) -> &'static str {
        match self {
            Self::New => "new",
            Self::Already => "already",
            Self::NotWanted => "not-wanted",
        }
    }
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
    let push = |(descriptor, bytes): &'_ (Descriptor, Bytes)| {
        let body = Body::Bytes(bytes.clone());
        let descriptor = descriptor.clone();
        async move { store.push.push_blob(image.repository(), &descriptor, body).await }
    };
    // At the same time: each is a few requests, and together they are most of what signing waits for.
    try_join_all(artifact.blobs.iter().map(push)).await?;
    Ok(())
}

/// What a referrer of `image` refers to.
async fn subject(store: Store<'_>, image: &PinnedRef) -> Result<Descriptor, Error> {
    match store.pull.manifest(image).await? {
        Some(manifest) => Ok(manifest.descriptor()),
        None => Err(OciError::Missing { what: image.to_string() }.into()),
    }
}
