//! What a run has read, so that it need not ask for it again: manifests by digest, which do not change, and what it was told last
//! about an image.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;
use schleuse_model::{Digest, PinnedRef, Repository, Tag, TagRef};
use schleuse_oci::access::RegistryTime;
use schleuse_oci::{BodyStream, Descriptor, Error, Manifest, Pull, Referrers};

/// How many manifests are kept: a release, the one before, and their evidence. Of at most 4 MiB each, mostly of 1 KiB.
const KEPT: usize = 32;

/// Reads through `inner`, and remembers manifests by digest for as long as one promotion takes. That something was not there is not
/// remembered, nor anything that a tag names.
#[derive(Debug)]
pub(crate) struct Remembering {
    inner: Arc<dyn Pull>,
    seen: Mutex<BTreeMap<PinnedRef, Manifest>>,
}

impl Remembering {
    pub(crate) fn new(inner: Arc<dyn Pull>) -> Self {
        Self { inner, seen: Mutex::default() }
    }
}

/// Asks `inner` each time, since what refers to an image changes, and keeps the newest answers for [`Told`].
#[derive(Debug)]
pub(crate) struct Listening {
    inner: Arc<dyn Referrers>,
    told: Mutex<BTreeMap<PinnedRef, Vec<Descriptor>>>,
}

impl Listening {
    pub(crate) fn new(inner: Arc<dyn Referrers>) -> Self {
        Self { inner, told: Mutex::default() }
    }
}

#[async_trait]
impl Referrers for Listening {
    async fn referrers(&self, subject: &PinnedRef, limit: usize) -> Result<Vec<Descriptor>, Error> {
        let found = self.inner.referrers(subject, limit).await?;
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        if told.len() < KEPT {
            told.insert(subject.clone(), found.clone());
        }
        Ok(found)
    }

    async fn attach(&self, subject: &PinnedRef, manifest: &Manifest) -> Result<(), Error> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner).remove(subject);
        self.inner.attach(subject, manifest).await
    }
}

/// What a run was told last about an image, asked for only where it was not. For pinning: what others attach in the same moment, it
/// may miss as well. Never for deciding.
#[derive(Debug)]
pub(crate) struct Told(pub(crate) Arc<Listening>);

#[async_trait]
impl Referrers for Told {
    async fn referrers(&self, subject: &PinnedRef, limit: usize) -> Result<Vec<Descriptor>, Error> {
        let told = self.0.told.lock().unwrap_or_else(PoisonError::into_inner).get(subject).cloned();
        match told {
            Some(told) => Ok(told),
            None => self.0.referrers(subject, limit).await,
        }
    }

    async fn attach(&self, subject: &PinnedRef, manifest: &Manifest) -> Result<(), Error> {
        self.0.attach(subject, manifest).await
    }
}

#[async_trait]
impl Pull for Remembering {
    async fn resolve(&self, tag: &TagRef) -> Result<Option<PinnedRef>, Error> {
        self.inner.resolve(tag).await
    }

    async fn manifest(&self, image: &PinnedRef) -> Result<Option<Manifest>, Error> {
        if let Some(known) = self.seen.lock().unwrap_or_else(PoisonError::into_inner).get(image) {
            return Ok(Some(known.clone()));
        }
        let found = self.inner.manifest(image).await?;
        if let Some(manifest) = &found {
            let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
            if seen.len() < KEPT {
                seen.insert(image.clone(), manifest.clone());
            }
        }
        Ok(found)
    }

    async fn tagged(&self, tag: &TagRef) -> Result<Option<Manifest>, Error> {
        self.inner.tagged(tag).await
    }

    async fn blob(&self, repository: &Repository, digest: &Digest, limit: usize) -> Result<Option<Bytes>, Error> {
        self.inner.blob(repository, digest, limit).await
    }

    async fn blob_stream(&self, repository: &Repository, blob: &Descriptor) -> Result<Option<BodyStream>, Error> {
        self.inner.blob_stream(repository, blob).await
    }

    fn blob_file(&self, digest: &Digest) -> Option<PathBuf> {
        self.inner.blob_file(digest)
    }

    async fn tags(&self, repository: &Repository, prefix: &str, limit: usize) -> Result<Vec<Tag>, Error> {
        self.inner.tags(repository, prefix, limit).await
    }

    fn registry_time(&self) -> Option<RegistryTime> {
        self.inner.registry_time()
    }
}
