//! The build manifest as the key-holding job reads it: what this run's build returned, and nothing else is signed (DESIGN §13).

use std::path::{Path, PathBuf};

use schleuse_image::BuildManifest;
use schleuse_image::manifest::LIMIT;
use schleuse_model::json::JsonError;
use schleuse_model::{Exit, Explain, PinnedRef};

use super::is_dirty;
use crate::failure::Failure;
use crate::files;

/// What is to be signed is not what was built.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NotThisBuild {
    /// The file is another one.
    #[error("{} is not a build manifest", path.display())]
    Malformed {
        /// Which.
        path: PathBuf,
        /// Why.
        source: JsonError,
    },
    /// The build made something else.
    #[error("{image} is not what the build made: that is {built}")]
    Other {
        /// What is to be signed.
        image: PinnedRef,
        /// What was built.
        built: PinnedRef,
    },
    /// No commit stands for it.
    #[error("{image} was built from a checkout with changes: no commit has what is in it")]
    Dirty {
        /// What is to be signed.
        image: PinnedRef,
    },
}

impl Explain for NotThisBuild {
    fn exit(&self) -> Exit {
        match self {
            Self::Other { .. } => Exit::Untrusted,
            Self::Malformed { .. } | Self::Dirty { .. } => Exit::Usage,
        }
    }

    fn hints(&self) -> Vec<String> {
        match self {
            Self::Malformed { .. } => vec!["write one with `schleuse build --output build.json`".to_owned()],
            Self::Other { built, .. } => vec![
                "a tag can be moved between build and signature: sign what the build printed".to_owned(),
                format!("`schleuse sign {built}`"),
            ],
            Self::Dirty { .. } => vec!["commit the changes and build again".to_owned()],
        }
    }
}

/// Reads it. Untrusted.
pub(crate) fn read(path: &Path) -> Result<BuildManifest, Failure> {
    let bytes = files::read(path, LIMIT)?;
    Ok(BuildManifest::parse(&bytes).map_err(|source| NotThisBuild::Malformed { path: path.to_owned(), source })?)
}

/// Only the digest that the build returned is signed, and only if a commit stands for its content.
pub(crate) fn must_be(build: &BuildManifest, image: &PinnedRef) -> Result<(), NotThisBuild> {
    let built = build.image.pin(build.digest.clone());
    if built != *image {
        return Err(NotThisBuild::Other { image: image.clone(), built });
    }
    if is_dirty(build.version.as_deref()) {
        return Err(NotThisBuild::Dirty { image: image.clone() });
    }
    Ok(())
}
