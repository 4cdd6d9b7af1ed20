//! cosign's legacy payload ("simple signing", containers/image `docs/containers-signature.5.md`): which digest, under which name.
//! Signed as it is, without an envelope; what cosign 2, skopeo and podman read.

use std::collections::BTreeMap;

use schleuse_model::{Digest, Repository, json};
use serde::{Deserialize, Serialize};

use crate::error::{Malformed, shown};
use crate::texts::Texts;

const KIND: &str = "cosign container image signature";
const WHAT: &str = "simple signing payload";

/// The largest payload that is read: 64 KiB. Real ones have a few hundred bytes.
pub const PAYLOAD_LIMIT: usize = 64 << 10;

#[derive(Serialize, Deserialize)]
struct Payload {
    critical: Critical,
    #[serde(default)]
    optional: Option<Texts>,
}

#[derive(Serialize, Deserialize)]
struct Critical {
    identity: Identity,
    image: Image,
    #[serde(rename = "type")]
    kind: String,
}

#[derive(Serialize, Deserialize)]
struct Identity {
    #[serde(rename = "docker-reference")]
    reference: String,
}

#[derive(Serialize, Deserialize)]
struct Image {
    #[serde(rename = "docker-manifest-digest")]
    digest: String,
}

/// What a payload says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signed {
    /// What is signed.
    pub digest: Digest,
    /// The name it is signed under. Nothing is decided by it here: one image may lie in several places.
    pub identity: String,
    /// cosign's annotations: the members of `optional` that are text.
    pub annotations: BTreeMap<String, String>,
}

/// The payload that says `digest` is signed, with `annotations` beside it. `identity` is the name it is signed under: readers with
/// an identity policy compare it (skopeo's default wants `host/name:tag`); without one it is the repository, as cosign writes it.
pub fn payload(
    repository: &Repository,
    digest: &Digest,
    identity: Option<&str>,
    annotations: &BTreeMap<String, String>,
) -> Vec<u8> {
    let reference = identity.map_or_else(|| repository.to_string(), str::to_owned);
    json::to_bytes(&Payload {
        critical: Critical {
            identity: Identity { reference },
            image: Image { digest: digest.to_string() },
            kind: KIND.to_owned(),
        },
        optional: Some(annotations).filter(|annotations| !annotations.is_empty()).cloned().map(Texts),
    })
}

/// Reads a payload of at most [`PAYLOAD_LIMIT`] bytes.
///
/// # Errors
/// If it is malformed, or another kind of payload. The outer error is about the format; the inner text is a digest that is none.
pub fn read(payload: &[u8]) -> Result<Signed, Malformed> {
    let read: Payload = json::from_untrusted(payload, PAYLOAD_LIMIT).map_err(Malformed::json(WHAT))?;
    let Critical { identity, image, kind } = read.critical;
    if kind != KIND {
        return Err(Malformed::kind(WHAT, &kind));
    }
    let digest = image.digest.parse().map_err(|_| Malformed::Kind { what: WHAT, found: shown(&image.digest) })?;
    let annotations = read.optional.unwrap_or_default().0;
    Ok(Signed { digest, identity: identity.reference, annotations })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_cosign_writes_it() {
        let repository: Repository = "ghcr.io/acme/billing".parse().unwrap();
        let digest = Digest::sha256(b"");
        let bytes = payload(&repository, &digest, None, &BTreeMap::new());
        assert_eq!(
            std::str::from_utf8(&bytes).unwrap(),
            concat!(
                r#"{"critical":{"identity":{"docker-reference":"ghcr.io/acme/billing"},"image":{"docker-manifest-digest":"#,
                r#""sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},"#,
                r#""type":"cosign container image signature"},"optional":null}"#
            )
        );
        assert_eq!(read(&bytes).unwrap().digest, digest);
    }

    #[test]
    fn another_kind_of_payload_is_refused() {
        let good =
            String::from_utf8(payload(&"ghcr.io/a/b".parse().unwrap(), &Digest::sha256(b""), None, &BTreeMap::new()))
                .unwrap();
        for (from, to) in [
            ("cosign container image signature", "atomic container signature"),
            ("sha256:", "sha1:"),
            (r#""optional":null"#, r#""optional":null,"optional":{}"#),
        ] {
            assert!(read(good.replace(from, to).as_bytes()).is_err(), "{to}");
        }
    }
}
