//! An image from any source to any destination, by raw bytes: digests and signatures hold.

use std::fmt::Debug;
use std::path::Path;

use futures_util::{StreamExt as _, TryStreamExt as _};
use schleuse_model::json::JsonError;
use schleuse_model::{Digest, Exit, Explain, PinnedRef, Repository, Tag};
use schleuse_oci::{Body, Descriptor, Manifest, Pull, Push, media_type};

use crate::work;

/// How many blobs are on their way at once. Docker's and containerd's number: more gains little on one line and provokes rate
/// limits.
pub const CONCURRENT_BLOBS: usize = 3;
/// The most children of an index that are copied. Real ones have up to some twenty, statements included.
pub const MAX_CHILDREN: usize = 128;
/// The most blobs of one manifest that are copied: config and layers. Docker's own limit is 127 layers.
pub const MAX_BLOBS: usize = 512;

/// Told while content moves, from several tasks at once. Must not block.
pub trait Progress: Debug + Send + Sync {
    /// A blob is at its destination.
    fn blob(&self, blob: &Descriptor, moved: Moved);
    /// A manifest is at its destination.
    fn manifest(&self, digest: &Digest) {
        let _ = digest;
    }
}

/// How a blob came to its destination.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moved {
    /// It was there already.
    Present,
    /// The registry linked it from another repository of its own.
    Mounted,
    /// Its bytes were sent.
    Sent,
}

/// Tells nobody.
#[derive(Clone, Copy, Debug, Default)]
pub struct Silent;

impl Progress for Silent {
    fn blob(&self, _: &Descriptor, _: Moved) {}
}

/// Why an image was not copied. What arrived before stays there, untagged and harmless.
#[derive(Debug, thiserror::Error)]
pub enum CopyError {
    /// The source or the destination failed.
    #[error(transparent)]
    Registry(#[from] schleuse_oci::Error),
    /// A manifest cannot be read.
    #[error("the manifest {digest} is malformed")]
    Malformed {
        /// Which.
        digest: Digest,
        /// Why.
        source: JsonError,
    },
    /// Neither an image nor an index.
    #[error("{digest} is a `{media_type}`, neither an image nor an index")]
    NotAnImage {
        /// Which.
        digest: Digest,
        /// What it is, shortened.
        media_type: String,
    },
    /// More children or blobs than are copied, or an index within an index.
    #[error("{digest} has {what}")]
    TooMuch {
        /// Which.
        digest: Digest,
        /// What is too much.
        what: &'static str,
    },
}

impl Explain for CopyError {
    fn exit(&self) -> Exit {
        match self {
            Self::Registry(error) => error.exit(),
            _ => Exit::Error,
        }
    }

    fn hints(&self) -> Vec<String> {
        match self {
            Self::Registry(error) => error.hints(),
            _ => Vec::new(),
        }
    }
}

/// Where content comes from and goes to.
#[derive(Clone, Copy, Debug)]
pub struct Route<'a> {
    /// The source.
    pub from: &'a dyn Pull,
    /// Its repository (a layout ignores it).
    pub from_repository: &'a Repository,
    /// The destination.
    pub to: &'a dyn Push,
    /// Its repository.
    pub to_repository: &'a Repository,
    /// A folder for blobs on their way; each is deleted once it has arrived.
    pub work: &'a Path,
    /// Who is told.
    pub progress: &'a dyn Progress,
}

