//! Manifests, indexes and image configurations.

use std::collections::BTreeMap;

use bytes::Bytes;
use schleuse_model::json::{self, JsonError};
use schleuse_model::{Digest, Timestamp};
use serde::{Deserialize, Serialize};

use crate::descriptor::{Descriptor, Platform};
use crate::media_type;

/// The largest manifest that is read: 4 MiB, what the distribution-spec recommends registries to accept.
pub const MANIFEST_LIMIT: usize = 4 << 20;
/// The largest image configuration that is read: 8 MiB. Real ones have a few KiB.
pub const CONFIG_LIMIT: usize = 8 << 20;

/// A manifest as the registry gave it: media type and exact bytes. Moved between registries, tagged and hashed by these bytes,
/// never by a re-serialisation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Manifest {
    media_type: String,
    bytes: Bytes,
    digest: Digest,
}

impl Manifest {
    /// Wraps received or built bytes and computes their SHA-256 digest.
    pub fn new(media_type: impl Into<String>, bytes: impl Into<Bytes>) -> Self {
        let bytes = bytes.into();
        let digest = Digest::sha256(&bytes);
        Self { media_type: media_type.into(), bytes, digest }
    }

    /// Wraps bytes that have been found to have `digest`, by whichever algorithm: they are pushed, listed and found again by it.
    pub fn known(media_type: impl Into<String>, bytes: impl Into<Bytes>, digest: Digest) -> Self {
        Self { media_type: media_type.into(), bytes: bytes.into(), digest }
    }

    /// The media type.
    pub fn media_type(&self) -> &str {
        &self.media_type
    }

    /// The exact bytes.
    pub const fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// The digest of the bytes.
    pub const fn digest(&self) -> &Digest {
        &self.digest
    }

    /// A descriptor of this manifest.
    pub fn descriptor(&self) -> Descriptor {
        Descriptor::new(&self.media_type, self.digest.clone(), self.bytes.len() as u64)
    }

    /// Reads it as an image manifest.
    ///
    /// # Errors
    /// If it is malformed, or its own `mediaType` contradicts the one it was served with (image-spec 1.1: a manifest read as an
    /// index and the reverse is how CVE-2021-41190 confused clients).
    pub fn as_image(&self) -> Result<ImageManifest, JsonError> {
        let image: ImageManifest = json::from_untrusted(&self.bytes, MANIFEST_LIMIT)?;
        self.consistent(image.media_type.as_deref(), media_type::is_image)?;
        Ok(image)
    }

    /// Reads it as an index.
    ///
    /// # Errors
    /// As [`Manifest::as_image`].
    pub fn as_index(&self) -> Result<Index, JsonError> {
        let index: Index = json::from_untrusted(&self.bytes, MANIFEST_LIMIT)?;
        self.consistent(index.media_type.as_deref(), media_type::is_index)?;
        Ok(index)
    }

    fn consistent(&self, inner: Option<&str>, expected: fn(&str) -> bool) -> Result<(), JsonError> {
        if expected(&self.media_type) && inner.is_none_or(|inner| inner == self.media_type) {
            return Ok(());
        }
        let inner: String = inner.unwrap_or("none").chars().take(80).collect();
        Err(JsonError::Malformed(format!("served as {}, calls itself {inner}", self.media_type)))
    }
}

/// An image (or artifact) manifest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ImageManifest {
    /// Always 2.
    pub schema_version: u8,
    /// Repeats the media type.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub media_type: Option<String>,
    /// The kind of artifact, when it is not an image.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub artifact_type: Option<String>,
    /// The configuration.
    pub config: Descriptor,
    /// The layers, base first.
    pub layers: Vec<Descriptor>,
    /// What this manifest refers to.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub subject: Option<Descriptor>,
    /// Remarks.
    #[serde(skip_serializing_if = "BTreeMap::is_empty", default)]
    pub annotations: BTreeMap<String, String>,
}

impl ImageManifest {
    /// A manifest with `config` and `layers` and nothing else.
    pub fn new(config: Descriptor, layers: Vec<Descriptor>) -> Self {
        Self {
            schema_version: 2,
            media_type: Some(media_type::IMAGE_MANIFEST.to_owned()),
            artifact_type: None,
            config,
            layers,
            subject: None,
            annotations: BTreeMap::new(),
        }
    }

    /// Its bytes, ready to push.
    pub fn to_manifest(&self) -> Manifest {
        Manifest::new(media_type::IMAGE_MANIFEST, json::to_bytes(self))
    }
}

/// An image index.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Index {
    /// Always 2.
    pub schema_version: u8,
    /// Repeats the media type.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub media_type: Option<String>,
    /// The kind of artifact.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub artifact_type: Option<String>,
    /// What it lists.
    pub manifests: Vec<Descriptor>,
    /// What it refers to.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub subject: Option<Descriptor>,
    /// Remarks.
    #[serde(skip_serializing_if = "BTreeMap::is_empty", default)]
    pub annotations: BTreeMap<String, String>,
}

