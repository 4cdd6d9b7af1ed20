//! Why an image was not built.

use std::path::PathBuf;

use schleuse_model::json::JsonError;
use schleuse_model::{Exit, Explain};

use crate::select::SelectError;

/// Why an image was not built. Nothing was pushed.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// A source cannot be read.
    #[error("cannot read {}", .path.display())]
    Read {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The work folder cannot be written.
    #[error("cannot write {}", .path.display())]
    Write {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A socket, pipe or device among the sources.
    #[error("{} is neither file, folder nor symbolic link", .path.display())]
    Special {
        /// Which.
        path: PathBuf,
    },
    /// A file was changed while it was read: its content would be neither the old nor the new.
    #[error("{} changed while it was read", .path.display())]
    Changed {
        /// Which.
        path: PathBuf,
    },
    /// Two sources bring the same path.
    #[error("two sources bring `{path}`: {} and {}", .first.display(), .second.display())]
    Collision {
        /// The path in the image.
        path: String,
        /// One.
        first: PathBuf,
        /// The other.
        second: PathBuf,
    },
    /// A name that engines read as an order to delete (image-spec, "Whiteouts").
    #[error("{} starts with `.wh.`, which marks deleted files in layers", .path.display())]
    Whiteout {
        /// Which.
        path: PathBuf,
    },
    /// A file cannot stand for the whole image.
    #[error("{} is a file: `/` cannot be its path in the image", .path.display())]
    FileAsRoot {
        /// Which.
        path: PathBuf,
    },
    /// A path longer than can be opened.
    #[error("`{path}` is too long for a path in an image")]
    TooLong {
        /// Which, shortened.
        path: String,
    },
    /// More files than one layer may have.
    #[error("the sources have more than {limit} files and folders")]
    TooMany {
        /// The limit.
        limit: usize,
    },
    /// A setting that no image can have.
    #[error("{what} {reason}")]
    Setting {
        /// Which.
        what: String,
        /// Why.
        reason: &'static str,
    },
    /// The base cannot be read.
    #[error("the base {image} cannot be used")]
    Base {
        /// Which.
        image: String,
        /// Why.
        source: BaseError,
    },
}

/// Why a base was not accepted.
#[derive(Debug, thiserror::Error)]
pub enum BaseError {
    /// It cannot be had.
    #[error(transparent)]
    Registry(#[from] schleuse_oci::Error),
    /// Its manifest or configuration cannot be read.
    #[error(transparent)]
    Malformed(#[from] JsonError),
    /// It has nothing for the platform.
    #[error(transparent)]
    Select(#[from] SelectError),
    /// It is for another platform.
    #[error("it is for {actual}, not for {wanted}")]
    Platform {
        /// What it is for.
        actual: String,
        /// What is built.
        wanted: String,
    },
    /// Its configuration and its manifest disagree about the number of layers.
    #[error("its manifest has {layers} layers, its configuration {diff_ids}")]
    Layers {
        /// In the manifest.
        layers: usize,
        /// In the configuration.
        diff_ids: usize,
    },
    /// A layer of a kind that cannot be taken over, such as Windows' "foreign" layers.
    #[error("it has a layer of the type `{media_type}`")]
    LayerType {
        /// The type, shortened.
        media_type: String,
    },
}

impl Explain for BuildError {
    fn exit(&self) -> Exit {
        match self {
            Self::Base { source: BaseError::Registry(error), .. } => error.exit(),
            Self::Read { .. } | Self::Write { .. } | Self::Changed { .. } | Self::Base { .. } => Exit::Error,
            _ => Exit::Usage,
        }
    }

    fn hints(&self) -> Vec<String> {
        match self {
            Self::Read { .. } => {
                vec!["is the application built? the paths in `copy` are relative to schleuse.toml".to_owned()]
            }
            Self::Special { .. } => vec!["leave it out of the folder that is copied".to_owned()],
            Self::Changed { .. } => vec!["run the build again once nothing writes there any more".to_owned()],
            Self::Collision { .. } => vec!["put one of them into a later layer, which then wins".to_owned()],
            Self::Base { source: BaseError::Registry(error), .. } => error.hints(),
            Self::Base { source: BaseError::Select(error), .. } => error.hints(),
            _ => Vec::new(),
        }
    }
}
