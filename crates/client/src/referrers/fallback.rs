//! The fallback index (distribution-spec, "Referrers Tag Schema").

use schleuse_model::{PinnedRef, json};
use schleuse_oci::manifest::MANIFEST_LIMIT;
use schleuse_oci::{Descriptor, Error, Index, Manifest, evidence, media_type};
use serde::Deserialize;
use std::collections::BTreeMap;
use tokio::time::sleep;

use crate::address::Endpoint;
use crate::exchange::Inner;
use crate::referrers::parse_index;

impl Inner {
    /// The fallback index; empty if there is none.
    ///
    /// # Errors
    /// Also if the tag holds something else than an index: that is not "no referrers".
    pub(crate) async fn fallback_index(&self, subject: &PinnedRef) -> Result<Index, Error> {
        let tag = evidence::fallback_tag(subject.digest())?;
        let what = format!("{}:{tag}", subject.repository());
        match self.manifest_at(subject.repository(), tag.as_str(), &what).await? {
            Some((manifest, _)) => parse_index(&manifest, &format!("the fallback index {what}")),
            None => Ok(Index::new(Vec::new())),
        }
    }

    /// Adds `manifest` to the fallback index, and looks whether it stays there. Success does not promise that it does: its own
    /// tag does.
    pub(crate) async fn add_to_index(
        &self,
        endpoint: &Endpoint,
        subject: &PinnedRef,
        manifest: &Manifest,
    ) -> Result<(), Error> {
        let tag = evidence::fallback_tag(subject.digest())?;
        let entry = referrer(manifest)?;
        let mut index = self.fallback_index(subject).await?;
        for round in 0..=self.limits.index_tries {
            if index.manifests.iter().any(|listed| listed.digest == entry.digest) {
                return Ok(());
            }
            if round == self.limits.index_tries {
                break;
            }
            index.manifests.push(entry.clone());
            let merged = Manifest::new(media_type::IMAGE_INDEX, json::to_bytes(&index));
            if merged.bytes().len() > MANIFEST_LIMIT {
                break;
            }
            let answer = self.put(endpoint, tag.as_str(), &merged).await?;
            if answer.says_exists() {
                // Tags cannot move here.
                break;
            }
            if answer.status != http::StatusCode::CREATED {
                return Err(answer.unexpected());
            }
            // Writers that read at the same time as we did are about to write over our entry: read after they did. The waits
            // are spread, so that repairs do not collide as well.
            let wait = self.retry.first / 4 * (1 << round.min(4));
            sleep(wait.mul_f64(self.jitter.fraction().clamp(0.0, 1.0))).await;
            index = self.fallback_index(subject).await?;
        }
        Ok(())
    }
}

/// What decides how a referrer is listed; read leniently, since it may be a manifest or an index.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Listed {
    #[serde(default)]
    artifact_type: Option<String>,
    #[serde(default)]
    config: Option<Descriptor>,
    #[serde(default)]
    annotations: BTreeMap<String, String>,
    /// What it refers to.
    #[serde(default)]
    pub(crate) subject: Option<Descriptor>,
}

impl Listed {
    pub(crate) fn parse(manifest: &Manifest) -> Result<Self, Error> {
        json::from_untrusted(manifest.bytes(), MANIFEST_LIMIT)
            .map_err(|source| Error::Malformed { what: format!("manifest {}", manifest.digest()), source })
    }

    /// The entry in a list of referrers: `artifactType` is the manifest's, else its configuration's media type
    /// (distribution-spec, "Listing Referrers").
    pub(crate) fn entry(self, manifest: &Manifest) -> Descriptor {
        let mut descriptor = manifest.descriptor();
        descriptor.artifact_type = self.artifact_type.or(self.config.map(|config| config.media_type));
        descriptor.annotations = self.annotations;
        descriptor
    }
}

fn referrer(manifest: &Manifest) -> Result<Descriptor, Error> {
    Ok(Listed::parse(manifest)?.entry(manifest))
}
