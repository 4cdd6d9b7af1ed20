//! Content descriptors (image-spec 1.1, "OCI Content Descriptors").

use std::collections::BTreeMap;
use std::fmt;

use base64::Engine as _;
use schleuse_model::Digest;
use serde::{Deserialize, Serialize};

use crate::media_type;

/// Media type, size and digest of some content, and what its holder says about it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Descriptor {
    /// The content's media type.
    pub media_type: String,
    /// The content's digest.
    pub digest: Digest,
    /// The content's size in bytes.
    pub size: u64,
    /// Remarks. Untrusted unless the holder is signed.
    #[serde(skip_serializing_if = "BTreeMap::is_empty", default)]
    pub annotations: BTreeMap<String, String>,
    /// The content itself, base64, for small content ([`Descriptor::embedded`]).
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub data: Option<String>,
    /// The kind of artifact, in an index.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub artifact_type: Option<String>,
    /// For which platform, in an index.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub platform: Option<Platform>,
}

/// Operating system and processor (image-spec 1.1, "Image Index").
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Platform {
    /// As Go's `GOARCH`.
    pub architecture: String,
    /// As Go's `GOOS`.
    pub os: String,
    /// Such as `v8`.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub variant: Option<String>,
}

/// `os/architecture`, or `os/architecture/variant`, as Docker writes it.
impl fmt::Display for Platform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.os, self.architecture)?;
        self.variant.as_ref().map_or(Ok(()), |variant| write!(f, "/{variant}"))
    }
}

impl Descriptor {
    /// Describes `bytes`.
    pub fn of(media_type: &str, bytes: &[u8]) -> Self {
        Self::new(media_type, Digest::sha256(bytes), bytes.len() as u64)
    }

    /// Describes content known by digest and size.
    pub fn new(media_type: &str, digest: Digest, size: u64) -> Self {
        Self {
            media_type: media_type.to_owned(),
            digest,
            size,
            annotations: BTreeMap::new(),
            data: None,
            artifact_type: None,
            platform: None,
        }
    }

    /// The empty descriptor: the two bytes `{}`.
    pub fn empty() -> Self {
        Self::of(media_type::EMPTY, EMPTY_JSON)
    }

    /// Carries `bytes` in the descriptor itself (`data`), so that reading the manifest reads the content.
    #[must_use]
    pub fn with_data(mut self, bytes: &[u8]) -> Self {
        self.data = Some(base64::engine::general_purpose::STANDARD.encode(bytes));
        self
    }

    /// The embedded content, if there is some and it is what digest and size say.
    pub fn embedded(&self) -> Option<Vec<u8>> {
        let bytes = base64::engine::general_purpose::STANDARD.decode(self.data.as_deref()?).ok()?;
        (bytes.len() as u64 == self.size && self.digest.matches(&bytes)).then_some(bytes)
    }
}

/// The content of the empty descriptor.
pub const EMPTY_JSON: &[u8] = b"{}";
