//! Writing under the legacy tags: read, merge, write, and read again. The registry cannot compare and swap, so a writer between our
//! read and our write loses its layer to us, or we ours to it. What we can do is notice the latter and try again.

use schleuse_model::{PinnedRef, TagRef};
use schleuse_oci::{Error as OciError, Manifest};

use super::{Store, Written, push_blobs};
use crate::artifact::Artifact;
use crate::error::Error;
use crate::fetch::legacy_tag;

/// How often the tag is read, merged and written before we give up against other writers.
const ATTEMPTS: u32 = 5;
/// The most layers that are merged into.
const LAYERS: usize = 1024;

/// Brings what `append` adds under the image's tag with this suffix. `append` answers `None` once it is there.
pub(super) async fn merge(
    store: Store<'_>,
    image: &PinnedRef,
    suffix: &str,
    append: impl Fn(Option<&Manifest>) -> Result<Option<Artifact>, Error> + Send + Sync,
) -> Result<Written, Error> {
    let tag = legacy_tag(image, suffix)?;
    for attempt in 0..ATTEMPTS {
        match append(existing(store, image, &tag).await?.as_ref())? {
            Some(artifact) => {
                push_blobs(store, image, &artifact).await?;
                store.push.tag(&tag, &artifact.manifest).await?;
            }
            None if attempt == 0 => return Ok(Written::Already),
            None => return Ok(Written::New),
        }
    }
    match append(existing(store, image, &tag).await?.as_ref())? {
        None => Ok(Written::New),
        Some(_) => Err(Error::LegacyContended { tag, attempts: ATTEMPTS }),
    }
}

/// What is under the tag now.
async fn existing(store: Store<'_>, image: &PinnedRef, tag: &TagRef) -> Result<Option<Manifest>, Error> {
    let existing = store.pull.tagged(tag).await?;
    if let Some(existing) = &existing {
        let layers = existing.as_image().map_or(0, |manifest| manifest.layers.len());
        if layers > LAYERS {
            let what = format!("the number of layers of {}", image.repository());
            return Err(OciError::TooLarge { what, limit: LAYERS as u64 }.into());
        }
    }
    Ok(existing)
}
