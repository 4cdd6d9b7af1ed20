//! Which endpoint a request means (distribution-spec 1.1, "Endpoints").
//!
//! Repository names contain slashes and may contain the words `blobs`, `manifests`, `tags` and `uploads`, so a path is read from
//! its end: its last segments say what it is, the rest is the name.

use std::fmt;

use schleuse_model::{Digest, Repository, Tag};

use crate::problem::Problem;

/// A repository's name, by the grammar of the specification. No part of it can be `.`, `..`, empty, or start with `_`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Name(Box<str>);

impl Name {
    pub(crate) fn parse(text: &str) -> Result<Self, Problem> {
        // One grammar for the whole workspace: the model's, which wants a host before the path.
        let repository: Result<Repository, _> = format!("localhost/{text}").parse();
        repository.map(|repository| Self(repository.path().into())).map_err(|_| Problem::name_invalid(text))
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What a manifest is asked for by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Selector {
    Tag(Tag),
    Digest(Digest),
    /// Neither: nothing can be there by that name, and nothing can be put there.
    Malformed,
}

/// An endpoint with its parameters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Route {
    Base,
    Blob(Name, Digest),
    Uploads(Name),
    Upload(Name, String),
    Manifest(Name, Selector),
    TagList(Name),
    Referrers(Name, Digest),
}

/// What a path is about, for counting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Base,
    Blob,
    Upload,
    Manifest,
    Tags,
    Referrers,
    /// No endpoint of ours, or a request that was refused before its path was read.
    Other,
}

impl Kind {
    /// In the order of their numbers.
    pub(crate) const ALL: [Self; 7] =
        [Self::Base, Self::Blob, Self::Upload, Self::Manifest, Self::Tags, Self::Referrers, Self::Other];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Base => "base",
            Self::Blob => "blob",
            Self::Upload => "upload",
            Self::Manifest => "manifest",
            Self::Tags => "tags",
            Self::Referrers => "referrers",
            Self::Other => "other",
        }
    }
}

impl Route {
    pub(crate) const fn kind(&self) -> Kind {
        match self {
            Self::Base => Kind::Base,
            Self::Blob(..) => Kind::Blob,
            Self::Uploads(_) | Self::Upload(..) => Kind::Upload,
            Self::Manifest(..) => Kind::Manifest,
            Self::TagList(_) => Kind::Tags,
            Self::Referrers(..) => Kind::Referrers,
        }
    }

    pub(crate) fn parse(path: &str) -> Result<Self, Problem> {
        let rest = path.strip_prefix("/v2").ok_or_else(Problem::no_such_path)?;
        if matches!(rest, "" | "/") {
            return Ok(Self::Base);
        }
        let rest = rest.strip_prefix('/').ok_or_else(Problem::no_such_path)?;
        let parts: Vec<String> =
            rest.split('/').map(percent_decode).collect::<Option<_>>().ok_or_else(Problem::no_such_path)?;
        let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
        let name = |parts: &[&str]| Name::parse(&parts.join("/"));
        let digest = |text: &str| text.parse::<Digest>().map_err(|error| Problem::digest_invalid(&error.to_string()));
        match parts.as_slice() {
            [head @ .., "blobs", "uploads"] | [head @ .., "blobs", "uploads", ""] => Ok(Self::Uploads(name(head)?)),
            [head @ .., "blobs", "uploads", id] => Ok(Self::Upload(name(head)?, (*id).to_owned())),
            [head @ .., "tags", "list"] => Ok(Self::TagList(name(head)?)),
            [head @ .., "blobs", text] => Ok(Self::Blob(name(head)?, digest(text)?)),
            [head @ .., "referrers", text] => Ok(Self::Referrers(name(head)?, digest(text)?)),
            [head @ .., "manifests", text] => {
                let name = name(head)?;
                Ok(Self::Manifest(
                    name,
                    if text.contains(':') {
                        Selector::Digest(digest(text)?)
                    } else {
                        text.parse().map_or(Selector::Malformed, Selector::Tag)
                    },
                ))
            }
            _ => Err(Problem::no_such_path()),
        }
    }
}

/// The parameters after `?`.
#[derive(Debug, Default)]
pub(crate) struct Query(Vec<(String, String)>);

impl Query {
    pub(crate) fn parse(text: Option<&str>) -> Self {
        let pair = |pair: &str| {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            Some((percent_decode(key)?, percent_decode(value)?))
        };
        Self(text.unwrap_or("").split('&').filter_map(pair).collect())
    }

    /// A parameter; of repeated ones the first.
    pub(crate) fn get(&self, key: &str) -> Option<&str> {
        self.all(key).next()
    }

    /// All values of a parameter that may be repeated, in their order.
    pub(crate) fn all(&self, key: &str) -> impl Iterator<Item = &str> {
        self.0.iter().filter(move |(name, _)| name == key).map(|(_, value)| value.as_str())
    }

    /// A digest parameter, if it is given.
    pub(crate) fn digest(&self, key: &str) -> Result<Option<Digest>, Problem> {
        let parse = |text: &str| text.parse().map_err(|error| Problem::digest_invalid(&format!("{error}")));
        self.get(key).map(parse).transpose()
    }
}

