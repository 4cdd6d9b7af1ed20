//! A store in a folder.
//!
//! ```text
//! lock                                          flock: one process at a time
//! tmp/  uploads/<id>                            cleared at every start
//! quarantine/                                   what `check` has moved aside
//! blobs/<alg>/<2 hex>/<hex>
//! repos/<name>/_links/<alg>-<hex>               empty: this repository has that blob; its date is when that was last told
//! repos/<name>/_manifests/<alg>-<hex>           media type, newline, the exact bytes
//! repos/<name>/_tags/<tag>                      digest, newline
//! repos/<name>/_referrers/<subject>/<referrer>  descriptor as JSON; can be rebuilt from the manifests
//! ```
//!
//! Names of repositories nest (`a` and `a/tags` are two repositories). No part of a name can start with `_`, so the folders
//! above never clash with one. Temporary files live apart, because `v1.tmp` is a legal tag.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use schleuse_model::{Digest, Tag, Timestamp, json};
use schleuse_oci::Descriptor;

use super::{Blobs, Content, Links, Manifests, Pending, Referring, StoredManifest, Tags};
use crate::error::Error;
use crate::route::Name;
use crate::volume::{Readable, Volume};
use files::{Files, Scratch};

mod files;
mod folders;
mod inventory;

/// Larger than any file we write into these folders (a manifest, whatever limit it was accepted under).
const FILE_LIMIT: u64 = 64 << 20;

/// Blobs, repositories and uploads on one volume.
#[derive(Debug)]
pub(crate) struct DiskStore {
    pub(crate) files: Arc<Files>,
    swept: usize,
}

impl DiskStore {
    pub(crate) fn open(volume: Arc<dyn Volume>) -> Result<Self, Error> {
        let (files, swept) = Files::open(volume)?;
        Ok(Self { files: Arc::new(files), swept })
    }

    /// Makes the folders that every repository has.
    fn ensure_repository(&self, name: &Name) -> Result<(), Error> {
        self.files.ensure_folders(&Path::new("repos").join(name.as_str()), &[LINKS, MANIFESTS, TAGS])
    }
}

pub(crate) fn blob_path(digest: &Digest) -> PathBuf {
    Path::new("blobs").join(digest.algorithm().name()).join(&digest.hex()[..2]).join(digest.hex())
}

pub(crate) fn folder(name: &Name, kind: &str) -> PathBuf {
    Path::new("repos").join(name.as_str()).join(kind)
}

pub(crate) fn in_folder(name: &Name, kind: &str, digest: &Digest) -> PathBuf {
    folder(name, kind).join(digest.as_tag_stem())
}

pub(crate) const LINKS: &str = "_links";
pub(crate) const MANIFESTS: &str = "_manifests";
pub(crate) const TAGS: &str = "_tags";
pub(crate) const REFERRERS: &str = "_referrers";

#[derive(Debug)]
struct FileContent {
    file: Box<dyn Readable>,
    length: u64,
}

impl Content for FileContent {
    fn len(&self) -> u64 {
        self.length
    }

    fn read_at(&self, offset: u64, wanted: usize) -> io::Result<Bytes> {
        let left = usize::try_from(self.length.saturating_sub(offset)).unwrap_or(usize::MAX);
        let mut bytes = BytesMut::zeroed(wanted.min(left));
        self.file.read_at(offset, &mut bytes)?;
        Ok(bytes.freeze())
    }
}

fn content(files: &Files, path: &Path) -> Result<Option<Arc<dyn Content>>, Error> {
    let Some(file) = files.open_file(path)? else { return Ok(None) };
    let length = file.length().map_err(Error::storage("measure", &files.shown(path)))?;
    Ok(Some(Arc::new(FileContent { file, length })))
}

#[derive(Debug)]
struct PendingFile {
    files: Arc<Files>,
    scratch: Scratch,
}

impl Pending for PendingFile {
    fn append(&mut self, piece: &[u8]) -> Result<(), Error> {
        self.scratch.append(piece)
    }

