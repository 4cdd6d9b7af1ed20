//! What a manifest names, read before it is stored.

use std::collections::BTreeMap;

use bytes::Bytes;
use schleuse_model::{Digest, json};
use schleuse_oci::{Descriptor, media_type};
use serde::Deserialize;

use crate::problem::Problem;

/// A pushed manifest, understood.
#[derive(Debug)]
pub(crate) struct Shape {
    pub(crate) media_type: String,
    /// Configuration and layers: must be in the repository.
    pub(crate) blobs: Vec<Digest>,
    /// An index's children: must be in the repository.
    pub(crate) manifests: Vec<Digest>,
    /// What it refers to; need not be there (yet).
    pub(crate) subject: Option<Digest>,
    artifact_type: Option<String>,
    annotations: BTreeMap<String, String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Document {
    schema_version: u8,
    media_type: Option<String>,
    artifact_type: Option<String>,
    config: Option<Descriptor>,
    layers: Option<Vec<Descriptor>>,
    manifests: Option<Vec<Descriptor>>,
    subject: Option<Descriptor>,
    annotations: Option<BTreeMap<String, String>>,
}

impl Shape {
    /// Reads `bytes`, sent with `content_type`.
    pub(crate) fn parse(content_type: Option<&str>, bytes: &Bytes, limit: usize) -> Result<Self, Problem> {
        let document: Document =
            json::from_untrusted(bytes, limit).map_err(|error| Problem::manifest_invalid(error.to_string()))?;
        if document.schema_version != 2 {
            return Err(Problem::manifest_invalid("schemaVersion is not 2"));
        }
        let sent = content_type.map(|text| text.split(';').next().unwrap_or(text).trim());
        let media_type = match (sent, document.media_type.as_deref()) {
            (Some(sent), Some(own)) if sent != own => {
                return Err(Problem::manifest_invalid("Content-Type and the manifest's mediaType differ"));
            }
            (Some(one), _) | (None, Some(one)) => one.to_owned(),
            (None, None) => return Err(Problem::manifest_invalid("neither Content-Type nor mediaType is given")),
        };
        let (blobs, manifests) = if media_type::is_image(&media_type) {
            let (Some(config), Some(layers), None) = (&document.config, &document.layers, &document.manifests) else {
                return Err(Problem::manifest_invalid(
                    "an image manifest has `config` and `layers`, and no `manifests`",
                ));
            };
            let held = layers.iter().filter(|layer| !media_type::is_foreign_layer(&layer.media_type));
            (std::iter::once(config).chain(held).map(|d| d.digest.clone()).collect(), Vec::new())
        } else if media_type::is_index(&media_type) {
            let (Some(manifests), None, None) = (&document.manifests, &document.config, &document.layers) else {
                return Err(Problem::manifest_invalid("an index has `manifests`, and neither `config` nor `layers`"));
            };
            (Vec::new(), manifests.iter().map(|d| d.digest.clone()).collect())
        } else {
            return Err(Problem::manifest_invalid("neither an image manifest nor an index (OCI, or Docker schema 2)"));
        };
        // image-spec 1.1: an artifact without `artifactType` is of the type of its configuration.
        let config_type = document.config.map(|config| config.media_type);
        let artifact_type = document.artifact_type.filter(|text| !text.is_empty()).or(config_type);
        Ok(Self {
            media_type,
            blobs,
            manifests,
            subject: document.subject.map(|subject| subject.digest),
            artifact_type,
            annotations: document.annotations.unwrap_or_default(),
        })
    }

