//! References to images, by the grammar of the distribution-spec ("Pulling manifests") and of `distribution/reference`.
//!
//! A [`TagRef`] moves, a [`PinnedRef`] cannot. They are different types on purpose: checking one image and deploying another
//! must be impossible to write down (DESIGN, law 1). Only a registry's `resolve` turns the first into the second.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::{Digest, Exit, Explain};

/// Why a text is not a reference.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not an image reference: {reason}")]
pub struct ReferenceError {
    text: String,
    reason: &'static str,
}

impl Explain for ReferenceError {
    fn exit(&self) -> Exit {
        Exit::Usage
    }
}

fn error(text: &str, reason: &'static str) -> ReferenceError {
    ReferenceError {
        text: text.chars().take(300).map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect(),
        reason,
    }
}

/// A repository: `registry host[:port]` and path, such as `ghcr.io/acme/billing`.
///
/// `acme/billing` means `docker.io/acme/billing`, and `node` means `docker.io/library/node`, as everywhere in the field: the
/// first part is a host only if it has a dot or a colon, or is `localhost`.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Repository {
    host: Box<str>,
    path: Box<str>,
}

impl Repository {
    /// The registry's host, with its port if one was written.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The path on that registry, without leading slash.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The repository at the same host whose path has `suffix` appended (`billing` and `-journal`).
    ///
    /// # Errors
    /// If the result is no repository path.
    pub fn with_suffix(&self, suffix: &str) -> Result<Self, ReferenceError> {
        format!("{}/{}{suffix}", self.host, self.path).parse()
    }

    /// The tag `tag` in this repository.
    pub fn tag(&self, tag: Tag) -> TagRef {
        TagRef { repository: self.clone(), tag }
    }

    /// The content `digest` in this repository.
    pub fn pin(&self, digest: Digest) -> PinnedRef {
        PinnedRef { repository: self.clone(), digest }
    }

    /// Whether the host is this machine by name or address: then plain HTTP is allowed without asking.
    pub fn is_loopback(&self) -> bool {
        let name = if let Some(rest) = self.host.strip_prefix('[') {
            rest.split(']').next().unwrap_or("")
        } else {
            self.host.split(':').next().unwrap_or("")
        };
        name == "localhost" || name.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback())
    }
}

impl FromStr for Repository {
    type Err = ReferenceError;

    fn from_str(text: &str) -> Result<Self, ReferenceError> {
        let (host, path) = match text.split_once('/') {
            Some((first, rest)) if first.contains(['.', ':']) || first == "localhost" => (first, rest.to_owned()),
            Some(_) => ("docker.io", text.to_owned()),
            None => ("docker.io", format!("library/{text}")),
        };
        if !is_host(host) {
            return Err(error(text, "the registry's host is malformed"));
        }
        if path.len() > 255 {
            return Err(error(text, "the repository's name is longer than 255 characters"));
        }
        if !path.split('/').all(is_path_component) {
            return Err(error(
                text,
                "a repository's name has lower-case letters, digits and single separators (`.`, `_`, `-`) between `/`",
            ));
        }
        Ok(Self { host: host.into(), path: path.into() })
    }
}

/// `[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*`
fn is_path_component(part: &str) -> bool {
    let alphanumeric = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    let bytes = part.as_bytes();
    let edges = bytes.first().is_some_and(|b| alphanumeric(*b)) && bytes.last().is_some_and(|b| alphanumeric(*b));
    let separators = part.split(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit()).filter(|s| !s.is_empty());
    edges
        && separators
            .into_iter()
            .all(|separator| matches!(separator, "." | "_" | "__") || separator.bytes().all(|b| b == b'-'))
}

fn is_host(host: &str) -> bool {
    let (name, port) = if host.starts_with('[') {
        match host.split_once(']') {
            Some((name, rest)) => {
                if name[1..].parse::<std::net::Ipv6Addr>().is_err() {
                    return false;
                }
                ("ipv6", rest)
            }
            None => return false,
        }
    } else {
        let colon = host.find(':').unwrap_or(host.len());
        (&host[..colon], &host[colon..])
    };
    let label = |label: &str| {
        !label.is_empty()
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
    };
    let port_ok = port.is_empty() || port.strip_prefix(':').is_some_and(|p| p.parse::<u16>().is_ok_and(|p| p > 0));
    host.len() <= 255 && name.split('.').all(label) && port_ok
}

impl fmt::Display for Repository {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.host, self.path)
    }
}

/// A tag's name: `[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}`.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Tag(Box<str>);

impl Tag {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Tag {
    type Err = ReferenceError;

    fn from_str(text: &str) -> Result<Self, ReferenceError> {
        let word = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
        let good = text.len() <= 128
            && text.bytes().next().is_some_and(word)
            && text.bytes().all(|b| word(b) || b == b'.' || b == b'-');
        if good {
            Ok(Self(text.into()))
        } else {
            Err(error(
                text,
                "a tag has at most 128 letters, digits, `_`, `.` and `-`, and starts with none of `.` and `-`",
            ))
        }
    }
}

impl fmt::Display for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A tag in a repository: what it points at can change at any time.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TagRef {
    repository: Repository,
    tag: Tag,
}

impl TagRef {
    /// The repository.
    pub const fn repository(&self) -> &Repository {
        &self.repository
    }

    /// The tag's name.
    pub const fn tag(&self) -> &Tag {
        &self.tag
    }
}

impl fmt::Display for TagRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.repository, self.tag)
    }
}

/// Content in a repository, named by its digest: the same bytes for ever.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PinnedRef {
    repository: Repository,
    digest: Digest,
}

impl PinnedRef {
    /// The repository.
    pub const fn repository(&self) -> &Repository {
        &self.repository
    }

