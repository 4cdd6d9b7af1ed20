//! Releases and the people (or machines) who move them.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize};

use crate::Digest;

/// A git commit: 40 (SHA-1) or 64 (SHA-256) lower-case hex digits.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(transparent)]
pub struct Commit(Box<str>);

/// Why a text is not a [`Commit`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a commit: expected 40 or 64 lower-case hex digits")]
pub struct CommitError(String);

impl Commit {
    /// The whole hash.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The first 7 digits: what people read.
    pub fn short(&self) -> &str {
        &self.0[..7]
    }
}

impl FromStr for Commit {
    type Err = CommitError;

    fn from_str(text: &str) -> Result<Self, CommitError> {
        let hex = text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
        if hex && matches!(text.len(), 40 | 64) {
            Ok(Self(text.into()))
        } else {
            Err(CommitError(text.chars().take(80).collect()))
        }
    }
}

impl fmt::Display for Commit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Commit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Commit {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// One image digest of one repository, with its source commit and version as the image's labels claim them
/// (`org.opencontainers.image.revision`, `…version`). The digest identifies it; the rest is for people.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Release {
    /// The image's digest.
    pub digest: Digest,
    /// The source commit, where the image says one.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub commit: Option<Commit>,
    /// The version, where the image says one. At most 128 characters, no control characters ([`Release::clean_version`]).
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub version: Option<String>,
}

impl Release {
    /// A version label fit to be shown: `None` if it is empty, longer than 128 characters or has characters a terminal would
    /// act on.
    pub fn clean_version(label: &str) -> Option<String> {
        let fit = !label.is_empty() && label.len() <= 128 && label.chars().all(|c| !c.is_control());
        fit.then(|| label.to_owned())
    }
}

/// Who did something. `claimed` unless a verified identity token says it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Actor {
    /// The name, as the CI system or the machine gives it.
    pub name: String,
    /// Whether it is only claimed.
    pub claimed: bool,
}

impl fmt::Display for Actor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)?;
        if self.claimed { f.write_str(" (claimed)") } else { Ok(()) }
    }
}
