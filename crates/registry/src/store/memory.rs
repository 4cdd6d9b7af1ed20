//! A store in memory, for tests and demonstrations: gone with the process.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use schleuse_model::{Digest, Tag, Timestamp};
use schleuse_oci::Descriptor;

use super::{Blobs, Content, Inventory, Links, Manifests, Pending, Referring, StoredManifest, Tags};
use crate::error::Error;
use crate::route::Name;

#[derive(Debug, Default)]
struct Repository {
    links: BTreeMap<Digest, Timestamp>,
    manifests: BTreeMap<Digest, StoredManifest>,
    tags: BTreeMap<String, Digest>,
    referring: BTreeMap<Digest, BTreeMap<Digest, Descriptor>>,
}

#[derive(Debug, Default)]
struct State {
    blobs: BTreeMap<Digest, Bytes>,
    repositories: BTreeMap<Name, Repository>,
}

/// Everything behind one lock.
#[derive(Debug, Default, Clone)]
pub(crate) struct MemoryStore(Arc<Mutex<State>>);

impl MemoryStore {
    fn state(&self) -> MutexGuard<'_, State> {
        // Every change below is one insert or remove: a panic cannot leave it half done.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn read<T>(&self, name: &Name, f: impl FnOnce(&Repository) -> T) -> Option<T> {
        self.state().repositories.get(name).map(f)
    }

    /// Changes a repository that is there: what is removed from none must not make one.
    fn change<T>(&self, name: &Name, f: impl FnOnce(&mut Repository) -> T) -> Option<T> {
        self.state().repositories.get_mut(name).map(f)
    }

    fn write<T>(&self, name: &Name, f: impl FnOnce(&mut Repository) -> T) -> T {
        f(self.state().repositories.entry(name.clone()).or_default())
    }
}

impl Content for Bytes {
    fn len(&self) -> u64 {
        Self::len(self) as u64
    }

    fn read_at(&self, offset: u64, wanted: usize) -> io::Result<Bytes> {
        let length = Self::len(self);
        let start = usize::try_from(offset).unwrap_or(length).min(length);
        Ok(self.slice(start..start.saturating_add(wanted).min(length)))
    }
}

#[derive(Debug)]
struct PendingBytes {
    store: MemoryStore,
    bytes: Vec<u8>,
}

impl Pending for PendingBytes {
    fn append(&mut self, piece: &[u8]) -> Result<(), Error> {
        self.bytes.extend_from_slice(piece);
        Ok(())
    }

    fn content(&self) -> Result<Arc<dyn Content>, Error> {
        Ok(Arc::new(Bytes::copy_from_slice(&self.bytes)))
    }

    fn commit(self: Box<Self>, digest: &Digest) -> Result<(), Error> {
        self.store.state().blobs.insert(digest.clone(), self.bytes.into());
        Ok(())
    }
}

impl Blobs for MemoryStore {
    fn begin(&self, _: &str) -> Result<Box<dyn Pending>, Error> {
        Ok(Box::new(PendingBytes { store: self.clone(), bytes: Vec::new() }))
    }

    fn blob(&self, digest: &Digest) -> Result<Option<Arc<dyn Content>>, Error> {
        Ok(self.state().blobs.get(digest).cloned().map(|bytes| Arc::new(bytes) as Arc<dyn Content>))
    }

    fn settle_blob(&self, digest: &Digest) -> Result<bool, Error> {
        Ok(self.state().blobs.contains_key(digest))
    }
}

impl Links for MemoryStore {
    fn linked(&self, name: &Name, digest: &Digest) -> Result<Option<Timestamp>, Error> {
        Ok(self.read(name, |r| r.links.get(digest).copied()).flatten())
    }

    fn link(&self, name: &Name, digest: &Digest, now: Timestamp) -> Result<(), Error> {
        self.write(name, |r| r.links.insert(digest.clone(), now));
        Ok(())
    }

    fn date_link(&self, name: &Name, digest: &Digest, now: Timestamp) -> Result<(), Error> {
        self.change(name, |r| {
            if let Some(date) = r.links.get_mut(digest) {
                *date = now;
            }
        });
        Ok(())
    }

