//! The build manifest: the file `schleuse build` leaves behind, so that the next job knows what was built without asking a tag.
//!
//! It is not evidence: it is not signed, and whoever holds the build job can write what they like into it. The signing job reads
//! the digest from it and nothing else counts; [`provenance`] turns it into the statement that is then signed.

mod provenance;
mod reuse;

use std::path::Path;

use schleuse_model::json::{self, JsonError};
use schleuse_model::{Commit, Digest, Repository, Tag, Timestamp};
use schleuse_oci::Platform;
use serde::{Deserialize, Serialize};

pub use provenance::{RunInfo, provenance};
pub use reuse::{BuildIdentity, Mismatch, Reuse, reuse};

use crate::layers::Built;
use crate::work;

/// The format's name.
pub const SCHEMA: &str = "schleuse-build-v1";
/// The largest build manifest that is read. Real ones have a few KiB.
pub const LIMIT: usize = 1 << 20;

/// What was built. Written as one line of JSON with the fields in this order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BuildManifest {
    /// Always [`SCHEMA`].
    pub schema: Schema,
    /// The image's repository.
    pub image: Repository,
    /// The image's digest.
    pub digest: Digest,
    /// The tag the build set, usually `sha-<commit>`. A remark: it can move.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub tag: Option<Tag>,
    /// The source commit.
    pub commit: Commit,
    /// The version, if the build was given one.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub version: Option<String>,
    /// The source repository's address.
    pub source: String,
    /// The CI workflow, such as `.github/workflows/build-and-sign.yml`; absent on a laptop.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub workflow: Option<String>,
    /// For which platform.
    pub platform: Platform,
    /// What it stands on; absent from scratch.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub base: Option<BaseRecord>,
    /// All layers, lowest first, the base's included.
    pub layers: Vec<LayerRecord>,
    /// `SOURCE_DATE_EPOCH`, not the time of the build.
    pub created: Timestamp,
    /// Which builder: `layers`, `buildx`, `buildah`.
    pub builder: String,
}

/// The base image.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BaseRecord {
    /// Its repository.
    pub uri: String,
    /// Its digest as the build was given it.
    pub digest: Digest,
}

/// A layer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LayerRecord {
    /// Its digest.
    pub digest: Digest,
    /// Its compressed size in bytes.
    pub size: u64,
}

/// The one value of the field `schema`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Schema {
    /// [`SCHEMA`].
    #[serde(rename = "schleuse-build-v1")]
    V1,
}

impl BuildManifest {
    /// Records `built`.
    pub fn new(built: &Built, image: Repository, tag: Option<Tag>, workflow: Option<String>) -> Self {
        let base = built.base.as_ref();
        let below = base.into_iter().flat_map(|base| &base.layers);
        let layers = below.chain(built.layers.iter().map(|(blob, _)| blob));
        Self {
            schema: Schema::V1,
            image,
            digest: built.manifest.digest().clone(),
            tag,
            commit: built.source.commit.clone(),
            version: built.source.version.clone(),
            source: built.source.uri.clone(),
            workflow,
            platform: built.platform.clone(),
            base: base.map(|base| BaseRecord {
                uri: base.image.repository().to_string(),
                digest: base.image.digest().clone(),
            }),
            layers: layers.map(|blob| LayerRecord { digest: blob.digest.clone(), size: blob.size }).collect(),
            created: built.created,
            builder: "layers".to_owned(),
        }
    }

    /// Reads one. Untrusted.
    ///
    /// # Errors
    /// If it is larger than [`LIMIT`], has unknown or duplicate fields, or another schema.
    pub fn parse(bytes: &[u8]) -> Result<Self, JsonError> {
        json::from_untrusted(bytes, LIMIT)
    }

    /// Its bytes: the same for the same build.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = json::to_bytes(self);
        bytes.push(b'\n');
        bytes
    }

    /// Writes it to `path`, all or nothing.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn write(&self, path: &Path) -> std::io::Result<()> {
        work::replace(&work::replaceable(path)?, &self.to_bytes())
    }
}
