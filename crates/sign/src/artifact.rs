//! A bundle as a referrer: the OCI manifest that cosign 3 writes, byte for byte in shape. Pure.

use std::collections::BTreeMap;

use bytes::Bytes;
use schleuse_model::Timestamp;
use schleuse_oci::descriptor::EMPTY_JSON;
use schleuse_oci::{Descriptor, ImageManifest, Manifest, media_type};

use crate::bundle;
use crate::error::Error;
use crate::keys::Signer;
use crate::statement::Statement;

/// The untrusted remark on what a bundle says. We read it to decide what to fetch first, and for nothing else.
pub const PREDICATE_TYPE: &str = "dev.sigstore.bundle.predicateType";
const CONTENT: &str = "dev.sigstore.bundle.content";
/// When the bundle was made, as its writer says. Unsigned.
pub(crate) const CREATED: &str = "org.opencontainers.image.created";

/// A manifest and the blobs that must be there before it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Artifact {
    /// The manifest.
    pub manifest: Manifest,
    /// Its blobs.
    pub blobs: Vec<(Descriptor, Bytes)>,
}

/// Signs `statement` and wraps it as a referrer of `subject`. `created` is written in whole seconds.
///
/// # Errors
/// If the signer does not sign.
pub fn bundle_artifact(
    subject: &Descriptor,
    statement: &Statement,
    signer: &dyn Signer,
    created: Timestamp,
) -> Result<Artifact, Error> {
    let bytes = Bytes::from(bundle::sign(signer, statement)?);
    let layer = Descriptor::of(media_type::SIGSTORE_BUNDLE_V03, &bytes);
    let mut manifest = ImageManifest::new(Descriptor::empty(), vec![layer.clone()]);
    manifest.artifact_type = Some(media_type::SIGSTORE_BUNDLE_V03.to_owned());
    // Media type, digest and size only: what else the caller's descriptor carries is not about this manifest.
    manifest.subject = Some(Descriptor::new(&subject.media_type, subject.digest.clone(), subject.size));
    manifest.annotations = BTreeMap::from([
        (CONTENT.to_owned(), "dsse-envelope".to_owned()),
        (PREDICATE_TYPE.to_owned(), statement.predicate_type().to_owned()),
        (CREATED.to_owned(), Timestamp::from_seconds(created.as_seconds()).to_string()),
    ]);
    let empty = (Descriptor::empty(), Bytes::from_static(EMPTY_JSON));
    Ok(Artifact { manifest: manifest.to_manifest(), blobs: vec![empty, (layer, bytes)] })
}