    fn unlink(&self, name: &Name, digests: &[Digest]) -> Result<usize, Error> {
        let remove = |r: &mut Repository| digests.iter().filter(|digest| r.links.remove(digest).is_some()).count();
        Ok(self.change(name, remove).unwrap_or(0))
    }
}

impl Inventory for MemoryStore {
    fn repositories(&self) -> Result<Vec<Name>, Error> {
        Ok(self.state().repositories.keys().cloned().collect())
    }

    fn links(&self, name: &Name) -> Result<Vec<Digest>, Error> {
        Ok(self.read(name, |r| r.links.keys().cloned().collect()).unwrap_or_default())
    }

    fn manifests(&self, name: &Name) -> Result<Vec<Digest>, Error> {
        Ok(self.read(name, |r| r.manifests.keys().cloned().collect()).unwrap_or_default())
    }

    fn blobs(&self) -> Result<Vec<Digest>, Error> {
        Ok(self.state().blobs.keys().cloned().collect())
    }

    fn remove_blob(&self, digest: &Digest) -> Result<(), Error> {
        self.state().blobs.remove(digest);
        Ok(())
    }

    fn swept(&self) -> usize {
        0
    }
}

impl Manifests for MemoryStore {
    fn manifest(&self, name: &Name, digest: &Digest) -> Result<Option<StoredManifest>, Error> {
        Ok(self.read(name, |r| r.manifests.get(digest).cloned()).flatten())
    }

    fn has_manifest(&self, name: &Name, digest: &Digest) -> Result<bool, Error> {
        Ok(self.read(name, |r| r.manifests.contains_key(digest)).unwrap_or(false))
    }

    fn write_manifest(&self, name: &Name, digest: &Digest, manifest: &StoredManifest) -> Result<(), Error> {
        self.write(name, |r| r.manifests.insert(digest.clone(), manifest.clone()));
        Ok(())
    }

    fn settle(&self, _: &Name) -> Result<(), Error> {
        Ok(())
    }

    fn remove_manifest(&self, name: &Name, digest: &Digest) -> Result<bool, Error> {
        Ok(self.change(name, |r| r.manifests.remove(digest)).flatten().is_some())
    }
}

impl Tags for MemoryStore {
    fn target(&self, name: &Name, tag: &Tag) -> Result<Option<Digest>, Error> {
        Ok(self.read(name, |r| r.tags.get(tag.as_str()).cloned()).flatten())
    }

    fn point(&self, name: &Name, tag: &Tag, digest: &Digest) -> Result<(), Error> {
        self.write(name, |r| r.tags.insert(tag.as_str().to_owned(), digest.clone()));
        Ok(())
    }

    fn remove_tag(&self, name: &Name, tag: &Tag) -> Result<bool, Error> {
        Ok(self.change(name, |r| r.tags.remove(tag.as_str())).flatten().is_some())
    }

    fn tag_names(&self, name: &Name) -> Result<Option<Vec<String>>, Error> {
        Ok(self.read(name, |r| r.tags.keys().cloned().collect()))
    }
}

impl Referring for MemoryStore {
    fn referring(
        &self,
        name: &Name,
        subject: &Digest,
        after: Option<&Digest>,
        take: &mut dyn FnMut(Descriptor) -> bool,
    ) -> Result<(), Error> {
        self.read(name, |r| {
            let list = r.referring.get(subject).into_iter().flatten();
            let _ =
                list.filter(|(digest, _)| after.is_none_or(|after| *digest > after)).all(|(_, one)| take(one.clone()));
        });
        Ok(())
    }

    fn add_referring(&self, name: &Name, subject: &Digest, referrer: &Descriptor) -> Result<(), Error> {
        self.write(name, |r| {
            r.referring.entry(subject.clone()).or_default().insert(referrer.digest.clone(), referrer.clone())
        });
        Ok(())
    }

    fn remove_referring(&self, name: &Name, subject: &Digest, referrer: &Digest) -> Result<(), Error> {
        self.change(name, |r| r.referring.get_mut(subject).and_then(|list| list.remove(referrer)));
        Ok(())
    }
}