/// Copies `digest`, an image or an index with all its children, and points `tags` at it last, so that no tag ever names an
/// incomplete image. Content that is missing at the source is an error, never skipped. Copying what is there already changes
/// nothing.
///
/// # Errors
/// [`CopyError`].
pub async fn copy(route: Route<'_>, digest: &Digest, tags: &[Tag]) -> Result<Manifest, CopyError> {
    let top = fetch(route, digest).await?;
    if media_type::is_index(top.media_type()) {
        let index = top.as_index().map_err(|source| malformed(&top, source))?;
        if index.manifests.len() > MAX_CHILDREN {
            return Err(CopyError::TooMuch { digest: digest.clone(), what: "more children than an image has" });
        }
        for child in &index.manifests {
            if media_type::is_index(&child.media_type) {
                return Err(CopyError::TooMuch { digest: digest.clone(), what: "an index among its children" });
            }
            let manifest = fetch(route, &child.digest).await?;
            copy_blobs(route, &manifest).await?;
            push_manifest(route, &manifest).await?;
        }
    } else {
        copy_blobs(route, &top).await?;
    }
    push_manifest(route, &top).await?;
    for tag in tags {
        route.to.tag(&route.to_repository.tag(tag.clone()), &top).await?;
    }
    Ok(top)
}

async fn fetch(route: Route<'_>, digest: &Digest) -> Result<Manifest, CopyError> {
    let image: PinnedRef = route.from_repository.pin(digest.clone());
    let missing = || schleuse_oci::Error::Missing { what: format!("manifest {image}") };
    Ok(route.from.manifest(&image).await?.ok_or_else(missing)?)
}

async fn push_manifest(route: Route<'_>, manifest: &Manifest) -> Result<(), CopyError> {
    route.to.push_manifest(route.to_repository, manifest).await?;
    route.progress.manifest(manifest.digest());
    Ok(())
}

async fn copy_blobs(route: Route<'_>, manifest: &Manifest) -> Result<(), CopyError> {
    if !media_type::is_image(manifest.media_type()) {
        let media_type = crate::path::printable(manifest.media_type().as_bytes());
        return Err(CopyError::NotAnImage { digest: manifest.digest().clone(), media_type });
    }
    let image = manifest.as_image().map_err(|source| malformed(manifest, source))?;
    if image.layers.len() >= MAX_BLOBS {
        return Err(CopyError::TooMuch { digest: manifest.digest().clone(), what: "more layers than an image has" });
    }
    let mut blobs = image.layers;
    blobs.push(image.config);
    // Equal layers (the empty one, often) would race with themselves.
    blobs.sort_by(|a, b| a.digest.cmp(&b.digest));
    blobs.dedup_by(|a, b| a.digest == b.digest);
    copy_all(route, blobs).await
}

/// Brings every one of `blobs` to the destination, [`CONCURRENT_BLOBS`] at once.
pub(crate) async fn copy_all(route: Route<'_>, blobs: Vec<Descriptor>) -> Result<(), CopyError> {
    let moves: Vec<_> = blobs.into_iter().map(|blob| copy_blob(route, blob)).collect();
    futures_util::stream::iter(moves).buffer_unordered(CONCURRENT_BLOBS).try_collect::<()>().await
}

/// Brings one blob to the destination: is it there, can it be mounted, else through a verified file.
async fn copy_blob(route: Route<'_>, blob: Descriptor) -> Result<(), CopyError> {
    let moved = move_blob(route, &blob).await?;
    route.progress.blob(&blob, moved);
    Ok(())
}

async fn move_blob(route: Route<'_>, blob: &Descriptor) -> Result<Moved, CopyError> {
    let Route { from, from_repository, to, to_repository, work, .. } = route;
    if to.has_blob(to_repository, &blob.digest).await? {
        return Ok(Moved::Present);
    }
    let neighbours = from_repository.host() == to_repository.host() && from_repository != to_repository;
    if neighbours && to.mount_blob(to_repository, &blob.digest, from_repository).await? {
        return Ok(Moved::Mounted);
    }
    let stream = from.blob_stream(from_repository, blob).await?;
    let missing = || schleuse_oci::Error::Missing { what: format!("blob {} of {from_repository}", blob.digest) };
    // A file, not memory: uploads can be repeated, and layers are large.
    let file = work::spool(stream.ok_or_else(missing)?, blob, work).await?;
    to.push_blob(to_repository, blob, Body::File(file.path().to_owned())).await?;
    Ok(Moved::Sent)
}

fn malformed(manifest: &Manifest, source: JsonError) -> CopyError {
    CopyError::Malformed { digest: manifest.digest().clone(), source }
}
