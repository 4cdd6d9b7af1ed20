//! Which predicate types mean the same, and how a person names them.

use std::fmt;
use std::str::FromStr;

use super::{
    COSIGN_SIGN_V1, COSIGN_VULN_V1, CYCLONEDX, PredicateError, SLSA_PROVENANCE_V1, SLSA_VSA_V1, SPDX, SPDX_V22,
    SPDX_V23, TEST_RESULT_V01, VULNS_V01, VULNS_V02, sbom, vulns,
};
use crate::{Exit, Explain};

/// The longest predicate type that a command line may name, in bytes. Those of this module have at most 49; the limit leaves room
/// for anybody's URI and keeps a type printable in one message.
pub const MAX_PREDICATE_TYPE: usize = 512;

/// What a predicate is about. Several types can be of one kind: revisions of a specification, or another tool's older spelling.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum PredicateKind {
    /// SLSA build provenance 1.x. Version 0.2 has another shape and is [`Self::Other`].
    Provenance,
    /// An SBOM: SPDX 2.2 or 2.3 as JSON. SPDX 3 has another shape and is [`Self::Other`].
    Spdx,
    /// An SBOM: CycloneDX 1.2 to 1.7 as JSON.
    CycloneDx,
    /// A vulnerability scan: in-toto's, or cosign's own.
    Vulns,
    /// What a run of tests came to.
    TestResult,
    /// SLSA verification summary 1.x: for ours a promotion.
    Vsa,
    /// cosign's "this is a signature".
    Signature,
    /// Any other type, as it was written. From [`PredicateKind::of`] it may be any text; only the command line's is known to be a
    /// URI.
    Other(String),
}

/// Short names, our own spelling first, then those that cosign's users know.
const NAMES: [(&str, PredicateKind); 9] = [
    ("slsaprovenance", PredicateKind::Provenance),
    ("spdx", PredicateKind::Spdx),
    ("cyclonedx", PredicateKind::CycloneDx),
    ("vuln", PredicateKind::Vulns),
    ("test-result", PredicateKind::TestResult),
    ("vsa", PredicateKind::Vsa),
    ("slsaprovenance1", PredicateKind::Provenance),
    ("spdxjson", PredicateKind::Spdx),
    ("vulns", PredicateKind::Vulns),
];

impl PredicateKind {
    /// The kind of a statement's `predicateType`. Every text has one.
    pub fn of(predicate_type: &str) -> Self {
        let kinds =
            [Self::Provenance, Self::Spdx, Self::CycloneDx, Self::Vulns, Self::TestResult, Self::Vsa, Self::Signature];
        kinds
            .into_iter()
            .find(|kind| kind.accepts(predicate_type))
            .unwrap_or_else(|| Self::Other(predicate_type.to_owned()))
    }

    /// Whether a statement of this type is read as this kind.
    pub fn accepts(&self, predicate_type: &str) -> bool {
        match self {
            Self::Provenance => predicate_type == SLSA_PROVENANCE_V1,
            Self::Spdx => [SPDX_V23, SPDX_V22, SPDX].contains(&predicate_type),
            Self::CycloneDx => match predicate_type.strip_prefix(CYCLONEDX) {
                Some("") => true,
                Some(rest) => rest.strip_prefix("/v").is_some_and(|v| sbom::CYCLONEDX_VERSIONS.contains(&v)),
                None => false,
            },
            Self::Vulns => [VULNS_V02, VULNS_V01, COSIGN_VULN_V1].contains(&predicate_type),
            Self::TestResult => predicate_type == TEST_RESULT_V01,
            Self::Vsa => predicate_type == SLSA_VSA_V1,
            Self::Signature => predicate_type == COSIGN_SIGN_V1,
            Self::Other(other) => predicate_type == other,
        }
    }

    /// The type that a new statement about `predicate` gets. SBOMs and scans name their format inside; the others have one type.
    ///
    /// Call [`super::check`] with the result: this looks only at the field that decides.
    ///
    /// # Errors
    /// An SPDX document without a version that we know; a document of either sort that is no JSON object.
    pub fn written_as(&self, predicate: &[u8]) -> Result<String, PredicateError> {
        let written = match self {
            Self::Provenance => SLSA_PROVENANCE_V1,
            Self::Spdx => sbom::spdx_type(predicate)?,
            Self::CycloneDx => CYCLONEDX,
            Self::Vulns => vulns::type_of(predicate)?,
            Self::TestResult => TEST_RESULT_V01,
            Self::Vsa => SLSA_VSA_V1,
            Self::Signature => COSIGN_SIGN_V1,
            Self::Other(other) => other,
        };
        Ok(written.to_owned())
    }

    /// Whether it is said of each runnable image of an index instead of the index: what is inside differs with the platform.
    pub const fn is_per_platform(&self) -> bool {
        matches!(self, Self::Spdx | Self::CycloneDx | Self::Vulns)
    }

    /// What people call it; of [`Self::Other`] the type itself, which is untrusted text: print the kind instead.
    pub fn short_name(&self) -> &str {
        match self {
            Self::Signature => "signature",
            Self::Other(other) => other,
            known => NAMES.iter().find(|(_, kind)| kind == known).map_or("", |(name, _)| name),
        }
    }

