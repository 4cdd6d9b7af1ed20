//! Unpacks an image into a root folder, as if its author meant harm.
//!
//! # Threat model
//! The image may be signed and still be hostile, or built by a compromised job: whoever controls it must not reach a byte
//! outside the root, nor exhaust memory, disk, inodes or processor time beyond [`Limits`].
//!
//! # Guarantees
//! - A layer's bytes are parsed only after they matched the digest the manifest has, and nothing of a layer is written before
//!   the uncompressed archive was read through once: digest against `diff_id`, every path, every limit that does not depend on
//!   what is in the root already. That pass costs a second
//!   decompression (some 0.3 s per 100 MB) and gives whiteouts their meaning without a list in memory: they are applied during
//!   that order, before any entry of their own layer, as the specification asks.
//! - Every operation walks from the root's file descriptor component by component with `openat(O_NOFOLLOW)`. A check by path
//!   (`symlink_metadata`, then `open`) would leave a gap between the two that anything else writing there could use; `openat2`
//!   with `RESOLVE_BENEATH` needs Linux 5.6 and is filtered in some sandboxes. So a symbolic link is created as the image says,
//!   and never followed: an entry whose path leads through one is refused.
//! - Absolute paths, `..` and NUL are refused; hard links lead to what lies inside the root.
//! - Set-user-id, set-group-id bits and file capabilities (extended attributes) are dropped: nothing we start may gain rights
//!   from a file. Sparse files are refused, so that what is counted is what is written.
//! - Devices and pipes are skipped and counted, as rootless engines do: creating them needs rights, and a process gets its `/dev`
//!   from whoever starts it.
//!
//! # Caveats
//! Layers that write *through* a symbolic link of an earlier one (`lib/x` where `lib` links to `usr/lib`) are refused, where
//! some engines follow the link inside the root: no builder we know writes such layers. Times of folders are not kept. Nothing is
//! fsynced: a caller for whom a crash matters unpacks into a passing folder and renames. Giving up the returned future does not stop
//! the layer that is being written at that moment. zstd is not supported yet.

mod apply;
mod error;
mod limits;
pub(crate) mod meter;
mod root;
pub(crate) mod tarball;

use std::path::Path;
use std::sync::Arc;

use futures_util::{StreamExt as _, TryStreamExt as _};
use schleuse_model::{Digest, PinnedRef, json};
use schleuse_oci::manifest::CONFIG_LIMIT;
use schleuse_oci::{Descriptor, ImageConfig, ImageManifest, Manifest, Platform, Pull, media_type};

pub use error::{EntryError, LayerError, TarError, UnpackError};
pub use limits::{Limit, Limits};
pub use root::Root;

use crate::copy::CONCURRENT_BLOBS;
use crate::path::printable;
use crate::select::select;
use crate::work::{self, Passing};
use apply::{Budget, Layer};

/// Whose the unpacked files are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ownership {
    /// Ours, whatever the image says. Folders stay writable by us, so that we can delete them again.
    Ours,
    /// As the image says. Needs root.
    Keep,
}

/// A compression that is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Compression {
    None,
    Gzip,
}

/// What was unpacked.
#[derive(Clone, Debug, PartialEq)]
pub struct Unpacked {
    /// The digest of the image itself, where an index was asked for.
    pub digest: Digest,
    /// How to run it.
    pub config: ImageConfig,
    /// Entries that were created, folders above them included.
    pub entries: u64,
    /// Bytes of files that were written.
    pub bytes: u64,
    /// Devices and pipes that were skipped.
    pub skipped: u64,
}

/// Unpacks `image` (or the child for `platform` of an index) from `from` into `root`, which must be empty or not exist.
///
/// `work` takes the layers as they are downloaded ([`Limits::compressed_bytes`] at most); each is deleted once it was unpacked. After an error `root` is empty again, as far as
/// that was possible; after a crash it may hold part of the image.
///
/// # Errors
/// [`UnpackError`].
pub async fn unpack(
    from: &dyn Pull,
    image: &PinnedRef,
    platform: &Platform,
    root: &Path,
    work: &Path,
    limits: &Limits,
    ownership: Ownership,
) -> Result<Unpacked, UnpackError> {
    if ownership == Ownership::Keep && !nix::unistd::geteuid().is_root() {
        return Err(UnpackError::NeedsRoot);
    }
    let manifest = image_manifest(from, image, platform).await?;
    let parsed = manifest.as_image().map_err(|source| UnpackError::Malformed { what: "manifest", source })?;
    let config = read_config(from, image, &parsed, platform).await?;
    let plan = plan(&parsed, &config, limits)?;

    let folder = Arc::new(Root::create(root).map_err(|source| UnpackError::Io { path: root.to_owned(), source })?);
    let empty = folder.is_empty().map_err(|source| UnpackError::Io { path: root.to_owned(), source })?;
    if !empty {
        return Err(UnpackError::NotEmpty { root: root.to_owned() });
    }
    let applied = apply_all(from, image, plan, &folder, work, limits, ownership).await;
    let budget = match applied {
        Ok(budget) => budget,
        Err(error) => {
            // The error is what matters; what cannot be deleted, the caller deletes with the folder.
            let _ = work::blocking(move || folder.clear()).await;
            return Err(error);
        }
    };
    Ok(Unpacked {
        digest: manifest.digest().clone(),
        config,
        entries: budget.entries,
        bytes: budget.file_bytes,
        skipped: budget.skipped,
    })
}

