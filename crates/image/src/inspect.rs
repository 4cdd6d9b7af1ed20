//! What an image is, without pulling it: manifest, platforms, layers, configuration.

use std::collections::BTreeMap;

use futures_util::{StreamExt as _, TryStreamExt as _};
use schleuse_model::{Digest, PinnedRef, json};
use schleuse_oci::manifest::CONFIG_LIMIT;
use schleuse_oci::{Descriptor, ImageConfig, ImageManifest, Manifest, Platform, Pull, media_type};
use serde::Serialize;

use crate::copy::{CONCURRENT_BLOBS, CopyError, MAX_CHILDREN};
use crate::select::{images, select};

/// An image, looked at.
#[derive(Clone, Debug, Serialize)]
pub struct Inspection {
    /// Its digest.
    pub digest: Digest,
    /// What it is.
    pub media_type: String,
    /// Remarks on it.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
    /// One for each platform; a single image is one of them.
    pub images: Vec<OneImage>,
    /// What an index lists beside the images: builders' statements.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub others: Vec<Descriptor>,
    /// The bytes it was read from.
    #[serde(skip)]
    pub manifest: Manifest,
}

/// The image of one platform.
#[derive(Clone, Debug, Serialize)]
pub struct OneImage {
    /// Its digest.
    pub digest: Digest,
    /// For which platform, as its index says; of a single image, as its configuration says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub platform: Option<Platform>,
    /// The kind of artifact, when it is not an image.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub artifact_type: Option<String>,
    /// Bytes to download: layers and configuration.
    pub size: u64,
    /// The layers, base first.
    pub layers: Vec<Descriptor>,
    /// The configuration, for a single image.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub config: Option<ImageConfig>,
}

/// Looks at `image`, or at the child of an index that is meant for `platform`.
///
/// # Errors
/// [`CopyError`]; what cannot be read is an error.
pub async fn inspect(from: &dyn Pull, image: &PinnedRef, platform: Option<&Platform>) -> Result<Inspection, CopyError> {
    let top = manifest(from, image).await?;
    if !media_type::is_index(top.media_type()) {
        return single(from, image, top).await;
    }
    let index = top.as_index().map_err(|source| malformed(&top, source))?;
    if let Some(platform) = platform {
        let child = image.repository().pin(select(&index, platform)?.digest.clone());
        let manifest = manifest(from, &child).await?;
        return single(from, &child, manifest).await;
    }
    if index.manifests.len() > MAX_CHILDREN {
        let what = "more children than an image has";
        return Err(CopyError::TooMuch { digest: top.digest().clone(), what });
    }
    let runnable: Vec<_> = images(&index).map(|(child, on)| (child.digest.clone(), on.clone())).collect();
    let reads: Vec<_> = runnable.iter().map(|(digest, on)| child(from, image, digest, on)).collect();
    let images = futures_util::stream::iter(reads).buffered(CONCURRENT_BLOBS).try_collect().await?;
    let other = |one: &Descriptor| !runnable.iter().any(|(digest, _)| *digest == one.digest);
    Ok(Inspection {
        digest: top.digest().clone(),
        media_type: top.media_type().to_owned(),
        annotations: index.annotations.clone(),
        others: index.manifests.iter().filter(|one| other(one)).cloned().collect(),
        images,
        manifest: top,
    })
}

async fn single(from: &dyn Pull, image: &PinnedRef, top: Manifest) -> Result<Inspection, CopyError> {
    let parsed = top.as_image().map_err(|source| malformed(&top, source))?;
    let is_image = [media_type::IMAGE_CONFIG, media_type::DOCKER_CONFIG].contains(&parsed.config.media_type.as_str());
    let config = match is_image {
        true => Some(config(from, image, &parsed).await?),
        false => None,
    };
    let platform = config.as_ref().map(ImageConfig::platform);
    let annotations = parsed.annotations.clone();
    let one = OneImage { config, ..described(top.digest().clone(), parsed, platform) };
    Ok(Inspection {
        digest: top.digest().clone(),
        media_type: top.media_type().to_owned(),
        annotations,
        images: vec![one],
        others: Vec::new(),
        manifest: top,
    })
}

async fn child(from: &dyn Pull, image: &PinnedRef, digest: &Digest, on: &Platform) -> Result<OneImage, CopyError> {
    let manifest = manifest(from, &image.repository().pin(digest.clone())).await?;
    let parsed = manifest.as_image().map_err(|source| malformed(&manifest, source))?;
    Ok(described(digest.clone(), parsed, Some(on.clone())))
}

fn described(digest: Digest, parsed: ImageManifest, platform: Option<Platform>) -> OneImage {
    let size = parsed.layers.iter().fold(parsed.config.size, |sum, layer| sum.saturating_add(layer.size));
    let artifact_type = parsed.artifact_type;
    OneImage { digest, platform, artifact_type, size, layers: parsed.layers, config: None }
}

async fn manifest(from: &dyn Pull, image: &PinnedRef) -> Result<Manifest, CopyError> {
    let missing = || schleuse_oci::Error::Missing { what: format!("manifest {image}") };
    Ok(from.manifest(image).await?.ok_or_else(missing)?)
}

/// Reads an image's configuration.
pub(crate) async fn config(
    from: &dyn Pull,
    image: &PinnedRef,
    manifest: &ImageManifest,
) -> Result<ImageConfig, CopyError> {
    let what = || format!("the configuration of {image}");
    let read = from.blob(image.repository(), &manifest.config.digest, CONFIG_LIMIT).await?;
    let bytes = read.ok_or_else(|| schleuse_oci::Error::Missing { what: what() })?;
    let parsed = json::from_untrusted(&bytes, CONFIG_LIMIT);
    Ok(parsed.map_err(|source| schleuse_oci::Error::Malformed { what: what(), source })?)
}

fn malformed(manifest: &Manifest, source: json::JsonError) -> CopyError {
    CopyError::Malformed { digest: manifest.digest().clone(), source }
}
