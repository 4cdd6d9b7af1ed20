//! Signatures and attestations as they were found: bytes that claim something.
//!
//! One of them can be written down whole ([`Candidate::evidence`]) and read again ([`Candidate::from_evidence`]): a journal entry
//! embeds the signature it relied on, so that it can be checked when the registry has lost it.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use schleuse_model::{Digest, Timestamp, json};
use schleuse_oci::media_type;
use serde::{Deserialize, Serialize};

use crate::error::Malformed;
use crate::verify::Reason;

/// The largest signature that is read, in bytes: 256 KiB. One with certificates and log entries has about 10 KiB. What is
/// larger is no signature we would accept, so that skipping it loses nothing.
pub const SIGNATURE_LIMIT: usize = 256 << 10;

/// Where a candidate was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// A referrer: the digest of its manifest.
    Referrer(Digest),
    /// A layer under the legacy tag: the layer's digest.
    Legacy(Digest),
    /// Carried in a record (a journal entry) or a file.
    Carried,
}

impl Origin {
    /// Whether it lies under a legacy tag.
    pub const fn is_legacy(&self) -> bool {
        matches!(self, Self::Legacy(_))
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Referrer(manifest) => write!(f, "bundle {}", manifest.short()),
            Self::Legacy(layer) => write!(f, "legacy layer {}", layer.short()),
            Self::Carried => f.write_str("the recorded signature"),
        }
    }
}

/// Bytes that claim to be a signature or an attestation. Untrusted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    pub(crate) origin: Origin,
    pub(crate) content: Content,
    pub(crate) created: Option<Timestamp>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Content {
    /// A sigstore bundle.
    Bundle(Bytes),
    /// A bare DSSE envelope: a layer of cosign's `.att`.
    Envelope(Bytes),
    /// A simple signing payload and its signature (base64, as in the annotation): a layer of cosign's `.sig`.
    Simple { payload: Bytes, signature: String },
    /// Nothing that could be checked, and why.
    Unreadable(Reason),
}

/// A legacy signature as one document; a bundle is one already.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Carried {
    media_type: String,
    payload: String,
    signature: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Kind {
    media_type: String,
}

impl Candidate {
    /// A sigstore bundle.
    pub fn bundle(origin: Origin, bytes: impl Into<Bytes>) -> Self {
        Self { origin, content: Content::Bundle(bytes.into()), created: None }
    }

    /// A DSSE envelope without a bundle around it.
    pub fn envelope(origin: Origin, bytes: impl Into<Bytes>) -> Self {
        Self { origin, content: Content::Envelope(bytes.into()), created: None }
    }

    /// A simple signing payload and its base64 signature.
    pub fn simple(origin: Origin, payload: impl Into<Bytes>, signature: impl Into<String>) -> Self {
        let content = Content::Simple { payload: payload.into(), signature: signature.into() };
        Self { origin, content, created: None }
    }

    pub(crate) const fn unreadable(origin: Origin, reason: Reason) -> Self {
        Self { origin, content: Content::Unreadable(reason), created: None }
    }

    /// The same, with the time that its holder says it was made. Unsigned.
    #[must_use]
    pub(crate) const fn dated(mut self, created: Option<Timestamp>) -> Self {
        self.created = created;
        self
    }

    /// Where it was found.
    pub const fn origin(&self) -> &Origin {
        &self.origin
    }

    /// When it was made, as far as somebody says so. Unsigned: for people, never for a decision.
    pub const fn created(&self) -> Option<Timestamp> {
        self.created
    }

    /// How many bytes were read for it.
    pub(crate) fn size(&self) -> usize {
        match &self.content {
            Content::Bundle(bytes) | Content::Envelope(bytes) => bytes.len(),
            Content::Simple { payload, signature } => payload.len() + signature.len(),
            Content::Unreadable(_) => 0,
        }
    }

    /// The candidate as one self-contained JSON document: the bundle's or envelope's exact bytes, or
    /// `{"mediaType","payload","signature"}` (base64) for a legacy signature. `None`: there was nothing readable.
    pub fn evidence(&self) -> Option<Bytes> {
        match &self.content {
            Content::Bundle(bytes) | Content::Envelope(bytes) => Some(bytes.clone()),
            Content::Simple { payload, signature } => Some(
                json::to_bytes(&Carried {
                    media_type: media_type::SIMPLE_SIGNING.to_owned(),
                    payload: STANDARD.encode(payload),
                    signature: signature.clone(),
                })
                .into(),
            ),
            Content::Unreadable(_) => None,
        }
    }

    /// Reads what [`Candidate::evidence`] wrote for a signature, at most [`SIGNATURE_LIMIT`] bytes. What cannot be read becomes a
    /// candidate that is rejected with the reason.
    pub fn from_evidence(bytes: &[u8]) -> Self {
        let content = Self::read(bytes).unwrap_or_else(|malformed| Content::Unreadable(malformed.into()));
        Self { origin: Origin::Carried, content, created: None }
    }

    fn read(bytes: &[u8]) -> Result<Content, Malformed> {
        const WHAT: &str = "recorded signature";
        let kind: Kind = json::from_untrusted(bytes, SIGNATURE_LIMIT).map_err(Malformed::json(WHAT))?;
        if kind.media_type != media_type::SIMPLE_SIGNING {
            // A bundle, or something that the bundle's own reader names and refuses.
            return Ok(Content::Bundle(Bytes::copy_from_slice(bytes)));
        }
        let carried: Carried = json::from_untrusted(bytes, SIGNATURE_LIMIT).map_err(Malformed::json(WHAT))?;
        let payload = STANDARD.decode(&carried.payload).map_err(|_| Malformed::Base64 { what: WHAT })?;
        Ok(Content::Simple { payload: payload.into(), signature: carried.signature })
    }
}