async fn image_manifest(from: &dyn Pull, image: &PinnedRef, platform: &Platform) -> Result<Manifest, UnpackError> {
    let missing = |image: &PinnedRef| schleuse_oci::Error::Missing { what: format!("manifest {image}") };
    let top = from.manifest(image).await?.ok_or_else(|| missing(image))?;
    if !media_type::is_index(top.media_type()) {
        return Ok(top);
    }
    let index = top.as_index().map_err(|source| UnpackError::Malformed { what: "index", source })?;
    let child = image.repository().pin(select(&index, platform)?.digest.clone());
    Ok(from.manifest(&child).await?.ok_or_else(|| missing(&child))?)
}

async fn read_config(
    from: &dyn Pull,
    image: &PinnedRef,
    manifest: &ImageManifest,
    platform: &Platform,
) -> Result<ImageConfig, UnpackError> {
    let missing = || schleuse_oci::Error::Missing { what: format!("config {}", manifest.config.digest) };
    let bytes = from.blob(image.repository(), &manifest.config.digest, CONFIG_LIMIT).await?.ok_or_else(missing)?;
    let config: ImageConfig = json::from_untrusted(&bytes, CONFIG_LIMIT)
        .map_err(|source| UnpackError::Malformed { what: "configuration", source })?;
    if !crate::select::same(&config.platform(), platform) {
        let (actual, wanted) = (crate::select::show(&config.platform()), crate::select::show(platform));
        return Err(UnpackError::Platform { actual, wanted });
    }
    Ok(config)
}

/// Which layers there are and how each is compressed; all that can be refused before anything is fetched.
fn plan(
    manifest: &ImageManifest,
    config: &ImageConfig,
    limits: &Limits,
) -> Result<Vec<(Descriptor, Digest, Compression)>, UnpackError> {
    let (layers, diff_ids) = (&manifest.layers, &config.rootfs.diff_ids);
    if layers.len() != diff_ids.len() {
        return Err(UnpackError::LayerCount { layers: layers.len(), diff_ids: diff_ids.len() });
    }
    if layers.len() > limits.layers {
        return Err(UnpackError::Limit { limit: Limit::Layers, allowed: limits.layers as u64 });
    }
    let compressed = layers.iter().fold(0_u64, |sum, layer| sum.saturating_add(layer.size));
    if compressed > limits.compressed_bytes {
        return Err(UnpackError::Limit { limit: Limit::CompressedBytes, allowed: limits.compressed_bytes });
    }
    let pairs = layers.iter().zip(diff_ids);
    pairs.map(|(layer, diff_id)| Ok((layer.clone(), diff_id.clone(), compression(&layer.media_type)?))).collect()
}

fn compression(media_type: &str) -> Result<Compression, UnpackError> {
    match media_type {
        media_type::LAYER_GZIP | media_type::DOCKER_LAYER_GZIP => Ok(Compression::Gzip),
        media_type::LAYER_TAR => Ok(Compression::None),
        media_type::LAYER_ZSTD => Err(UnpackError::Zstd),
        other => Err(UnpackError::LayerType { media_type: printable(other.as_bytes()) }),
    }
}

async fn apply_all(
    from: &dyn Pull,
    image: &PinnedRef,
    plan: Vec<(Descriptor, Digest, Compression)>,
    root: &Arc<Root>,
    work: &Path,
    limits: &Limits,
    ownership: Ownership,
) -> Result<Budget, UnpackError> {
    // All before the first is unpacked: a download that nobody reads from while a large layer is written would time out.
    let fetches: Vec<_> = plan.into_iter().map(|layer| fetch(from, image, layer, work)).collect();
    let fetched: Vec<_> = futures_util::stream::iter(fetches).buffered(CONCURRENT_BLOBS).try_collect().await?;
    let mut budget = Budget::default();
    for (blob, diff_id, compression, file) in fetched {
        let (root, limits) = (Arc::clone(root), limits.clone());
        let digest = blob.digest.clone();
        let applied = work::blocking(move || {
            let layer = Layer { size: blob.size, diff_id: &diff_id, compression, limits: &limits, ownership };
            let open = || std::fs::File::open(file.path());
            layer.apply(open, &root, &mut budget).map(|()| budget)
        });
        let io = |source| UnpackError::Io { path: work.to_owned(), source };
        budget = applied.await.map_err(io)?.map_err(|source| UnpackError::Layer { layer: digest, source })?;
    }
    Ok(budget)
}

async fn fetch(
    from: &dyn Pull,
    image: &PinnedRef,
    (blob, diff_id, compression): (Descriptor, Digest, Compression),
    work: &Path,
) -> Result<(Descriptor, Digest, Compression, Passing), UnpackError> {
    let missing = || schleuse_oci::Error::Missing { what: format!("layer {} of {image}", blob.digest) };
    let stream = from.blob_stream(image.repository(), &blob).await?.ok_or_else(missing)?;
    let file = work::spool(stream, work).await?;
    Ok((blob, diff_id, compression, file))
}
