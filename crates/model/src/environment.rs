//! Environments: the rungs of the ladder.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize};

/// The name of a rung: 1 to 32 characters of `a-z`, `0-9` and `-`, starting with a letter, not ending with `-`.
///
/// The name becomes part of tags, git refs and paths, so nothing that any of those would treat specially is allowed. Names that
/// start with `_` are ours (`_quarantine`) and cannot be written in a configuration.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(transparent)]
pub struct EnvironmentName(Box<str>);

/// What our own tags beside an image start with: an environment's tag must not be one of them.
const OURS: &str = "schleuse-";

/// Why a text is not an [`EnvironmentName`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is not an environment's name: use 1 to 32 of a-z, 0-9 and `-`, starting with a letter, not with `schleuse-`"
)]
pub struct EnvironmentNameError(String);

impl EnvironmentName {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for EnvironmentName {
    type Err = EnvironmentNameError;

    fn from_str(text: &str) -> Result<Self, EnvironmentNameError> {
        let allowed = text.bytes().all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'-'));
        let edges = text.starts_with(|c: char| c.is_ascii_lowercase()) && !text.ends_with('-');
        if !allowed || !edges || text.len() > 32 || text.starts_with(OURS) {
            return Err(EnvironmentNameError(text.chars().take(64).collect()));
        }
        Ok(Self(text.into()))
    }
}

impl fmt::Display for EnvironmentName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for EnvironmentName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for EnvironmentName {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grammar() {
        for good in ["dev", "staging", "production", "eu-west-1", "a"] {
            assert!(good.parse::<EnvironmentName>().is_ok(), "{good}");
        }
        let long = "a".repeat(33);
        for bad in
            ["schleuse-staging", "", "Dev", "1st", "-a", "a-", "a/b", "a.b", "_quarantine", "..", long.as_str(), "ä"]
        {
            assert!(bad.parse::<EnvironmentName>().is_err(), "{bad}");
        }
    }
}
