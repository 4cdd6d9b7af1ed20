//! cosign's legacy storage: one image manifest under the tag `sha256-<hex>.sig`, one layer a signature. Pure.
//!
//! Every writer reads the manifest, appends and writes it back; the registry has no lock for that. So nothing we rely on is kept
//! here alone (DESIGN §6), and a layer that is there is never dropped.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use schleuse_model::{Timestamp, json};
pub use schleuse_oci::evidence::{ATTESTATIONS, SIGNATURES};
use schleuse_oci::manifest::{History, RootFs, RuntimeConfig};
use schleuse_oci::{Descriptor, ImageConfig, ImageManifest, Manifest, media_type};

use crate::artifact::Artifact;
use crate::error::{Error, Malformed};
use crate::keys::{PublicKey, Signer, sign_checked};

/// Where a layer keeps its signature, base64.
pub const SIGNATURE_ANNOTATION: &str = "dev.cosignproject.cosign/signature";

/// Where a layer says what it attests. Unsigned.
const PREDICATE_TYPE: &str = "predicateType";

const WHAT: &str = "legacy signature manifest";

/// Go's zero time, which cosign writes.
const NEVER: i64 = -62_135_596_800;

/// Appends a signature over `payload` to `existing` (the manifest under the tag, or none yet). `None`: `signer` has signed exactly
/// this payload there already.
///
/// # Errors
/// If `existing` is no image manifest, or the signer does not sign.
pub fn append_signature(
    existing: Option<&Manifest>,
    payload: &[u8],
    signer: &dyn Signer,
) -> Result<Option<Artifact>, Error> {
    let manifest = read(existing)?;
    if manifest.layers.iter().any(|layer| is_signed(layer, payload, signer.public_key())) {
        return Ok(None);
    }
    let signature = sign_checked(signer, payload)?;
    let mut layer = Descriptor::of(media_type::SIMPLE_SIGNING, payload);
    layer.annotations.insert(SIGNATURE_ANNOTATION.to_owned(), STANDARD.encode(signature));
    Ok(Some(with_layer(existing, manifest, layer, Bytes::copy_from_slice(payload))))
}

/// Appends a DSSE envelope to `existing` (the manifest under the attestations' tag, or none yet). `None`: it is there already.
///
/// # Errors
/// If `existing` is no image manifest.
pub fn append_attestation(
    existing: Option<&Manifest>,
    envelope: &Bytes,
    predicate_type: &str,
) -> Result<Option<Artifact>, Error> {
    let manifest = read(existing)?;
    let mut layer = Descriptor::of(media_type::DSSE_ENVELOPE, envelope);
    if manifest.layers.iter().any(|there| there.digest == layer.digest) {
        return Ok(None);
    }
    // As cosign has it: the signature is inside, and the annotation there nonetheless.
    layer.annotations.insert(SIGNATURE_ANNOTATION.to_owned(), String::new());
    layer.annotations.insert(PREDICATE_TYPE.to_owned(), predicate_type.to_owned());
    Ok(Some(with_layer(existing, manifest, layer, envelope.clone())))
}

fn read(existing: Option<&Manifest>) -> Result<ImageManifest, Error> {
    Ok(match existing {
        Some(existing) => existing.as_image().map_err(Malformed::json(WHAT))?,
        None => ImageManifest::new(Descriptor::empty(), Vec::new()),
    })
}

fn with_layer(existing: Option<&Manifest>, mut manifest: ImageManifest, layer: Descriptor, content: Bytes) -> Artifact {
    let blob = (Descriptor { annotations: BTreeMap::new(), ..layer.clone() }, content);
    manifest.layers.push(layer);
    let config = json::to_bytes(&config(&manifest));
    manifest.config = Descriptor::of(media_type::IMAGE_CONFIG, &config);
    let blobs = vec![blob, (manifest.config.clone(), config.into())];
    Artifact { manifest: rewrap(existing, &manifest), blobs }
}

/// Whether `layer` is `key`'s signature over exactly `payload`.
pub fn is_signed(layer: &Descriptor, payload: &[u8], key: &PublicKey) -> bool {
    let signature = layer.annotations.get(SIGNATURE_ANNOTATION).and_then(|text| STANDARD.decode(text.trim()).ok());
    layer.digest.matches(payload) && signature.is_some_and(|signature| key.verifies(payload, &signature))
}

/// An existing manifest keeps its media type (skopeo writes Docker's for Docker images).
fn rewrap(existing: Option<&Manifest>, manifest: &ImageManifest) -> Manifest {
    match existing {
        Some(existing) => Manifest::new(existing.media_type(), json::to_bytes(manifest)),
        None => manifest.to_manifest(),
    }
}

/// The image configuration cosign writes: nothing but the layers' digests.
fn config(manifest: &ImageManifest) -> ImageConfig {
    let never = Some(Timestamp::from_seconds(NEVER));
    ImageConfig {
        created: never,
        architecture: String::new(),
        os: String::new(),
        variant: None,
        config: RuntimeConfig::default(),
        rootfs: RootFs {
            kind: "layers".to_owned(),
            diff_ids: manifest.layers.iter().map(|layer| layer.digest.clone()).collect(),
        },
        history: manifest.layers.iter().map(|_| History { created: never, ..History::default() }).collect(),
    }
}