    fn content(&self) -> Result<Arc<dyn Content>, Error> {
        let path = self.scratch.path();
        let gone = || Error::Damaged { path: self.files.shown(path), reason: "it was removed while it was written" };
        content(&self.files, path)?.ok_or_else(gone)
    }

    fn commit(self: Box<Self>, digest: &Digest) -> Result<(), Error> {
        self.scratch.place(&blob_path(digest))
    }
}

impl Blobs for DiskStore {
    fn begin(&self, id: &str) -> Result<Box<dyn Pending>, Error> {
        Ok(Box::new(PendingFile { files: self.files.clone(), scratch: self.files.upload(id)? }))
    }

    fn blob(&self, digest: &Digest) -> Result<Option<Arc<dyn Content>>, Error> {
        content(&self.files, &blob_path(digest))
    }

    fn settle_blob(&self, digest: &Digest) -> Result<bool, Error> {
        let path = blob_path(digest);
        let shelf = path.parent().unwrap_or(Path::new("blobs"));
        let there = self.files.exists(&path)?;
        if there {
            self.files.settle(shelf)?;
        }
        Ok(there)
    }
}

impl Links for DiskStore {
    fn linked(&self, name: &Name, digest: &Digest) -> Result<Option<Timestamp>, Error> {
        self.files.adopt(&folder(name, LINKS))?;
        self.files.modified(&in_folder(name, LINKS, digest))
    }

    fn link(&self, name: &Name, digest: &Digest, now: Timestamp) -> Result<(), Error> {
        self.ensure_repository(name)?;
        self.files.mark(&in_folder(name, LINKS, digest), now)
    }

    fn date_link(&self, name: &Name, digest: &Digest, now: Timestamp) -> Result<(), Error> {
        self.files.date(&in_folder(name, LINKS, digest), now)
    }

    fn unlink(&self, name: &Name, digests: &[Digest]) -> Result<usize, Error> {
        let links = digests.iter().map(|digest| in_folder(name, LINKS, digest));
        self.files.remove_all(&folder(name, LINKS), links)
    }
}

impl Manifests for DiskStore {
    fn manifest(&self, name: &Name, digest: &Digest) -> Result<Option<StoredManifest>, Error> {
        self.files.adopt(&folder(name, MANIFESTS))?;
        let path = in_folder(name, MANIFESTS, digest);
        let Some(file) = self.files.read(&path, FILE_LIMIT)? else { return Ok(None) };
        let file = Bytes::from(file);
        let damaged = |reason| Error::Damaged { path: self.files.shown(&path), reason };
        let end = file.iter().position(|b| *b == b'\n').ok_or_else(|| damaged("its media type is missing"))?;
        let media_type = String::from_utf8(file[..end].to_vec()).map_err(|_| damaged("its media type is no text"))?;
        let bytes = file.slice(end + 1..);
        if !digest.matches(&bytes) {
            return Err(damaged("the manifest in it has another digest"));
        }
        Ok(Some(StoredManifest { media_type, bytes }))
    }

    fn has_manifest(&self, name: &Name, digest: &Digest) -> Result<bool, Error> {
        self.files.adopt(&folder(name, MANIFESTS))?;
        self.files.exists(&in_folder(name, MANIFESTS, digest))
    }

    fn write_manifest(&self, name: &Name, digest: &Digest, manifest: &StoredManifest) -> Result<(), Error> {
        let path = in_folder(name, MANIFESTS, digest);
        // Re-tagging pushes the same bytes again. What is there is whole and synced, since it was renamed; its entry in the
        // folder may not be: its writer may have been killed between the two.
        match self.manifest(name, digest) {
            Ok(Some(existing)) if existing == *manifest => self.files.settle(&folder(name, MANIFESTS)),
            // Absent, of another media type, or damaged: this push puts it right.
            Ok(_) | Err(Error::Damaged { .. }) => {
                self.ensure_repository(name)?;
                self.files.write(&path, &[manifest.media_type.as_bytes(), b"\n", &manifest.bytes])
            }
            Err(error) => Err(error),
        }
    }

    fn settle(&self, name: &Name) -> Result<(), Error> {
        self.files.settle(&folder(name, LINKS))?;
        self.files.settle(&folder(name, MANIFESTS))
    }

