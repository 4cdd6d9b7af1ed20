//! Reads the image to build upon.

use schleuse_model::json;
use schleuse_oci::manifest::CONFIG_LIMIT;
use schleuse_oci::{Descriptor, ImageConfig, Manifest, Platform, media_type};

use super::error::BaseError;
use super::{Base, BuildError, BuiltBase};
use crate::path::printable;
use crate::select::{same, select, show};

/// A base that can be built upon.
#[derive(Debug)]
pub(super) struct ReadBase {
    pub(super) config: ImageConfig,
    pub(super) built: BuiltBase,
}

pub(super) async fn read(base: Base<'_>, platform: &Platform) -> Result<ReadBase, BuildError> {
    read_image(base, platform).await.map_err(|source| BuildError::Base { image: base.image.to_string(), source })
}

async fn read_image(base: Base<'_>, platform: &Platform) -> Result<ReadBase, BaseError> {
    let manifest = image_manifest(base, platform).await?;
    let image = manifest.as_image()?;
    let missing = || schleuse_oci::Error::Missing { what: format!("config {}", image.config.digest) };
    let config = base.pull.blob(base.image.repository(), &image.config.digest, CONFIG_LIMIT).await?;
    let config: ImageConfig = json::from_untrusted(&config.ok_or_else(missing)?, CONFIG_LIMIT)?;
    if !same(&config.platform(), platform) {
        return Err(BaseError::Platform { actual: show(&config.platform()), wanted: show(platform) });
    }
    let (layers, diff_ids) = (image.layers.len(), config.rootfs.diff_ids.len());
    if layers != diff_ids {
        return Err(BaseError::Layers { layers, diff_ids });
    }
    let layers = image.layers.into_iter().map(take_over).collect::<Result<Vec<_>, _>>()?;
    let built = BuiltBase { image: base.image.clone(), digest: manifest.digest().clone(), layers };
    Ok(ReadBase { config, built })
}

async fn image_manifest(base: Base<'_>, platform: &Platform) -> Result<Manifest, BaseError> {
    let missing = |what: String| schleuse_oci::Error::Missing { what: format!("manifest {what}") };
    let top = base.pull.manifest(base.image).await?.ok_or_else(|| missing(base.image.to_string()))?;
    if !media_type::is_index(top.media_type()) {
        return Ok(top);
    }
    let index = top.as_index()?;
    let child = base.image.repository().pin(select(&index, platform)?.digest.clone());
    Ok(base.pull.manifest(&child).await?.ok_or_else(|| missing(child.to_string()))?)
}

/// A layer's descriptor as an OCI manifest writes it. Docker's gzip layers are the same bytes under another name; annotations
/// belong to the base's manifest, not to ours.
fn take_over(layer: Descriptor) -> Result<Descriptor, BaseError> {
    let media_type = match layer.media_type.as_str() {
        media_type::LAYER_GZIP | media_type::DOCKER_LAYER_GZIP => media_type::LAYER_GZIP,
        media_type::LAYER_TAR => media_type::LAYER_TAR,
        media_type::LAYER_ZSTD => media_type::LAYER_ZSTD,
        other => return Err(BaseError::LayerType { media_type: printable(other.as_bytes()) }),
    };
    Ok(Descriptor::new(media_type, layer.digest, layer.size))
}
