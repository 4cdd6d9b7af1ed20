//! What can go wrong while signing, reading and attaching. Why a signature is not *trusted* is in
//! [`verify`](mod@crate::verify).

use schleuse_model::json::JsonError;
use schleuse_model::{Exit, Explain, TagRef};

use crate::verify::VerifyError;

/// Bytes that are not the format they should be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// Not the expected JSON, duplicate keys, or too large.
    #[error("the {what} is malformed: {why}")]
    Json {
        /// What was read.
        what: &'static str,
        /// What the JSON door said.
        why: String,
    },
    /// Not base64 where base64 must stand.
    #[error("the {what} is not base64")]
    Base64 {
        /// What was read.
        what: &'static str,
    },
    /// Another format or version than the ones we read.
    #[error("the {what} is a `{found}`, which is not supported")]
    Kind {
        /// What was read.
        what: &'static str,
        /// What it calls itself, shortened.
        found: String,
    },
    /// A required part is missing or empty.
    #[error("the {what} has no {part}")]
    Lacks {
        /// What was read.
        what: &'static str,
        /// What it lacks.
        part: &'static str,
    },
    /// More parts than anybody needs.
    #[error("the {what} has {found} {part}; at most {limit} are read")]
    TooMany {
        /// What was read.
        what: &'static str,
        /// The part.
        part: &'static str,
        /// How many.
        found: usize,
        /// How many are read.
        limit: usize,
    },
}

impl Malformed {
    pub(crate) fn json(what: &'static str) -> impl FnOnce(JsonError) -> Self {
        move |error| Self::Json { what, why: error.to_string() }
    }

    pub(crate) fn kind(what: &'static str, found: &str) -> Self {
        Self::Kind { what, found: shown(found) }
    }
}

/// A signer could not sign.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SignerError {
    /// The key refused, or the service that holds it did not answer.
    #[error("the signing key did not sign: {0}")]
    Refused(String),
    /// What it returned is not a signature by the public key it names: a wrong key in a service, or a fault.
    #[error("the signing key returned a signature that its own public key does not verify")]
    Mismatch,
}

/// Signing, reading or attaching did not succeed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// What was to be signed, or to be merged into, is malformed.
    #[error(transparent)]
    Malformed(#[from] Malformed),
    /// The signer failed.
    #[error(transparent)]
    Signer(#[from] SignerError),
    /// The registry gave no usable answer. Never means "there is none".
    #[error(transparent)]
    Registry(#[from] schleuse_oci::Error),
    /// The bundle was written, the legacy signature not: other writers kept replacing it.
    #[error("the signature is stored as a bundle, but not under {tag}: other writers replaced it {attempts} times")]
    LegacyContended {
        /// The legacy tag.
        tag: TagRef,
        /// How often we tried.
        attempts: u32,
    },
    /// The registry was read, and nothing in it is a signature we trust.
    #[error(transparent)]
    Untrusted(#[from] VerifyError),
}

impl Explain for Error {
    fn exit(&self) -> Exit {
        match self {
            Self::Registry(error) => error.exit(),
            Self::Untrusted(error) => error.exit(),
            Self::Malformed(_) | Self::Signer(_) | Self::LegacyContended { .. } => Exit::Error,
        }
    }

    fn hints(&self) -> Vec<String> {
        match self {
            Self::Registry(error) => error.hints(),
            Self::Untrusted(error) => error.hints(),
            Self::LegacyContended { .. } => vec![
                "sign again when the others are done: what is there already is kept".to_owned(),
                "or leave the legacy format out if nothing reads it (skopeo, podman and cosign 2 do)".to_owned(),
            ],
            Self::Malformed(_) | Self::Signer(_) => Vec::new(),
        }
    }
}

/// Untrusted text as it may be shown: short, and nothing a terminal would act on.
pub(crate) fn shown(text: &str) -> String {
    const LONGEST: usize = 120;
    let mut short: String = text.chars().take(LONGEST).map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect();
    if text.chars().nth(LONGEST).is_some() {
        short.push('…');
    }
    short
}
