//! Why an archive is not read.

use std::io;
use std::path::{Path, PathBuf};

use schleuse_model::json::JsonError;
use schleuse_model::{Digest, Exit, Explain};

use crate::unpack::LayerError;

/// Why an archive is not read.
#[derive(Debug, thiserror::Error)]
pub enum ArchiveError {
    /// The file cannot be read.
    #[error("cannot use {}", .path.display())]
    Io {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It is something else.
    #[error("{} is no archive of images: {reason}", .path.display())]
    NotAnArchive {
        /// The file.
        path: PathBuf,
        /// What is missing, or what it is instead.
        reason: &'static str,
    },
    /// The tar is malformed, or too large.
    #[error("{} is refused", .path.display())]
    Tar {
        /// The file.
        path: PathBuf,
        /// Why.
        source: LayerError,
    },
    /// More than archives of images have.
    #[error("{} has too many {what}", .path.display())]
    TooMuch {
        /// The file.
        path: PathBuf,
        /// Of what.
        what: &'static str,
    },
    /// An entry is refused.
    #[error("{} is refused: its entry `{entry}` {reason}", .path.display())]
    Entry {
        /// The file.
        path: PathBuf,
        /// The entry's name, shortened.
        entry: String,
        /// Why.
        reason: &'static str,
    },
    /// A document in it cannot be read.
    #[error("{what} in {} is malformed", .path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// Which document.
        what: String,
        /// Why.
        source: JsonError,
    },
    /// It names what it does not have.
    #[error("{} lacks {what}", .path.display())]
    Missing {
        /// The file.
        path: PathBuf,
        /// What, shortened.
        what: String,
    },
    /// A layer is not the one that the configuration names.
    #[error("a layer in {} has the digest {actual}, the configuration says {expected}", .path.display())]
    WrongLayer {
        /// The file.
        path: PathBuf,
        /// In the configuration.
        expected: Digest,
        /// Of the layer.
        actual: Digest,
    },
}

impl ArchiveError {
    pub(super) fn io(path: &Path) -> impl FnOnce(io::Error) -> Self + use<> {
        let path = path.to_owned();
        move |source| Self::Io { path, source }
    }

    pub(super) fn malformed(path: &Path, what: &str) -> impl FnOnce(JsonError) -> Self + use<> {
        let (path, what) = (path.to_owned(), what.to_owned());
        move |source| Self::Malformed { path, what, source }
    }

    /// The same about the file that the person named, not its decompressed copy.
    pub(super) fn of(mut self, file: &Path) -> Self {
        match &mut self {
            Self::Io { path, .. }
            | Self::NotAnArchive { path, .. }
            | Self::Tar { path, .. }
            | Self::TooMuch { path, .. }
            | Self::Entry { path, .. }
            | Self::Malformed { path, .. }
            | Self::Missing { path, .. }
            | Self::WrongLayer { path, .. } => *path = file.to_owned(),
        }
        self
    }
}

impl Explain for ArchiveError {
    fn exit(&self) -> Exit {
        match self {
            Self::NotAnArchive { .. } => Exit::Usage,
            Self::Io { source, .. } if source.kind() == io::ErrorKind::NotFound => Exit::Usage,
            Self::WrongLayer { .. } => Exit::Untrusted,
            _ => Exit::Error,
        }
    }

    fn hints(&self) -> Vec<String> {
        match self {
            Self::NotAnArchive { reason, .. } if reason.contains("compressed") => {
                vec!["decompress it first".to_owned()]
            }
            Self::NotAnArchive { reason, .. } if reason.contains("folder") => {
                vec!["a folder with an OCI layout is written `oci:FOLDER`".to_owned()]
            }
            Self::NotAnArchive { .. } => {
                vec![
                    "`docker save IMAGE --output FILE` and `skopeo copy … oci-archive:FILE` write such archives"
                        .to_owned(),
                ]
            }
            Self::Entry { .. } | Self::WrongLayer { .. } => {
                vec!["no tool writes this by accident: find out who made the archive".to_owned()]
            }
            Self::Missing { .. } => vec!["was it cut short, or saved for another platform only?".to_owned()],
            _ => Vec::new(),
        }
    }
}
