//! A store in a folder.
//!
//! ```text
//! lock                                          flock: one process at a time
//! tmp/  uploads/<id>                            cleared at every start
//! blobs/<alg>/<2 hex>/<hex>
//! repos/<name>/_links/<alg>-<hex>               empty: this repository has that blob
//! repos/<name>/_manifests/<alg>-<hex>           media type, newline, the exact bytes
//! repos/<name>/_tags/<tag>                      digest, newline
//! repos/<name>/_referrers/<subject>/<referrer>  descriptor as JSON; can be rebuilt from the manifests
//! ```
//!
//! Names of repositories nest (`a` and `a/tags` are two repositories). No part of a name can start with `_`, so the folders
//! above never clash with one. Temporary files live apart, because `v1.tmp` is a legal tag.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use schleuse_model::{Digest, Tag, json};
use schleuse_oci::Descriptor;

use super::{Blobs, Content, Links, Manifests, Pending, Referring, StoredManifest, Tags};
use crate::error::Error;
use crate::route::Name;
use volume::{Scratch, Volume};

mod volume;

/// Larger than any file we write into these folders (a manifest, whatever limit it was accepted under).
const FILE_LIMIT: u64 = 64 << 20;

/// Blobs, repositories and uploads below one folder.
#[derive(Debug)]
pub(crate) struct DiskStore(Arc<Volume>);

impl DiskStore {
    pub(crate) fn open(root: &Path) -> Result<Self, Error> {
        Ok(Self(Arc::new(Volume::open(root)?)))
    }
}

fn blob_path(digest: &Digest) -> PathBuf {
    Path::new("blobs").join(digest.algorithm().name()).join(&digest.hex()[..2]).join(digest.hex())
}

fn folder(name: &Name, kind: &str) -> PathBuf {
    Path::new("repos").join(name.as_str()).join(kind)
}

fn in_folder(name: &Name, kind: &str, digest: &Digest) -> PathBuf {
    folder(name, kind).join(digest.as_tag_stem())
}

const LINKS: &str = "_links";
const MANIFESTS: &str = "_manifests";
const TAGS: &str = "_tags";
const REFERRERS: &str = "_referrers";

#[derive(Debug)]
struct FileContent {
    file: File,
    length: u64,
}

impl Content for FileContent {
    fn len(&self) -> u64 {
        self.length
    }

    fn read_at(&self, offset: u64, wanted: usize) -> io::Result<Bytes> {
        let left = usize::try_from(self.length.saturating_sub(offset)).unwrap_or(usize::MAX);
        let mut bytes = BytesMut::zeroed(wanted.min(left));
        self.file.read_exact_at(&mut bytes, offset)?;
        Ok(bytes.freeze())
    }
}

fn content_of(file: File, path: &Path) -> Result<Arc<dyn Content>, Error> {
    let length = file.metadata().map_err(Error::storage("measure", path))?.len();
    Ok(Arc::new(FileContent { file, length }))
}

#[derive(Debug)]
struct PendingFile(Scratch);

impl Pending for PendingFile {
    fn append(&mut self, piece: &[u8]) -> Result<(), Error> {
        self.0.append(piece)
    }

    fn content(&self) -> Result<Arc<dyn Content>, Error> {
        content_of(self.0.reopen()?, &self.0.full())
    }

    fn commit(self: Box<Self>, digest: &Digest) -> Result<(), Error> {
        self.0.place(&blob_path(digest))
    }
}

impl Blobs for DiskStore {
    fn begin(&self, id: &str) -> Result<Box<dyn Pending>, Error> {
        Ok(Box::new(PendingFile(self.0.upload(id)?)))
    }

    fn blob(&self, digest: &Digest) -> Result<Option<Arc<dyn Content>>, Error> {
        let path = blob_path(digest);
        self.0.open_file(&path)?.map(|file| content_of(file, &self.0.full(&path))).transpose()
    }
}

impl Links for DiskStore {
    fn linked(&self, name: &Name, digest: &Digest) -> Result<bool, Error> {
        self.0.exists(&in_folder(name, LINKS, digest))
    }

    fn link(&self, name: &Name, digest: &Digest) -> Result<(), Error> {
        self.0.write(&in_folder(name, LINKS, digest), &[])
    }

    fn unlink(&self, name: &Name, digest: &Digest) -> Result<bool, Error> {
        self.0.remove(&in_folder(name, LINKS, digest))
    }

    fn settle(&self, name: &Name) -> Result<(), Error> {
        self.0.sync_folder(&folder(name, LINKS))
    }
}