    /// The short names that a command line takes, one for each kind; aliases are left out.
    pub fn short_names() -> impl Iterator<Item = &'static str> {
        NAMES[..6].iter().map(|(name, _)| *name)
    }

    /// Where the formats of this kind are described.
    pub const fn specifications(&self) -> &'static [&'static str] {
        match self {
            Self::Provenance => &["https://slsa.dev/spec/v1.0/provenance"],
            Self::Spdx => &["https://spdx.github.io/spdx-spec/v2.3/document-creation-information/"],
            Self::CycloneDx => &["https://cyclonedx.org/docs/1.6/json/"],
            Self::Vulns => &[
                "https://github.com/in-toto/attestation/blob/main/spec/predicates/vulns_02.md",
                "https://github.com/sigstore/cosign/blob/main/specs/COSIGN_VULN_ATTESTATION_SPEC.md",
            ],
            Self::TestResult => &["https://github.com/in-toto/attestation/blob/main/spec/predicates/test-result.md"],
            Self::Vsa => &["https://slsa.dev/spec/v1.0/verification_summary"],
            Self::Signature | Self::Other(_) => {
                &["https://github.com/in-toto/attestation/blob/main/spec/v1/predicate.md"]
            }
        }
    }
}

/// The short name; of another type at most 160 characters, all printable.
impl fmt::Display for PredicateKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&printable(self.short_name()))
    }
}

/// The command line's way: a short name or a URI. Where the exact URI matters, parse a [`PredicateSelector`].
impl FromStr for PredicateKind {
    type Err = PredicateKindError;

    fn from_str(text: &str) -> Result<Self, PredicateKindError> {
        if let Some((_, kind)) = NAMES.iter().find(|(name, _)| *name == text) {
            return Ok(kind.clone());
        }
        if text.len() > MAX_PREDICATE_TYPE {
            return Err(PredicateKindError::TooLong { size: text.len() });
        }
        if is_uri(text) { Ok(Self::of(text)) } else { Err(PredicateKindError::Unknown { text: printable(text) }) }
    }
}

/// How a person names a predicate type: by a short name, which means every type of its kind, or by a URI, which means just that
/// type. The difference matters to others: `cosign verify-attestation --type spdxjson` finds [`SPDX`] and not [`SPDX_V23`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PredicateSelector {
    kind: PredicateKind,
    exact: Option<Box<str>>,
}

impl PredicateSelector {
    /// The kind it selects.
    pub const fn kind(&self) -> &PredicateKind {
        &self.kind
    }

    /// Whether it selects a statement of this type.
    pub fn accepts(&self, predicate_type: &str) -> bool {
        match &self.exact {
            Some(exact) => **exact == *predicate_type,
            None => self.kind.accepts(predicate_type),
        }
    }

    /// The type that a new statement about `predicate` gets: the URI as given, or as [`PredicateKind::written_as`] says.
    ///
    /// # Errors
    /// Those of [`PredicateKind::written_as`]; none where a URI was given.
    pub fn written_as(&self, predicate: &[u8]) -> Result<String, PredicateError> {
        match &self.exact {
            Some(exact) => Ok(exact.to_string()),
            None => self.kind.written_as(predicate),
        }
    }
}

impl FromStr for PredicateSelector {
    type Err = PredicateKindError;

    fn from_str(text: &str) -> Result<Self, PredicateKindError> {
        let kind = text.parse()?;
        // No short name has a colon and no URI is without one.
        Ok(Self { kind, exact: text.contains(':').then(|| text.into()) })
    }
}

/// As it was given on the command line.
impl fmt::Display for PredicateSelector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.exact.as_deref().unwrap_or_else(|| self.kind.short_name()))
    }
}

/// Why a text names no predicate type.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PredicateKindError {
    /// Neither a short name nor a URI.
    #[error("`{text}` is not a predicate type: write {}, or the type's URI", one_of())]
    Unknown {
        /// The text, cut and made printable.
        text: String,
    },
    /// Longer than [`MAX_PREDICATE_TYPE`].
    #[error(
        "the predicate type has {size} bytes; at most {MAX_PREDICATE_TYPE} are read: write {}, or the type's URI",
        one_of()
    )]
    TooLong {
        /// Its size in bytes.
        size: usize,
    },
}

impl Explain for PredicateKindError {
    fn exit(&self) -> Exit {
        Exit::Usage
    }

    fn hints(&self) -> Vec<String> {
        vec![
            "a type of your own is a URI without white space, such as https://acme.dev/attestation/review/v1"
                .to_owned(),
        ]
    }
}

fn one_of() -> String {
    PredicateKind::short_names().collect::<Vec<_>>().join(", ")
}

/// RFC 3986: a scheme, a colon, something after it, and nothing but printable ASCII.
pub(super) fn is_uri(text: &str) -> bool {
    let Some((scheme, rest)) = text.split_once(':') else { return false };
    scheme.starts_with(|c: char| c.is_ascii_alphabetic())
        && scheme.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'-' | b'.'))
        && !rest.is_empty()
        && rest.bytes().all(|b| b.is_ascii_graphic())
}

fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).take(160).collect()
}

#[cfg(test)]
mod tests;
