//! Taking back the pins of releases that nobody would go back to any more: the registry's own cleanup may have them.

use std::collections::{BTreeMap, BTreeSet};

use schleuse_model::{Digest, Repository, Tag};
use schleuse_oci::descriptor::EMPTY_JSON;
use schleuse_oci::evidence::{KEEP_PREFIX, keep_tag};
use schleuse_oci::{Body, Delete, Descriptor, Error as OciError, ImageManifest, Manifest, Pull, Push, media_type};

use crate::error::Error;

/// What became of the pins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unpinned {
    /// So many are gone.
    Done(usize),
    /// The registry deletes no tags. They stay, and with them what they pin.
    TagsStay,
    /// The registry deletes the manifest with its tag: nothing was touched.
    TakesManifests,
}

/// Removes the pins of `stale`. Whether the registry leaves a manifest alone when its tag goes is found out first, on one that is
/// made for it: registries from before the specification had tags deleted took the manifest, and every other tag of it.
///
/// # Errors
/// No answer.
pub async fn unpin<R: Pull + Push + Delete>(
    registry: &R,
    repository: &Repository,
    pins: &BTreeSet<Tag>,
    stale: &BTreeSet<Digest>,
) -> Result<Unpinned, Error> {
    let mut tags = Vec::new();
    for digest in stale {
        let tag = keep_tag(digest).map_err(OciError::from)?;
        tags.extend(pins.contains(&tag).then_some(tag));
    }
    if tags.is_empty() {
        return Ok(Unpinned::Done(0));
    }
    match leaves_manifests(registry, repository).await {
        Ok(true) => {}
        Ok(false) => return Ok(Unpinned::TakesManifests),
        Err(Error::Registry(OciError::Undeletable { .. })) => return Ok(Unpinned::TagsStay),
        Err(error) => return Err(error),
    }
    let mut gone = 0;
    for tag in tags {
        gone += usize::from(registry.delete_tag(&repository.tag(tag)).await?);
    }
    Ok(Unpinned::Done(gone))
}

async fn leaves_manifests<R: Pull + Push + Delete>(registry: &R, repository: &Repository) -> Result<bool, Error> {
    let probe = probe();
    let image = repository.pin(probe.digest().clone());
    let tag = repository.tag(format!("{KEEP_PREFIX}probe").parse().map_err(OciError::from)?);
    registry.push_blob(repository, &Descriptor::empty(), Body::from(EMPTY_JSON)).await?;
    registry.tag(&tag, &probe).await?;
    let deleted = registry.delete_tag(&tag).await;
    let left = registry.manifest(&image).await?.is_some();
    if left {
        // It has done its work. A registry that keeps it keeps a few hundred bytes.
        let _ = registry.delete_manifest(&image).await;
    }
    deleted?;
    Ok(left)
}

fn probe() -> Manifest {
    let mut manifest = ImageManifest::new(Descriptor::empty(), vec![Descriptor::empty()]);
    manifest.artifact_type = Some(media_type::EMPTY.to_owned());
    let about = "made to see whether this registry deletes a manifest with its tag";
    manifest.annotations = BTreeMap::from([("dev.schleuse.retention.probe".to_owned(), about.to_owned())]);
    manifest.to_manifest()
}
