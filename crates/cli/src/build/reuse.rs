//! Whether this commit's image is there already, and may be used (DESIGN §13).

use schleuse_image::BuildManifest;
use schleuse_image::manifest::{BaseRecord, LayerRecord, Schema};
use schleuse_model::predicate::provenance::Provenance;
use schleuse_model::{Digest, PinnedRef, Release, TagRef};
use schleuse_oci::manifest::{CONFIG_LIMIT, ImageConfig};
use schleuse_oci::{Pull, Referrers};
use schleuse_sign::{Source, Trust};

use super::SourceState;
use crate::failure::Failure;
use crate::provenance::{Origin, origin};

/// What is under the commit's tag.
#[derive(Debug)]
pub(crate) enum Existing {
    /// Nothing.
    None,
    /// This very source's image, proven: as the build manifest it would have today.
    Ours(Box<BuildManifest>),
    /// Something that is not proven to be this source's; why.
    Unproven(PinnedRef, String),
}

/// Looks under the commit's tag. A registry that does not answer is an error, never "nothing there".
pub(crate) async fn existing<C: Pull + Referrers>(
    client: &C,
    tag: &TagRef,
    trust: &Trust,
    source: &SourceState,
    builder: &str,
) -> Result<Existing, Failure> {
    let Some(image) = client.resolve(tag).await? else { return Ok(Existing::None) };
    let from = Source { pull: client, referrers: client };
    Ok(match origin(from, &image, trust, &source.identity()).await? {
        Origin::Unknown => Existing::Unproven(image, "no trusted key says where it comes from".to_owned()),
        Origin::Elsewhere(difference) => Existing::Unproven(image, difference),
        Origin::Proven(provenance) => match record(client, &image, tag, source, &provenance, builder).await? {
            Some(build) => Existing::Ours(Box::new(build)),
            None => Existing::Unproven(image, "it is not a single image".to_owned()),
        },
    })
}

/// The build manifest of an image that was built before. `None`: it is no single image.
async fn record<C: Pull>(
    client: &C,
    image: &PinnedRef,
    tag: &TagRef,
    source: &SourceState,
    provenance: &Provenance,
    builder: &str,
) -> Result<Option<BuildManifest>, Failure> {
    let missing = |what: String| schleuse_oci::Error::Missing { what };
    let manifest = client.manifest(image).await?.ok_or_else(|| missing(image.to_string()))?;
    let Ok(parsed) = manifest.as_image() else { return Ok(None) };
    let config = client.blob(image.repository(), &parsed.config.digest, CONFIG_LIMIT).await?;
    let config = config.ok_or_else(|| missing(format!("the configuration of {image}")))?;
    let what = format!("the configuration of {image}");
    let config: ImageConfig = schleuse_model::json::from_untrusted(&config, CONFIG_LIMIT)
        .map_err(|source| schleuse_oci::Error::Malformed { what, source })?;
    let base = provenance.build_definition.resolved_dependencies.iter().find_map(|dependency| {
        let digest: Digest = format!("sha256:{}", dependency.digest.get("sha256")?).parse().ok()?;
        Some(BaseRecord { uri: dependency.uri.clone()?, digest })
    });
    let layers =
        parsed.layers.into_iter().map(|layer| LayerRecord { digest: layer.digest, size: layer.size }).collect();
    let version = config.config.labels.get("org.opencontainers.image.version");
    Ok(Some(BuildManifest {
        schema: Schema::V1,
        image: image.repository().clone(),
        digest: image.digest().clone(),
        tag: Some(tag.tag().clone()),
        commit: source.commit.clone(),
        version: version.and_then(|label| Release::clean_version(label)),
        source: source.repository.clone(),
        workflow: source.workflow.clone(),
        platform: config.platform(),
        base,
        layers,
        created: config.created.unwrap_or(source.created),
        builder: builder.to_owned(),
    }))
}
