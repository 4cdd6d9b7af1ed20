//! Whether what must stay is there and pinned.

use schleuse_model::{Digest, Repository};
use schleuse_oci::evidence::keep_tag;
use schleuse_oci::{Error as OciError, Manifest, Pull, Push, media_type};
use serde::Serialize;

use super::contents::Item;
use crate::error::Error;

/// How something that must stay stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "is", rename_all = "kebab-case")]
pub enum Kept {
    /// There, and pinned.
    Pinned,
    /// There; a cleanup may take it.
    Unpinned,
    /// There; the pin's tag points at something else.
    PinMoved {
        /// At what.
        to: Digest,
    },
    /// The registry does not have it.
    Missing,
    /// The registry has the manifest, and not all that it names.
    Incomplete {
        /// What it does not have.
        missing: Vec<Digest>,
    },
}

impl Kept {
    /// Whether nothing is to be done.
    pub fn is_good(&self) -> bool {
        *self == Self::Pinned
    }
}

/// Looks after `item`: the manifest, its blobs, its pin. `push` is asked for what is there, and writes nothing.
///
/// # Errors
/// No answer.
pub async fn check(pull: &dyn Pull, push: &dyn Push, repository: &Repository, item: &Item) -> Result<Kept, Error> {
    let Some(manifest) = pull.manifest(&repository.pin(item.digest.clone())).await? else { return Ok(Kept::Missing) };
    let missing = missing(push, repository, &manifest).await?;
    if !missing.is_empty() {
        return Ok(Kept::Incomplete { missing });
    }
    let tag = repository.tag(keep_tag(&item.digest).map_err(OciError::from)?);
    Ok(match pull.resolve(&tag).await? {
        None => Kept::Unpinned,
        Some(pinned) if *pinned.digest() == item.digest => Kept::Pinned,
        Some(other) => Kept::PinMoved { to: other.digest().clone() },
    })
}

/// Configuration and layers that are not there. What an index lists is looked at by itself.
async fn missing(push: &dyn Push, repository: &Repository, manifest: &Manifest) -> Result<Vec<Digest>, Error> {
    if !media_type::is_image(manifest.media_type()) {
        return Ok(Vec::new());
    }
    let what = || format!("the manifest {}", manifest.digest());
    let image = manifest.as_image().map_err(|source| OciError::Malformed { what: what(), source })?;
    let mut missing = Vec::new();
    for blob in std::iter::once(&image.config).chain(&image.layers) {
        // Layers that registries do not hold are fetched from elsewhere (image-spec 1.1, "Non-Distributable Layers").
        let held = !media_type::is_foreign_layer(&blob.media_type);
        if held && !missing.contains(&blob.digest) && !push.has_blob(repository, &blob.digest).await? {
            missing.push(blob.digest.clone());
        }
    }
    Ok(missing)
}
