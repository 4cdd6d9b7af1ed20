//! The `layers` builder: an image out of folders and files, without a Dockerfile and without running anything.
//!
//! # Guarantees
//! The same files, settings and [`ImageSpec::created`] give the same digest: entries are sorted by the bytes of their path, and
//! owner, permissions and times come from the specification, never from the disk (law 7). Of the disk only names, content, link
//! targets and the owner's executable bit count. The compressor is pinned (see [`GZIP_LEVEL`]).
//!
//! # Caveats
//! - On a base image the folders *above* a target are not written: their entries would reset owner and mode of a folder the base
//!   has (`/tmp`), or replace a symbolic link (`/lib` on Debian). Engines create missing ones as root, 0755 (Docker before 23:
//!   0600, so copy a folder rather than a file below a new one if it matters). From scratch they are written, 0755 and root's.
//! - A folder copied onto a path at which the base has a symbolic link replaces the link.
//! - Of the base's configuration the fields of `schleuse_oci::manifest::RuntimeConfig` are taken over; volumes and health checks
//!   are not.

mod archive;
mod assemble;
mod base;
mod collect;
mod error;
mod push;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use bytes::Bytes;
use schleuse_model::{Commit, Digest, PinnedRef, Timestamp};
use schleuse_oci::{Descriptor, Manifest, Platform, Pull};

pub use assemble::source_labels;
pub use error::BuildError;

use crate::path::ImagePath;
use crate::work;

/// The gzip level of layers. With this compressor level 6, Docker's default, makes a program 1.4 % smaller than level 5 and takes
/// 1.6 times as long (25 MB binary: 1.37 s against 0.87 s); level 9 gains another 0.5 % in four times the time; level 3 loses 2 %.
/// It is part of every digest; changing it is a change of format, and the golden test says so.
pub const GZIP_LEVEL: u32 = 5;

/// What to build.
#[derive(Clone, Debug)]
pub struct ImageSpec {
    /// New layers, lowest first.
    pub layers: Vec<LayerSpec>,
    /// How it is run; what is absent comes from the base.
    pub runtime: Runtime,
    /// From which source.
    pub source: SourceInfo,
    /// For which platform. A base must be for the same.
    pub platform: Platform,
    /// `SOURCE_DATE_EPOCH`: the time of the image and of every file in it, whole seconds, not before 1970. Usually the commit's.
    pub created: Timestamp,
}

/// One layer.
#[derive(Clone, Debug, Default)]
pub struct LayerSpec {
    /// What goes in. Two sources may share folders; a file that two of them bring is an error.
    pub sources: Vec<Source>,
}

/// A file or folder of this machine, and where it goes.
#[derive(Clone, Debug)]
pub struct Source {
    /// On this machine. If this path itself is a symbolic link it is followed; links below it are kept as links.
    pub from: PathBuf,
    /// In the image: the file's own path, or the folder the content of `from` goes into.
    pub to: ImagePath,
    /// The owner in the image.
    pub uid: u32,
    /// The group in the image.
    pub gid: u32,
}

/// Where the image's content comes from. Written as `org.opencontainers.image.*` labels and annotations.
#[derive(Clone, Debug)]
pub struct SourceInfo {
    /// The commit.
    pub commit: Commit,
    /// The version, if there is one.
    pub version: Option<String>,
    /// The repository's address.
    pub uri: String,
}

/// How a container of the image is run. `None` and empty mean: as the base says.
#[derive(Clone, Debug, Default)]
pub struct Runtime {
    /// The program and its first arguments. Setting it drops the base's `cmd`, as a Dockerfile's `ENTRYPOINT` does.
    pub entrypoint: Option<Vec<String>>,
    /// Further arguments.
    pub cmd: Option<Vec<String>>,
    /// Environment; replaces the base's values name by name. Never secrets: an image is readable by whoever can pull it.
    pub env: BTreeMap<String, String>,
    /// `user`, `uid`, `user:group` or `uid:gid`.
    pub user: Option<String>,
    /// The working directory.
    pub workdir: Option<ImagePath>,
    /// Ports the program listens on.
    pub expose: BTreeSet<Port>,
    /// Labels. `org.opencontainers.image.revision`, `.version`, `.created` and `.source` are ours to write.
    pub labels: BTreeMap<String, String>,
    /// The signal that asks it to stop, such as `SIGTERM`.
    pub stop_signal: Option<String>,
}

/// A port, shown as `3000/tcp`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Port {
    /// Its number.
    pub number: u16,
    /// Whether it is UDP, not TCP.
    pub udp: bool,
}

impl std::fmt::Display for Port {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.number, if self.udp { "udp" } else { "tcp" })
    }
}

/// The image to build upon. Pinned: which digest a moving tag means is decided, and written down, before the build.
#[derive(Clone, Copy, Debug)]
pub struct Base<'a> {
    /// Where it is: a registry or a layout.
    pub pull: &'a dyn Pull,
    /// An image, or an index of which the child for the platform is taken.
    pub image: &'a PinnedRef,
}

/// A built image; its new layers are files in the work folder.
#[derive(Clone, Debug)]
pub struct Built {
    /// The manifest; its digest is the image's.
    pub manifest: Manifest,
    /// The configuration's descriptor.
    pub config: Descriptor,
    /// The configuration's bytes.
    pub config_bytes: Bytes,
    /// The new layers, lowest first: what the manifest says of each, and where it lies.
    pub layers: Vec<(Descriptor, PathBuf)>,
    /// The base it stands on, and the base's layers.
    pub base: Option<BuiltBase>,
    /// The platform.
    pub platform: Platform,
    /// From which source.
    pub source: SourceInfo,
    /// The time written into it.
    pub created: Timestamp,
}

/// The base of a [`Built`] image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BuiltBase {
    /// As it was asked for: the digest may be an index's.
    pub image: PinnedRef,
    /// The digest of the image for the platform.
    pub digest: Digest,
    /// Its layers, lowest first.
    pub layers: Vec<Descriptor>,
}

/// Builds the image. New layers are written to `work` (created if it is not there), named by their digest.
///
/// # Errors
/// [`BuildError`]; `work` may then hold finished layers.
pub async fn build(spec: &ImageSpec, base: Option<Base<'_>>, work: &Path) -> Result<Built, BuildError> {
    let settings = assemble::check(spec)?;
    let base = match base {
        Some(base) => Some(base::read(base, &spec.platform).await?),
        None => None,
    };
    let job = LayerJob {
        layers: spec.layers.clone(),
        mtime: settings.seconds,
        parents: base.is_none(),
        folder: work.to_owned(),
    };
    let failed = |source| BuildError::Write { path: work.to_owned(), source };
    let layers = work::blocking(move || job.run()).await.map_err(failed)??;
    Ok(assemble::assemble(spec, &settings, base, layers))
}

/// A finished layer.
#[derive(Debug)]
struct NewLayer {
    blob: Descriptor,
    diff_id: Digest,
    path: PathBuf,
}

struct LayerJob {
    layers: Vec<LayerSpec>,
    mtime: u64,
    parents: bool,
    folder: PathBuf,
}

impl LayerJob {
    fn run(self) -> Result<Vec<NewLayer>, BuildError> {
        let failed = |source| BuildError::Write { path: self.folder.clone(), source };
        std::fs::create_dir_all(&self.folder).map_err(failed)?;
        let write = |layer: &LayerSpec| {
            let entries = collect::collect(&layer.sources, self.parents)?;
            archive::write(&entries, self.mtime, &self.folder)
        };
        self.layers.iter().map(write).collect()
    }
}