impl Index {
    /// An index of `manifests`.
    pub fn new(manifests: Vec<Descriptor>) -> Self {
        Self {
            schema_version: 2,
            media_type: Some(media_type::IMAGE_INDEX.to_owned()),
            artifact_type: None,
            manifests,
            subject: None,
            annotations: BTreeMap::new(),
        }
    }

    /// The images in it that can be run, with their platforms: not what builders list beside them (BuildKit's attestation manifests
    /// call their platform `unknown/unknown`).
    pub fn runnable(&self) -> impl Iterator<Item = (&Descriptor, &Platform)> {
        self.manifests.iter().filter_map(|child| {
            let platform = child.platform.as_ref()?;
            let known = platform.os != "unknown" && platform.architecture != "unknown";
            (known && media_type::is_image(&child.media_type)).then_some((child, platform))
        })
    }

    /// Its bytes, ready to push.
    pub fn to_manifest(&self) -> Manifest {
        Manifest::new(media_type::IMAGE_INDEX, json::to_bytes(self))
    }
}

/// An image's configuration (image-spec 1.1, "OCI Image Configuration"); unknown fields are ignored when read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImageConfig {
    /// When the image was made.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub created: Option<Timestamp>,
    /// The processor.
    pub architecture: String,
    /// The operating system.
    pub os: String,
    /// Its variant.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub variant: Option<String>,
    /// How to run it.
    #[serde(default)]
    pub config: RuntimeConfig,
    /// The uncompressed layers.
    pub rootfs: RootFs,
    /// How each layer came about.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub history: Vec<History>,
}

impl ImageConfig {
    /// The platform it is for.
    pub fn platform(&self) -> Platform {
        Platform { architecture: self.architecture.clone(), os: self.os.clone(), variant: self.variant.clone() }
    }
}

/// How a container of the image is run by default. Docker writes `null` for absent lists.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct RuntimeConfig {
    /// User or uid, and group.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// Ports, as `3000/tcp`.
    #[serde(skip_serializing_if = "BTreeMap::is_empty", deserialize_with = "null_is_default")]
    pub exposed_ports: BTreeMap<String, Empty>,
    /// `KEY=value`.
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "null_is_default")]
    pub env: Vec<String>,
    /// The program and its first arguments.
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "null_is_default")]
    pub entrypoint: Vec<String>,
    /// Further arguments.
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "null_is_default")]
    pub cmd: Vec<String>,
    /// The working directory.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub working_dir: Option<String>,
    /// Labels.
    #[serde(skip_serializing_if = "BTreeMap::is_empty", deserialize_with = "null_is_default")]
    pub labels: BTreeMap<String, String>,
    /// The signal that asks it to stop.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stop_signal: Option<String>,
}

/// The `{}` that stands behind each exposed port.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Empty {}

/// The digests of the uncompressed layers, base first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RootFs {
    /// Always `layers`.
    #[serde(rename = "type")]
    pub kind: String,
    /// One digest a layer.
    pub diff_ids: Vec<Digest>,
}

/// One step of an image's history.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct History {
    /// When.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub created: Option<Timestamp>,
    /// By which command.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub created_by: Option<String>,
    /// Whether it added no layer.
    #[serde(skip_serializing_if = "std::ops::Not::not", default)]
    pub empty_layer: bool,
}

fn null_is_default<'de, T: Default + Deserialize<'de>, D: serde::Deserializer<'de>>(d: D) -> Result<T, D::Error> {
    Ok(Option::<T>::deserialize(d)?.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_manifest_posing_as_an_index_is_refused() {
        let both = br#"{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","config":
            {"mediaType":"application/vnd.oci.empty.v1+json","size":2,"digest":
            "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"},"layers":[],"manifests":[]}"#;
        assert!(Manifest::new(media_type::IMAGE_MANIFEST, &both[..]).as_image().is_ok());
        assert!(Manifest::new(media_type::IMAGE_INDEX, &both[..]).as_index().is_err());
        assert!(Manifest::new(media_type::IMAGE_INDEX, &both[..]).as_image().is_err());
    }

    #[test]
    fn embedded_data_is_believed_only_if_it_is_what_the_descriptor_says() {
        let good = Descriptor::of(media_type::EMPTY, b"{}").with_data(b"{}");
        assert_eq!(good.embedded().as_deref(), Some(&b"{}"[..]));
        let lie = Descriptor::of(media_type::EMPTY, b"{}").with_data(b"[]");
        assert_eq!(lie.embedded(), None);
    }
}
