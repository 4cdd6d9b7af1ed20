//! An image in one file: an OCI layout in a tar (`skopeo`, `buildah`, `buildx --output type=oci`), or what `docker save` writes.
//!
//! # Guarantees
//! - The archive is not unpacked: its entries are found once, by their headers, and content is read where it lies. Only a gzipped
//!   archive is decompressed, into the work folder, within limits.
//! - It is untrusted. Entries, names, depth and extended headers are limited; absolute paths, `..`, names that come twice, devices
//!   and sparse files are refused; a link is followed once, to a file of the archive. Every byte is read against its digest.
//! - An OCI archive keeps the digests it has. `docker save` before Docker 25 writes no manifest; then one is made, and it is the
//!   same for the same archive content: the configuration's exact bytes, and the layers **as they lie there** (see
//!   [`Archive::open`]).
//!
//! # Caveats
//! Where an archive is both (Docker 25 and later), the OCI layout in it counts.

mod docker;
mod entries;
mod error;
mod read;
mod write;

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufReader, Read as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use flate2::read::MultiGzDecoder;
use schleuse_model::digest::Algorithm;
use schleuse_model::{Digest, json};
use schleuse_oci::Index;

pub use error::ArchiveError;
pub use write::write;

use crate::layout::INDEX_LIMIT;
use crate::listing::{self, Listed};
use crate::unpack::Limits;
use crate::unpack::meter::Meter;
use crate::unpack::tarball::reading;
use crate::work::{self, Passing};
use entries::{Entries, Span};

/// An archive of images. Implements `Pull`; the repository in a reference is ignored, as in a layout.
#[derive(Clone, Debug)]
pub struct Archive {
    /// How the person called it.
    path: PathBuf,
    /// The plain archive: the same file, or its decompressed copy.
    plain: PathBuf,
    _copy: Option<Arc<Passing>>,
    listed: Vec<Listed>,
    blobs: BTreeMap<Digest, Spot>,
}

/// Where a blob is.
#[derive(Clone, Debug)]
enum Spot {
    In(Span),
    /// What the archive does not have, and we have made.
    Made(Bytes),
}

impl Archive {
    /// Opens an archive of either kind, whatever it is called. `work` takes a gzipped one's decompressed copy, which lives as long
    /// as this does.
    ///
    /// The layers of `docker save` are plain tars and stay so: their digest is the one that the configuration has, which anybody
    /// can check without our compressor. They take two to four times the space and line of compressed ones; an image that is to
    /// be kept is better built, or pushed by the engine. Layers that other tools gzipped stay gzipped.
    ///
    /// # Errors
    /// [`ArchiveError`].
    pub async fn open(path: &Path, work: &Path, limits: &Limits) -> Result<Self, ArchiveError> {
        let (path, work, limits) = (path.to_owned(), work.to_owned(), limits.clone());
        let failed = ArchiveError::io(&path);
        work::blocking(move || open(path, &work, &limits)).await.map_err(failed)?
    }

    /// The images in it.
    pub fn listed(&self) -> &[Listed] {
        &self.listed
    }

    /// The file, as it was named.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

fn open(path: PathBuf, work: &Path, limits: &Limits) -> Result<Archive, ArchiveError> {
    if std::fs::metadata(&path).map_err(ArchiveError::io(&path))?.is_dir() {
        return Err(ArchiveError::NotAnArchive { path, reason: "it is a folder" });
    }
    let mut file = work::open_file(&path).map_err(ArchiveError::io(&path))?;
    let mut magic = [0; 6];
    let read = fill(&mut file, &mut magic).map_err(ArchiveError::io(&path))?;
    let copy = match &magic[..read] {
        [0x1f, 0x8b, ..] => Some(decompress(&path, work, limits)?),
        [0x28, 0xb5, 0x2f, 0xfd, ..] | [0xfd, b'7', b'z', b'X', b'Z', 0] | [b'B', b'Z', b'h', ..] => {
            return Err(ArchiveError::NotAnArchive { path, reason: "it is compressed, and only gzip is read" });
        }
        _ => None,
    };
    let plain = copy.as_ref().map_or_else(|| path.clone(), |copy| copy.path().to_owned());
    let entries = Entries::find(&plain).map_err(|source| source.of(&path))?;
    let mut archive = Archive { path, plain, _copy: copy.map(Arc::new), listed: Vec::new(), blobs: BTreeMap::new() };
    if entries.get("oci-layout")?.is_some() {
        archive.read_layout(&entries)?;
    } else if entries.get("manifest.json")?.is_some() {
        archive.read_docker(&entries)?;
    } else {
        let reason = "it has neither `oci-layout` nor `manifest.json`";
        return Err(ArchiveError::NotAnArchive { path: archive.path, reason });
    }
    Ok(archive)
}

impl Archive {
    fn read_layout(&mut self, entries: &Entries) -> Result<(), ArchiveError> {
        let index = self.whole(entries, "index.json", INDEX_LIMIT)?;
        let malformed = ArchiveError::malformed(&self.path, "index.json");
        let index: Index = json::from_untrusted(&index, index.len()).map_err(malformed)?;
        for (name, span) in entries.below("blobs/") {
            let digest = name.split_once('/').map(|(algorithm, hex)| format!("{algorithm}:{hex}").parse());
            // Whatever else lies there is no blob that anything could name.
            if let Some(Ok(digest)) = digest {
                self.blobs.insert(digest, Spot::In(span));
            }
        }
        self.listed = listing::of_index(index);
        Ok(())
    }

    /// A small file of the archive.
    fn whole(&self, entries: &Entries, name: &str, limit: u64) -> Result<Vec<u8>, ArchiveError> {
        let missing =
            || ArchiveError::Missing { path: self.path.clone(), what: crate::path::printable(name.as_bytes()) };
        let span = entries.get(name)?.ok_or_else(missing)?;
        if span.size > limit {
            let what = "bytes in a document that describes an image";
            return Err(ArchiveError::TooMuch { path: self.path.clone(), what });
        }
        span.read(&self.plain).map_err(ArchiveError::io(&self.path))
    }
}

/// Decompresses the whole archive, within the limits of an image.
fn decompress(path: &Path, work: &Path, limits: &Limits) -> Result<Passing, ArchiveError> {
    let failed = || ArchiveError::io(work);
    std::fs::create_dir_all(work).map_err(failed())?;
    let file = File::open(path).map_err(ArchiveError::io(path))?;
    let compressed = file.metadata().map_err(ArchiveError::io(path))?.len();
    let plain = MultiGzDecoder::new(BufReader::new(file));
    let mut meter = Meter::new(plain, Algorithm::Sha256, compressed, 0, limits);
    let (passing, mut to) = Passing::create(work).map_err(failed())?;
    io::copy(&mut meter, &mut to)
        .map_err(|error| ArchiveError::Tar { path: path.to_owned(), source: reading(error) })?;
    Ok(passing)
}

/// Reads until `into` is full or the file ends.
fn fill(file: &mut File, into: &mut [u8]) -> io::Result<usize> {
    let mut bytes = Vec::new();
    let read = file.take(into.len() as u64).read_to_end(&mut bytes)?;
    into[..read].copy_from_slice(&bytes);
    Ok(read)
}