impl Manifests for DiskStore {
    fn manifest(&self, name: &Name, digest: &Digest) -> Result<Option<StoredManifest>, Error> {
        let path = in_folder(name, MANIFESTS, digest);
        let Some(file) = self.0.read(&path, FILE_LIMIT)? else { return Ok(None) };
        let file = Bytes::from(file);
        let damaged = |reason| Error::Damaged { path: self.0.full(&path), reason };
        let end = file.iter().position(|b| *b == b'\n').ok_or_else(|| damaged("its media type is missing"))?;
        let media_type = String::from_utf8(file[..end].to_vec()).map_err(|_| damaged("its media type is no text"))?;
        let bytes = file.slice(end + 1..);
        if !digest.matches(&bytes) {
            return Err(damaged("the manifest in it has another digest"));
        }
        Ok(Some(StoredManifest { media_type, bytes }))
    }

    fn has_manifest(&self, name: &Name, digest: &Digest) -> Result<bool, Error> {
        self.0.exists(&in_folder(name, MANIFESTS, digest))
    }

    fn write_manifest(&self, name: &Name, digest: &Digest, manifest: &StoredManifest) -> Result<(), Error> {
        let path = in_folder(name, MANIFESTS, digest);
        // Re-tagging pushes the same bytes again. What is there is whole and synced, since it was renamed; its entry in the
        // folder may not be: its writer may have been killed between the two.
        match self.manifest(name, digest) {
            Ok(Some(existing)) if existing == *manifest => self.0.sync_folder(&folder(name, MANIFESTS)),
            // Absent, of another media type, or damaged: this push puts it right.
            Ok(_) | Err(Error::Damaged { .. }) => {
                self.0.write(&path, &[manifest.media_type.as_bytes(), b"\n", &manifest.bytes])
            }
            Err(error) => Err(error),
        }
    }

    fn remove_manifest(&self, name: &Name, digest: &Digest) -> Result<bool, Error> {
        self.0.remove(&in_folder(name, MANIFESTS, digest))
    }
}

impl Tags for DiskStore {
    fn target(&self, name: &Name, tag: &Tag) -> Result<Option<Digest>, Error> {
        let path = folder(name, TAGS).join(tag.as_str());
        let Some(file) = self.0.read(&path, 1024)? else { return Ok(None) };
        let digest = std::str::from_utf8(&file).ok().and_then(|text| text.strip_suffix('\n')?.parse().ok());
        digest.map(Some).ok_or_else(|| Error::Damaged { path: self.0.full(&path), reason: "it holds no digest" })
    }

    fn point(&self, name: &Name, tag: &Tag, digest: &Digest) -> Result<(), Error> {
        self.0.write(&folder(name, TAGS).join(tag.as_str()), &[digest.to_string().as_bytes(), b"\n"])
    }

    fn remove_tag(&self, name: &Name, tag: &Tag) -> Result<bool, Error> {
        self.0.remove(&folder(name, TAGS).join(tag.as_str()))
    }

    fn tag_names(&self, name: &Name) -> Result<Option<Vec<String>>, Error> {
        if let Some(names) = self.0.names(&folder(name, TAGS))? {
            return Ok(Some(names));
        }
        for kind in [MANIFESTS, LINKS] {
            if self.0.exists(&folder(name, kind))? {
                return Ok(Some(Vec::new()));
            }
        }
        Ok(None)
    }
}

impl Referring for DiskStore {
    fn referring(&self, name: &Name, subject: &Digest) -> Result<Vec<Descriptor>, Error> {
        let folder = in_folder(name, REFERRERS, subject);
        let mut list = Vec::new();
        for entry in self.0.names(&folder)?.unwrap_or_default() {
            let path = folder.join(&entry);
            // Removed since it was listed: not there.
            let Some(bytes) = self.0.read(&path, FILE_LIMIT)? else { continue };
            let descriptor = json::from_untrusted(&bytes, bytes.len());
            list.push(
                descriptor
                    .map_err(|_| Error::Damaged { path: self.0.full(&path), reason: "it holds no descriptor" })?,
            );
        }
        Ok(list)
    }

    fn add_referring(&self, name: &Name, subject: &Digest, referrer: &Descriptor) -> Result<(), Error> {
        let path = in_folder(name, REFERRERS, subject).join(referrer.digest.as_tag_stem());
        self.0.write(&path, &[&json::to_bytes(referrer)])
    }

    fn remove_referring(&self, name: &Name, subject: &Digest, referrer: &Digest) -> Result<(), Error> {
        self.0.remove(&in_folder(name, REFERRERS, subject).join(referrer.as_tag_stem())).map(drop)
    }
}