    /// The digest.
    pub const fn digest(&self) -> &Digest {
        &self.digest
    }
}

impl fmt::Display for PinnedRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.repository, self.digest)
    }
}

impl FromStr for PinnedRef {
    type Err = ReferenceError;

    fn from_str(text: &str) -> Result<Self, ReferenceError> {
        match text.parse()? {
            Reference::Pinned(pinned) => Ok(pinned),
            Reference::Tagged(_) => Err(error(text, "a digest is needed here (`name@sha256:…`)")),
        }
    }
}

/// What a person writes: a tag or a digest. `name:tag@digest` is the digest; the tag is only a remark.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Reference {
    /// `name:tag`; a bare `name` means `name:latest`.
    Tagged(TagRef),
    /// `name@digest`.
    Pinned(PinnedRef),
}

impl Reference {
    /// The repository.
    pub const fn repository(&self) -> &Repository {
        match self {
            Self::Tagged(tagged) => tagged.repository(),
            Self::Pinned(pinned) => pinned.repository(),
        }
    }
}

impl FromStr for Reference {
    type Err = ReferenceError;

    fn from_str(text: &str) -> Result<Self, ReferenceError> {
        let (name, digest) = match text.split_once('@') {
            Some((name, digest)) => {
                (name, Some(digest.parse::<Digest>().map_err(|_| error(text, "the digest after `@` is malformed"))?))
            }
            None => (text, None),
        };
        // A colon after the last slash starts a tag; one before it belongs to the port.
        let after_slash = name.rfind('/').map_or(0, |at| at + 1);
        let (name, tag) = match name[after_slash..].find(':') {
            Some(at) => (&name[..after_slash + at], Some(name[after_slash + at + 1..].parse::<Tag>()?)),
            None => (name, None),
        };
        let repository: Repository = name.parse()?;
        Ok(match (digest, tag) {
            (Some(digest), _) => Self::Pinned(repository.pin(digest)),
            (None, Some(tag)) => Self::Tagged(repository.tag(tag)),
            (None, None) => Self::Tagged(repository.tag("latest".parse()?)),
        })
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tagged(tagged) => fmt::Display::fmt(tagged, f),
            Self::Pinned(pinned) => fmt::Display::fmt(pinned, f),
        }
    }
}

/// `Debug` as `Display`, and serde as text: these are names, not structures.
macro_rules! as_text {
    ($($name:ty),*) => {$(
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }
        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }
        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    )*};
}
as_text!(Repository, Tag, PinnedRef);

impl fmt::Debug for TagRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const HEX: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    #[test]
    fn spellings() {
        let pinned = format!("ghcr.io/acme/billing:1.4@sha256:{HEX}");
        for (text, written) in [
            ("ghcr.io/acme/billing:1.4.0", "ghcr.io/acme/billing:1.4.0".to_owned()),
            ("node:20-alpine", "docker.io/library/node:20-alpine".to_owned()),
            ("acme/billing", "docker.io/acme/billing:latest".to_owned()),
            ("localhost/x:1", "localhost/x:1".to_owned()),
            ("127.0.0.1:5000/a/b__c/d-e.f", "127.0.0.1:5000/a/b__c/d-e.f:latest".to_owned()),
            ("[::1]:5000/a:t", "[::1]:5000/a:t".to_owned()),
            (pinned.as_str(), format!("ghcr.io/acme/billing@sha256:{HEX}")),
        ] {
            assert_eq!(text.parse::<Reference>().unwrap().to_string(), written, "{text}");
        }
    }

    #[test]
    fn refused() {
        let long = format!("ghcr.io/{}", "a".repeat(256));
        for text in [
            "",
            "/",
            "ghcr.io/",
            "ghcr.io/Acme/x",
            "ghcr.io/a//b",
            "ghcr.io/../x",
            "ghcr.io/a/.b",
            "ghcr.io/a/b-",
            "ghcr.io/a___b",
            "ghcr.io/a..b",
            "ghcr.io:99999/a",
            "gh cr.io/a",
            "ghcr.io/a:",
            "ghcr.io/a:-t",
            "ghcr.io/a@sha256:00",
            "ghcr.io/a@",
            "[::1/a",
            "[zz]:1/a",
            "a\u{0}b",
            "-x.io/a",
            long.as_str(),
        ] {
            assert!(text.parse::<Reference>().is_err(), "{text:?}");
        }
    }

    #[test]
    fn loopback_by_name_and_address() {
        let loopback = |text: &str| text.parse::<Repository>().unwrap().is_loopback();
        assert!(loopback("localhost:5000/a") && loopback("127.0.0.2/a") && loopback("[::1]:5000/a"));
        assert!(!loopback("ghcr.io/a") && !loopback("127.0.0.1.evil.example/a") && !loopback("10.0.0.1:5000/a"));
    }

    proptest! {
        #[test]
        fn any_text_parses_or_is_refused_and_parsing_is_stable(text in "\\PC{0,80}") {
            if let Ok(reference) = text.parse::<Reference>() {
                let written = reference.to_string();
                prop_assert_eq!(written.parse::<Reference>().unwrap(), reference);
            }
        }

        #[test]
        fn made_of_valid_parts_it_parses(host in "[a-z]{1,8}(\\.[a-z]{2,3}){1,2}(:[1-9][0-9]{0,3})?",
            path in "[a-z0-9]{1,6}((\\.|_|__|-{1,3})[a-z0-9]{1,4}){0,2}(/[a-z0-9]{1,6}){0,3}", tag in "[A-Za-z0-9_][A-Za-z0-9._-]{0,20}") {
            let text = format!("{host}/{path}:{tag}");
            prop_assert_eq!(text.parse::<Reference>().unwrap().to_string(), text);
        }
    }
}
