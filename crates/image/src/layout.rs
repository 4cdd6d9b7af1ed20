//! An image in a folder: the OCI image layout 1.0 (image-spec 1.1, "Image Layout").
//!
//! A layout is one namespace: the repository in a reference is ignored, except that an entry may be named by a whole reference
//! (`ghcr.io/acme/billing:v1`) as well as by a bare tag, which is how skopeo, buildx and containerd differ.
//!
//! # Guarantees
//! Reading verifies every digest. Writing goes through a passing name, fsync and rename; `index.json` changes under a lock on
//! the folder, so that several processes can write, and a crash leaves the old index or the new one.

pub(crate) mod read;
mod write;

use std::path::{Path, PathBuf};

use schleuse_model::json::{self, JsonError};
use schleuse_model::{Digest, Exit, Explain, TagRef};
use schleuse_oci::{Descriptor, Index};
use serde::{Deserialize, Serialize};

use crate::work;

/// The largest `index.json` that is read: 4 MiB, as any index.
pub const INDEX_LIMIT: u64 = schleuse_oci::manifest::MANIFEST_LIMIT as u64;
/// Under which annotation an entry of `index.json` has its name.
pub const REF_NAME: &str = "org.opencontainers.image.ref.name";
const VERSION: &str = "1.0.0";

/// An OCI image layout on disk. Implements `Pull` and `Push`.
#[derive(Clone, Debug)]
pub struct Layout {
    root: PathBuf,
}

/// Why a folder is no layout.
#[derive(Debug, thiserror::Error)]
pub enum LayoutError {
    /// There is no `oci-layout` file, or it is not version 1.
    #[error("{} is no OCI image layout: {reason}", .folder.display())]
    NotALayout {
        /// The folder.
        folder: PathBuf,
        /// What is missing.
        reason: &'static str,
    },
    /// A file cannot be read or written.
    #[error("cannot use {}", .path.display())]
    Io {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// `index.json` is not an index.
    #[error("{} is malformed", .path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// Why.
        source: JsonError,
    },
}

impl Explain for LayoutError {
    fn exit(&self) -> Exit {
        if matches!(self, Self::NotALayout { .. }) { Exit::Usage } else { Exit::Error }
    }

    fn hints(&self) -> Vec<String> {
        match self {
            Self::NotALayout { .. } => {
                vec!["a layout is a folder with `oci-layout`, `index.json` and `blobs/`".to_owned()]
            }
            _ => Vec::new(),
        }
    }
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Marker {
    image_layout_version: String,
}

impl Layout {
    /// Opens a layout that is there.
    ///
    /// # Errors
    /// [`LayoutError`].
    pub fn open(root: impl Into<PathBuf>) -> Result<Self, LayoutError> {
        let layout = Self { root: root.into() };
        let not = |reason| LayoutError::NotALayout { folder: layout.root.clone(), reason };
        let path = layout.root.join("oci-layout");
        let bytes = match read_small(&path, 4096) {
            Err(error) if matches!(error.kind(), std::io::ErrorKind::NotFound | std::io::ErrorKind::NotADirectory) => {
                return Err(not("there is no file `oci-layout`"));
            }
            other => other.map_err(|source| LayoutError::Io { path: path.clone(), source })?,
        };
        let marker: Marker = json::from_untrusted(&bytes, 4096).map_err(|_| not("`oci-layout` is malformed"))?;
        if marker.image_layout_version != VERSION {
            return Err(not("`oci-layout` has another version than 1.0.0"));
        }
        layout.index()?;
        Ok(layout)
    }

    /// Opens a layout, or makes an empty one where there is none.
    ///
    /// # Errors
    /// [`LayoutError`].
    pub fn create(root: impl Into<PathBuf>) -> Result<Self, LayoutError> {
        let root = root.into();
        let blobs = root.join("blobs").join("sha256");
        std::fs::create_dir_all(&blobs).map_err(|source| LayoutError::Io { path: blobs, source })?;
        let layout = Self { root };
        let lock = layout.lock().map_err(|source| LayoutError::Io { path: layout.root.clone(), source })?;
        // The index first: a folder with the marker is complete.
        let marker = json::to_bytes(&Marker { image_layout_version: VERSION.to_owned() });
        for (name, bytes) in [("index.json", json::to_bytes(&Index::new(Vec::new()))), ("oci-layout", marker)] {
            let path = layout.root.join(name);
            let written = if path.exists() { Ok(()) } else { work::replace(&path, &bytes) };
            written.map_err(|source| LayoutError::Io { path, source })?;
        }
        drop(lock);
        Self::open(layout.root)
    }

    /// The folder.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// What `index.json` lists.
    ///
    /// # Errors
    /// [`LayoutError`].
    pub fn index(&self) -> Result<Index, LayoutError> {
        let path = self.root.join("index.json");
        let bytes = read_small(&path, INDEX_LIMIT).map_err(|source| LayoutError::Io { path: path.clone(), source })?;
        json::from_untrusted(&bytes, bytes.len()).map_err(|source| LayoutError::Malformed { path, source })
    }

    /// The images that `index.json` lists, each once.
    ///
    /// # Errors
    /// [`LayoutError`].
    pub fn listed(&self) -> Result<Vec<crate::listing::Listed>, LayoutError> {
        Ok(crate::listing::of_index(self.index()?))
    }

    /// Where the blob lies, or would.
    pub fn blob_path(&self, digest: &Digest) -> PathBuf {
        // Both parts are of fixed form: a `Digest` has only a known algorithm and hex digits.
        self.root.join("blobs").join(digest.algorithm().name()).join(digest.hex())
    }

    /// Keeps other writers away while the file lives.
    fn lock(&self) -> std::io::Result<std::fs::File> {
        let folder = std::fs::File::open(&self.root)?;
        folder.lock()?;
        Ok(folder)
    }
}

/// Whether `entry` is what `tag` names.
fn named(entry: &Descriptor, tag: &TagRef) -> bool {
    entry.annotations.get(REF_NAME).is_some_and(|name| *name == tag.tag().as_str() || *name == tag.to_string())
}

/// Reads a file of at most `limit` bytes.
fn read_small(path: &Path, limit: u64) -> std::io::Result<Vec<u8>> {
    use std::io::Read as _;
    let mut bytes = Vec::new();
    work::open_file(path)?.take(limit + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > limit {
        return Err(std::io::Error::new(std::io::ErrorKind::FileTooLarge, format!("more than {limit} bytes")));
    }
    Ok(bytes)
}

impl From<LayoutError> for schleuse_oci::Error {
    fn from(error: LayoutError) -> Self {
        match error {
            LayoutError::Io { path, source } => Self::Local { what: path.display().to_string(), source },
            LayoutError::Malformed { path, source } => Self::Malformed { what: path.display().to_string(), source },
            LayoutError::NotALayout { folder, reason } => {
                Self::Local { what: folder.display().to_string(), source: std::io::Error::other(reason) }
            }
        }
    }
}
