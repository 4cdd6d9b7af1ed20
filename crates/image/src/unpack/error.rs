//! Why an image was not unpacked.

use std::io;
use std::path::PathBuf;

use schleuse_model::json::JsonError;
use schleuse_model::{Digest, Exit, Explain};

use super::limits::Limit;
use crate::select::SelectError;

/// Why an image was not unpacked.
#[derive(Debug, thiserror::Error)]
pub enum UnpackError {
    /// The image cannot be had.
    #[error(transparent)]
    Registry(#[from] schleuse_oci::Error),
    /// Manifest, index or configuration cannot be read.
    #[error("the image's {what} is malformed")]
    Malformed {
        /// Which.
        what: &'static str,
        /// Why.
        source: JsonError,
    },
    /// It has nothing for the platform.
    #[error(transparent)]
    Select(#[from] SelectError),
    /// It is for another platform.
    #[error("the image is for {actual}, this machine is {wanted}")]
    Platform {
        /// What it is for.
        actual: String,
        /// What was asked for.
        wanted: String,
    },
    /// Configuration and manifest disagree about the number of layers.
    #[error("the image's manifest has {layers} layers, its configuration {diff_ids}")]
    LayerCount {
        /// In the manifest.
        layers: usize,
        /// In the configuration.
        diff_ids: usize,
    },
    /// A zstd layer.
    #[error("the image has a zstd layer; zstd is not supported yet")]
    Zstd,
    /// A layer of an unknown kind.
    #[error("the image has a layer of the type `{media_type}`")]
    LayerType {
        /// The type, shortened.
        media_type: String,
    },
    /// More than allowed, seen before anything was fetched.
    #[error("the image has more than {allowed} {limit}")]
    Limit {
        /// Which limit.
        limit: Limit,
        /// Its value.
        allowed: u64,
    },
    /// A layer was refused.
    #[error("the layer {layer} cannot be unpacked")]
    Layer {
        /// Its digest.
        layer: Digest,
        /// Why.
        source: LayerError,
    },
    /// The folder has something in it.
    #[error("{} is not empty: an image is unpacked only into an empty folder", .root.display())]
    NotEmpty {
        /// The folder.
        root: PathBuf,
    },
    /// [`super::Ownership::Keep`] without being root.
    #[error("only root can give files to their owners in the image")]
    NeedsRoot,
    /// A folder of this machine cannot be used.
    #[error("cannot use {}", .path.display())]
    Io {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// Why a layer was refused.
#[derive(Debug, thiserror::Error)]
pub enum LayerError {
    /// The uncompressed content is not what the configuration says.
    #[error("its content has the digest {actual}, the configuration says {expected}")]
    DiffId {
        /// In the configuration.
        expected: Digest,
        /// Of the content.
        actual: Digest,
    },
    /// More than allowed.
    #[error("it has more than {allowed} {limit}")]
    Limit {
        /// Which limit.
        limit: Limit,
        /// Its value.
        allowed: u64,
    },
    /// The archive is malformed.
    #[error(transparent)]
    Tar(#[from] TarError),
    /// An entry is refused.
    #[error("its entry `{path}` {reason}")]
    Entry {
        /// The entry's path, shortened.
        path: String,
        /// Why.
        reason: EntryError,
    },
    /// Reading the layer or writing into the root failed.
    #[error("{what} failed")]
    Io {
        /// What was done, and to what.
        what: String,
        /// Why.
        source: io::Error,
    },
}

/// Why an archive is malformed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TarError {
    /// It ends within an entry.
    #[error("its archive is cut short")]
    Short,
    /// A header's checksum is wrong.
    #[error("its archive has a header with a wrong checksum")]
    Checksum,
    /// A number in a header is none.
    #[error("its archive has a header with a malformed {0}")]
    Number(&'static str),
    /// Extended headers that contradict each other, or have nothing to extend: two readers would see two archives.
    #[error("its archive has contradicting extended headers")]
    Contradiction,
    /// An extended header that is not of its form.
    #[error("its archive has a malformed extended header")]
    Extension,
}

/// Why an entry is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum EntryError {
    /// It starts with a slash.
    #[error("has an absolute path")]
    Absolute,
    /// `..`
    #[error("has `..` in its path")]
    Parent,
    /// A NUL byte, or a component longer than a file system takes.
    #[error("has a path that no file can have")]
    Impossible,
    /// A whiteout that names nothing, or `.` or `..`, or stands above other components.
    #[error("is a malformed whiteout")]
    Whiteout,
    /// A symbolic link on the way.
    #[error("leads through a symbolic link")]
    ThroughSymlink,
    /// A file on the way.
    #[error("lies below something that is no folder")]
    BelowFile,
    /// The root itself is something else than a folder.
    #[error("would replace the root folder")]
    Root,
    /// A hard link to nothing, to itself, or to a folder.
    #[error("is a hard link to no file of the image")]
    HardLink,
    /// A symbolic link without a target.
    #[error("is a symbolic link to nothing")]
    EmptyLink,
    /// An owner beyond what a file system takes.
    #[error("has an impossible owner")]
    Owner,
    /// A sparse file, or a kind no image has.
    #[error("is of a kind that is not supported")]
    Kind,
}

impl Explain for UnpackError {
    fn exit(&self) -> Exit {
        match self {
            Self::Registry(error) => error.exit(),
            // Whoever made this image is not to be trusted; the difference to an error is worth an exit code.
            Self::Layer { source: LayerError::DiffId { .. }, .. } => Exit::Untrusted,
            Self::Layer { source: LayerError::Entry { reason, .. }, .. } if reason.is_attack() => Exit::Untrusted,
            Self::NotEmpty { .. } | Self::NeedsRoot => Exit::Usage,
            _ => Exit::Error,
        }
    }

    fn hints(&self) -> Vec<String> {
        match self {
            Self::Registry(error) => error.hints(),
            Self::Select(error) => error.hints(),
            Self::Zstd => vec!["build the image with gzip layers".to_owned()],
            Self::Layer { source: LayerError::Entry { reason: EntryError::ThroughSymlink, .. }, .. } => {
                vec!["copy to the folder itself, not to a path through a link (`/usr/lib`, not `/lib`)".to_owned()]
            }
            Self::Layer { source: LayerError::Entry { reason, .. }, .. } if reason.is_attack() => {
                vec!["no builder writes this by accident: find out who made the image".to_owned()]
            }
            _ => Vec::new(),
        }
    }
}

impl EntryError {
    const fn is_attack(self) -> bool {
        matches!(self, Self::Absolute | Self::Parent | Self::Root)
    }
}