/// RFC 3986, section 2.1. `None` for a malformed escape or bytes that are no UTF-8.
fn percent_decode(text: &str) -> Option<String> {
    let mut bytes = text.bytes();
    let mut out = Vec::with_capacity(text.len());
    while let Some(byte) = bytes.next() {
        out.push(if byte == b'%' {
            let mut digit = || bytes.next().and_then(|b| char::from(b).to_digit(16));
            u8::try_from(digit()? * 16 + digit()?).ok()?
        } else {
            byte
        });
    }
    String::from_utf8(out).ok()
}

/// The reverse, for values in a `Link` header.
pub(crate) fn percent_encode(text: &str) -> String {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-._~:".contains(&b);
    text.bytes().map(|b| if plain(b) { char::from(b).to_string() } else { format!("%{b:02X}") }).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Parts that paths are made of, and what attackers put between them.
    const PART: &str = "v2|[a-z0-9]{1,5}|blobs|uploads|manifests|tags|list|referrers|sha256:[0-9a-f]{64}|\\.{1,2}|\
                        %2[ef]|%2e%2e|%00|%|_x|[A-Z]{1,3}|.{0,6}";

    proptest! {
        /// Whatever the path: no panic, and a name that was taken is one that leads nowhere else on a disk.
        #[test]
        fn any_path(parts in proptest::collection::vec(PART, 0..9)) {
            for path in [format!("/v2/{}", parts.join("/")), parts.join("/")] {
                let name = match Route::parse(&path) {
                    Ok(Route::Blob(name, _) | Route::Uploads(name) | Route::Upload(name, _) | Route::TagList(name)) => name,
                    Ok(Route::Manifest(name, _) | Route::Referrers(name, _)) => name,
                    Ok(Route::Base) | Err(_) => continue,
                };
                prop_assert!(!name.as_str().is_empty() && name.as_str().is_ascii());
                for part in name.as_str().split('/') {
                    prop_assert!(part.starts_with(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit()), "{}", name);
                    prop_assert!(!part.contains(['%', '\\', '\0', ':']) && !part.contains(".."), "{}", name);
                }
            }
        }

        /// What is written into a `Link` is read again.
        #[test]
        fn escapes_come_back(text in ".{0,30}") {
            prop_assert_eq!(percent_decode(&percent_encode(&text)), Some(text.clone()));
            let query = Query::parse(Some(&format!("n=1&last={}&last=x", percent_encode(&text))));
            prop_assert_eq!(query.get("last"), Some(text.as_str()));
            prop_assert_eq!(query.all("last").count(), 2);
        }

        #[test]
        fn any_query(text in "[a-z&=%0-9]{0,40}|.{0,40}") {
            let query = Query::parse(Some(&text));
            let _ = (query.get("digest").is_some(), query.digest("digest"));
        }
    }

    fn name(text: &str) -> Name {
        Name::parse(text).unwrap()
    }

    #[test]
    fn names_may_contain_the_words_of_the_endpoints() {
        let digest = Digest::sha256(b"");
        for odd in ["a", "blobs", "a/blobs/uploads", "manifests/tags/list", "a/tags", "referrers/x"] {
            assert_eq!(Route::parse(&format!("/v2/{odd}/blobs/uploads/")).unwrap(), Route::Uploads(name(odd)));
            assert_eq!(Route::parse(&format!("/v2/{odd}/tags/list")).unwrap(), Route::TagList(name(odd)));
            assert_eq!(
                Route::parse(&format!("/v2/{odd}/blobs/{digest}")).unwrap(),
                Route::Blob(name(odd), digest.clone())
            );
            let latest = Selector::Tag("latest".parse().unwrap());
            assert_eq!(
                Route::parse(&format!("/v2/{odd}/manifests/latest")).unwrap(),
                Route::Manifest(name(odd), latest)
            );
        }
        let escaped = format!("/v2/a/referrers/{}", digest.to_string().replace(':', "%3A"));
        assert_eq!(Route::parse(&escaped).unwrap(), Route::Referrers(name("a"), digest));
    }

    #[test]
    fn no_path_leads_out_of_the_folder() {
        for path in [
            "/v2/../etc/manifests/x",
            "/v2/a/../../b/tags/list",
            "/v2/%2e%2e/tags/list",
            "/v2/a%2f..%2fb/tags/list",
            "/v2/_tags/tags/list",
            "/v2//tags/list",
            "/v2/A/tags/list",
            "/v2/a/blobs/sha256:../../x",
            "/v2/a%00/tags/list",
            "/v3/",
            "/v2x",
            "/",
            "/v2/tags/list",
        ] {
            assert!(Route::parse(path).is_err(), "{path}");
        }
        for reference in ["..", "%2e%2e", ".x", "%2Fetc", "-"] {
            let route = Route::parse(&format!("/v2/a/manifests/{reference}")).unwrap();
            assert!(matches!(route, Route::Manifest(_, Selector::Malformed)), "{reference}");
        }
    }
}