    fn remove_manifest(&self, name: &Name, digest: &Digest) -> Result<bool, Error> {
        self.files.remove(&in_folder(name, MANIFESTS, digest))
    }
}

impl Tags for DiskStore {
    fn target(&self, name: &Name, tag: &Tag) -> Result<Option<Digest>, Error> {
        self.files.adopt(&folder(name, TAGS))?;
        let path = folder(name, TAGS).join(tag.as_str());
        let Some(file) = self.files.read(&path, 1024)? else { return Ok(None) };
        let digest = std::str::from_utf8(&file).ok().and_then(|text| text.strip_suffix('\n')?.parse().ok());
        digest.map(Some).ok_or_else(|| Error::Damaged { path: self.files.shown(&path), reason: "it holds no digest" })
    }

    fn point(&self, name: &Name, tag: &Tag, digest: &Digest) -> Result<(), Error> {
        self.ensure_repository(name)?;
        let path = folder(name, TAGS).join(tag.as_str());
        let before = self.target(name, tag);
        let written = self.files.write(&path, &[digest.to_string().as_bytes(), b"\n"]);
        if let (Err(_), Ok(Some(before))) = (&written, before) {
            self.files.restore(&path, &[before.to_string().as_bytes(), b"\n"]);
        }
        written
    }

    fn remove_tag(&self, name: &Name, tag: &Tag) -> Result<bool, Error> {
        self.files.remove(&folder(name, TAGS).join(tag.as_str()))
    }

    fn tag_names(&self, name: &Name) -> Result<Option<Vec<String>>, Error> {
        self.files.adopt(&folder(name, TAGS))?;
        if let Some(names) = self.files.names(&folder(name, TAGS))? {
            return Ok(Some(names));
        }
        for kind in [MANIFESTS, LINKS] {
            if self.files.exists(&folder(name, kind))? {
                return Ok(Some(Vec::new()));
            }
        }
        Ok(None)
    }
}

impl DiskStore {
    /// One entry of a list of referrers; `None` if it is not there, or damaged: it can be drawn from the manifest again.
    pub(crate) fn referrer(&self, name: &Name, subject: &Digest, digest: &Digest) -> Result<Option<Descriptor>, Error> {
        let path = in_folder(name, REFERRERS, subject).join(digest.as_tag_stem());
        let bytes = self.files.read(&path, FILE_LIMIT)?;
        Ok(bytes.and_then(|bytes| json::from_untrusted(&bytes, bytes.len()).ok()))
    }
}

impl Referring for DiskStore {
    fn referring(
        &self,
        name: &Name,
        subject: &Digest,
        after: Option<&Digest>,
        take: &mut dyn FnMut(Descriptor) -> bool,
    ) -> Result<(), Error> {
        let folder = in_folder(name, REFERRERS, subject);
        // Names are in the order of the digests that they are made of.
        let after = after.map(Digest::as_tag_stem).unwrap_or_default();
        for entry in self.files.names(&folder)?.unwrap_or_default().into_iter().filter(|entry| *entry > after) {
            let path = folder.join(&entry);
            // Removed since it was listed: not there.
            let Some(bytes) = self.files.read(&path, FILE_LIMIT)? else { continue };
            let descriptor = json::from_untrusted(&bytes, bytes.len());
            let damaged = |_| Error::Damaged { path: self.files.shown(&path), reason: "it holds no descriptor" };
            if !take(descriptor.map_err(damaged)?) {
                break;
            }
        }
        Ok(())
    }

    fn add_referring(&self, name: &Name, subject: &Digest, referrer: &Descriptor) -> Result<(), Error> {
        let path = in_folder(name, REFERRERS, subject).join(referrer.digest.as_tag_stem());
        self.files.write(&path, &[&json::to_bytes(referrer)])
    }

    fn remove_referring(&self, name: &Name, subject: &Digest, referrer: &Digest) -> Result<(), Error> {
        self.files.remove(&in_folder(name, REFERRERS, subject).join(referrer.as_tag_stem())).map(drop)
    }
}