    /// How it stands in its subject's list of referrers (distribution-spec 1.1, "Listing Referrers").
    pub(crate) fn as_referrer(&self, digest: &Digest, size: usize) -> Descriptor {
        let mut descriptor = Descriptor::new(&self.media_type, digest.clone(), size as u64);
        descriptor.artifact_type.clone_from(&self.artifact_type);
        descriptor.annotations.clone_from(&self.annotations);
        descriptor
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn descriptor() -> impl Strategy<Value = String> {
        let digest = prop_oneof![
            "[a-z]{1,9}".prop_map(|text| Digest::sha256(text.as_bytes()).to_string()),
            "sha(256|512):[0-9a-g]{0,128}",
        ];
        (digest, any::<i64>(), "[a-z/.+]{0,20}").prop_map(|(digest, size, media_type)| {
            format!(r#"{{"mediaType":"{media_type}","digest":"{digest}","size":{size}}}"#)
        })
    }

    /// A member of a manifest, right or wrong.
    fn member() -> impl Strategy<Value = String> {
        let list = proptest::collection::vec(descriptor(), 0..3).prop_map(|list| format!("[{}]", list.join(",")));
        let value =
            prop_oneof![descriptor(), list, Just("2".to_owned()), Just("null".to_owned()), "\"[a-z/+.]{0,30}\""];
        let names = "schemaVersion|mediaType|artifactType|config|layers|manifests|subject|annotations|other";
        (names, value).prop_map(|(name, value)| format!("\"{name}\":{value}"))
    }

    proptest! {
        /// Whatever is pushed: no panic; what is taken as an index names no blobs, and what is taken as an image no manifests;
        /// everything it names stands in it; and what it is listed as among referrers says what it is.
        #[test]
        fn any_manifest(members in proptest::collection::vec(member(), 0..8), image in any::<bool>()) {
            let text = format!("{{\"schemaVersion\":2,{}}}", members.join(",")).replace(",}", "}");
            let media_type = if image { media_type::IMAGE_MANIFEST } else { media_type::IMAGE_INDEX };
            for sent in [Some(media_type), None, Some("text/plain")] {
                let Ok(shape) = parse(sent, &text) else { continue };
                prop_assert!(shape.blobs.is_empty() || shape.manifests.is_empty());
                prop_assert!(media_type::is_image(&shape.media_type) || media_type::is_index(&shape.media_type));
                for digest in shape.blobs.iter().chain(&shape.manifests).chain(&shape.subject) {
                    prop_assert!(text.contains(&digest.to_string()));
                }
                let listed = shape.as_referrer(&Digest::sha256(text.as_bytes()), text.len());
                prop_assert_eq!((listed.media_type, listed.size), (shape.media_type, text.len() as u64));
            }
        }

        #[test]
        fn any_bytes(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = Shape::parse(None, &Bytes::from(bytes), 100);
        }
    }

    fn parse(content_type: Option<&str>, text: &str) -> Result<Shape, Problem> {
        Shape::parse(content_type, &Bytes::copy_from_slice(text.as_bytes()), 4096)
    }

    #[test]
    fn what_is_both_or_neither_is_refused() {
        let config = format!(r#"{{"mediaType":"x/y","size":2,"digest":"{}"}}"#, Digest::sha256(b"{}"));
        let image = format!(r#"{{"schemaVersion":2,"config":{config},"layers":[]}}"#);
        let both = format!(r#"{{"schemaVersion":2,"config":{config},"layers":[],"manifests":[]}}"#);
        assert_eq!(parse(Some(media_type::IMAGE_MANIFEST), &image).unwrap().artifact_type.as_deref(), Some("x/y"));
        assert!(parse(Some("application/vnd.oci.image.manifest.v1+json; charset=utf-8"), &image).is_ok());
        for (sent, text) in [
            (Some(media_type::IMAGE_MANIFEST), both.as_str()),
            (Some(media_type::IMAGE_INDEX), both.as_str()),
            (Some(media_type::IMAGE_INDEX), image.as_str()),
            (Some("application/json"), image.as_str()),
            (None, image.as_str()),
            (Some(media_type::IMAGE_INDEX), r#"{"schemaVersion":2,"manifests":[],"manifests":[]}"#),
            (Some(media_type::IMAGE_INDEX), r#"{"schemaVersion":1,"manifests":[]}"#),
            (
                Some(media_type::IMAGE_INDEX),
                r#"{"schemaVersion":2,"mediaType":"application/vnd.docker.distribution.manifest.list.v2+json","manifests":[]}"#,
            ),
        ] {
            assert!(parse(sent, text).is_err(), "{sent:?} {text}");
        }
    }
}
