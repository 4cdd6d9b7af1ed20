//! An image from any source to any destination, by raw bytes: digests and signatures hold.

mod evidence;

use std::fmt::Debug;
use std::path::Path;

use futures_util::{StreamExt as _, TryStreamExt as _};
use schleuse_model::json::JsonError;
use schleuse_model::{Digest, Exit, Explain, PinnedRef, Repository, Tag};
use schleuse_oci::{Body, Descriptor, Manifest, Pull, Push, media_type};

pub use evidence::{CopiedEvidence, Holder, copy_evidence};

use crate::select::SelectError;
use crate::work;

/// How many blobs are on their way at once. skopeo's number: while some are synced to the disk, others are received. More gains
/// little on one line and provokes rate limits.
pub const CONCURRENT_BLOBS: usize = 6;
/// The most children of an index that are copied. Real ones have up to some twenty, statements included.
pub const MAX_CHILDREN: usize = 128;
/// The most blobs of one manifest that are copied: config and layers. Docker's own limit is 127 layers.
pub const MAX_BLOBS: usize = 512;

/// The most bytes of all manifests of an index: they are in memory together. Real ones have some KiB each.
pub const MAX_MANIFEST_BYTES: usize = 32 << 20;

/// Told while content moves, from several tasks at once. Must not block.
pub trait Progress: Debug + Send + Sync {
    /// These blobs will be told of, one by one; called again when more are known.
    fn expect(&self, blobs: &[Descriptor]) {
        let _ = blobs;
    }
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
    /// Two images for one platform in one index.
    #[error("{digest} is for {platform}, and so is another image")]
    SamePlatform {
        /// The second.
        digest: Digest,
        /// The platform.
        platform: String,
    },
    /// The index has nothing for the platform.
    #[error(transparent)]
    Select(#[from] SelectError),
}

impl Explain for CopyError {
    fn exit(&self) -> Exit {
        match self {
            Self::Registry(error) => error.exit(),
            Self::Select(_) | Self::SamePlatform { .. } => Exit::Usage,
            _ => Exit::Error,
        }
    }

    fn hints(&self) -> Vec<String> {
        match self {
            Self::Registry(error) => error.hints(),
            Self::Select(error) => error.hints(),
            Self::SamePlatform { .. } => vec!["an index has one image for each platform".to_owned()],
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
    /// A folder for blobs on their way; each is deleted once it has arrived. On the file system of a layout that is copied to, a
    /// blob becomes part of it without being copied again.
    pub work: &'a Path,
    /// Who is told.
    pub progress: &'a dyn Progress,
}

/// Copies `digest`, an image or an index with all its children, and points `tags` at it last, so that no tag ever names an
/// incomplete image. Content that is missing at the source is an error, never skipped. Copying what is there already changes
/// nothing, so a copy that was cut short goes on where it stopped.
///
/// # Errors
/// [`CopyError`].
pub async fn copy(route: Route<'_>, digest: &Digest, tags: &[Tag]) -> Result<Manifest, CopyError> {
    let top = fetch(route, digest).await?;
    let children = match media_type::is_index(top.media_type()) {
        true => children(route, &top).await?,
        false => Vec::new(),
    };
    let images = if media_type::is_index(top.media_type()) { &children[..] } else { std::slice::from_ref(&top) };
    copy_all(route, blobs(images)?).await?;
    let pushes: Vec<_> = children.iter().map(|child| push_manifest(route, child)).collect();
    futures_util::stream::iter(pushes).buffer_unordered(CONCURRENT_BLOBS).try_collect::<()>().await?;
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

/// The manifests that an index lists.
async fn children(route: Route<'_>, top: &Manifest) -> Result<Vec<Manifest>, CopyError> {
    let too_much = |what| CopyError::TooMuch { digest: top.digest().clone(), what };
    let mut listed = top.as_index().map_err(|source| malformed(top, source))?.manifests;
    if listed.len() > MAX_CHILDREN {
        return Err(too_much("more children than an image has"));
    }
    if listed.iter().any(|child| media_type::is_index(&child.media_type)) {
        return Err(too_much("an index among its children"));
    }
    // What is listed twice is copied once.
    listed.sort_by(|a, b| a.digest.cmp(&b.digest));
    listed.dedup_by(|a, b| a.digest == b.digest);
    let fetches: Vec<_> = listed.iter().map(|child| fetch(route, &child.digest)).collect();
    let mut fetched = futures_util::stream::iter(fetches).buffered(CONCURRENT_BLOBS);
    let (mut children, mut bytes) = (Vec::new(), 0);
    while let Some(child) = fetched.try_next().await? {
        bytes += child.bytes().len();
        if bytes > MAX_MANIFEST_BYTES {
            return Err(too_much("larger manifests than images have"));
        }
        children.push(child);
    }
    Ok(children)
}

async fn push_manifest(route: Route<'_>, manifest: &Manifest) -> Result<(), CopyError> {
    route.to.push_manifest(route.to_repository, manifest).await?;
    route.progress.manifest(manifest.digest());
    Ok(())
}

/// Layers and configurations of `images`, each once: equal ones (a base that all platforms share, the empty layer) would race with
/// themselves.
fn blobs(images: &[Manifest]) -> Result<Vec<Descriptor>, CopyError> {
    let mut blobs = Vec::new();
    for manifest in images {
        if !media_type::is_image(manifest.media_type()) {
            let media_type = crate::path::printable(manifest.media_type().as_bytes());
            return Err(CopyError::NotAnImage { digest: manifest.digest().clone(), media_type });
        }
        let image = manifest.as_image().map_err(|source| malformed(manifest, source))?;
        if image.layers.len() >= MAX_BLOBS {
            return Err(CopyError::TooMuch {
                digest: manifest.digest().clone(),
                what: "more layers than an image has",
            });
        }
        blobs.extend(image.layers);
        blobs.push(image.config);
    }
    blobs.sort_by(|a, b| a.digest.cmp(&b.digest));
    blobs.dedup_by(|a, b| a.digest == b.digest);
    Ok(blobs)
}

/// Brings every one of `blobs` to the destination, [`CONCURRENT_BLOBS`] at once.
pub(crate) async fn copy_all(route: Route<'_>, blobs: Vec<Descriptor>) -> Result<(), CopyError> {
    route.progress.expect(&blobs);
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
    let stream = stream.ok_or_else(missing)?;
    if let Some(file) = from.blob_file(&blob.digest) {
        // It lies in a file already, which is checked while it is sent.
        to.push_blob(to_repository, blob, Body::Unchecked(file)).await?;
        return Ok(Moved::Sent);
    }
    // A file, not memory: uploads can be repeated, and layers are large.
    let file = work::spool(stream, work).await?;
    if !to.adopt_blob(to_repository, blob, file.path()).await? {
        to.push_blob(to_repository, blob, Body::File(file.path().to_owned())).await?;
    }
    Ok(Moved::Sent)
}

fn malformed(manifest: &Manifest, source: JsonError) -> CopyError {
    CopyError::Malformed { digest: manifest.digest().clone(), source }
}
