//! A registry client that counts, fails and is meddled with.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};

use async_trait::async_trait;
use bytes::Bytes;
use schleuse_client::Client;
use schleuse_model::{Digest, PinnedRef, Repository, Tag, TagRef};
use schleuse_oci::{Body, BodyStream, Created, Descriptor, Error, Manifest, Pull, Push, Referrers};

/// What one read does instead of asking the registry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    Referrers,
    Manifest,
    Tagged,
    Blob,
}

#[derive(Debug)]
pub(crate) struct Meddler {
    inner: Client,
    /// Reads so far, by name.
    pub(crate) reads: Mutex<Vec<&'static str>>,
    /// The read that fails.
    pub(crate) fault: Option<Fault>,
    /// Digests that the registry has lost.
    pub(crate) lost: Vec<Digest>,
    /// What another writer puts under a tag right after we have written it, so many times.
    pub(crate) rival: Option<Manifest>,
    pub(crate) rival_writes: AtomicU32,
}

impl Meddler {
    pub(crate) fn new(inner: Client) -> Self {
        let (reads, rival_writes) = (Mutex::default(), AtomicU32::new(0));
        Self { inner, reads, fault: None, lost: Vec::new(), rival: None, rival_writes }
    }

    fn read(&self, name: &'static str, fault: Fault) -> Result<(), Error> {
        self.reads.lock().unwrap().push(name);
        if self.fault == Some(fault) {
            return Err(Error::Unavailable { host: "r".into(), what: name.into(), message: "down".into() });
        }
        Ok(())
    }
}

#[async_trait]
impl Pull for Meddler {
    async fn resolve(&self, tag: &TagRef) -> Result<Option<PinnedRef>, Error> {
        self.inner.resolve(tag).await
    }
    async fn manifest(&self, image: &PinnedRef) -> Result<Option<Manifest>, Error> {
        self.read("manifest", Fault::Manifest)?;
        if self.lost.contains(image.digest()) { Ok(None) } else { self.inner.manifest(image).await }
    }
    async fn tagged(&self, tag: &TagRef) -> Result<Option<Manifest>, Error> {
        self.read("tagged", Fault::Tagged)?;
        self.inner.tagged(tag).await
    }
    async fn blob(&self, repository: &Repository, digest: &Digest, limit: usize) -> Result<Option<Bytes>, Error> {
        self.read("blob", Fault::Blob)?;
        if self.lost.contains(digest) { Ok(None) } else { self.inner.blob(repository, digest, limit).await }
    }
    async fn blob_stream(&self, repository: &Repository, blob: &Descriptor) -> Result<Option<BodyStream>, Error> {
        self.inner.blob_stream(repository, blob).await
    }
    async fn tags(&self, repository: &Repository, prefix: &str, limit: usize) -> Result<Vec<Tag>, Error> {
        self.inner.tags(repository, prefix, limit).await
    }
}

#[async_trait]
impl Push for Meddler {
    async fn has_blob(&self, repository: &Repository, digest: &Digest) -> Result<bool, Error> {
        self.inner.has_blob(repository, digest).await
    }
    async fn push_blob(&self, repository: &Repository, blob: &Descriptor, body: Body) -> Result<(), Error> {
        self.inner.push_blob(repository, blob, body).await
    }
    async fn mount_blob(&self, repository: &Repository, digest: &Digest, from: &Repository) -> Result<bool, Error> {
        self.inner.mount_blob(repository, digest, from).await
    }
    async fn push_manifest(&self, repository: &Repository, manifest: &Manifest) -> Result<bool, Error> {
        self.inner.push_manifest(repository, manifest).await
    }
    async fn tag(&self, tag: &TagRef, manifest: &Manifest) -> Result<(), Error> {
        self.inner.tag(tag, manifest).await?;
        let left = self.rival_writes.load(Ordering::SeqCst);
        if let (Some(rival), true) = (&self.rival, left > 0) {
            self.rival_writes.store(left - 1, Ordering::SeqCst);
            self.inner.tag(tag, rival).await?;
        }
        Ok(())
    }
    async fn create_tag(&self, tag: &TagRef, manifest: &Manifest) -> Result<Created, Error> {
        self.inner.create_tag(tag, manifest).await
    }
}

#[async_trait]
impl Referrers for Meddler {
    async fn referrers(&self, subject: &PinnedRef, limit: usize) -> Result<Vec<Descriptor>, Error> {
        self.read("referrers", Fault::Referrers)?;
        self.inner.referrers(subject, limit).await
    }
    async fn attach(&self, subject: &PinnedRef, manifest: &Manifest) -> Result<(), Error> {
        self.inner.attach(subject, manifest).await
    }
}
