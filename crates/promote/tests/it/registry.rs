//! A registry in memory: content-addressed, create-once tags honoured, and every write to an environment's tag remembered.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use bytes::Bytes;
use schleuse_model::{Clock, Digest, PinnedRef, Repository, Tag, TagRef};
use schleuse_oci::access::RegistryTime;
use schleuse_oci::evidence::KEEP_PREFIX;
use schleuse_oci::{Body, BodyStream, Created, Delete, Descriptor, Error, Manifest, Pull, Push, Referrers, stream_of};

use crate::clock::ManualClock;
use crate::gate::Gate;

/// What it holds. Keys are names as text.
#[derive(Clone, Debug, Default)]
pub(crate) struct Content {
    blobs: BTreeMap<(String, Digest), Bytes>,
    manifests: BTreeMap<(String, Digest), Manifest>,
    tags: BTreeMap<(String, String), Digest>,
    referrers: BTreeMap<(String, Digest), Vec<Descriptor>>,
    /// Every write of a tag, oldest first.
    pub(crate) written: Vec<TagWrite>,
}

/// A tag was written.
#[derive(Clone, Debug)]
pub(crate) struct TagWrite {
    pub(crate) tag: String,
    pub(crate) digest: Digest,
    /// How many entries the journal of the environment with that name had.
    pub(crate) entries: usize,
}

#[derive(Debug)]
pub(crate) struct FakeRegistry {
    content: Mutex<Content>,
    down: AtomicBool,
    /// As registries did before the specification: a tag's deletion takes its manifest.
    takes_manifests: AtomicBool,
    /// Whoever asks for pins waits for an answer.
    hangs_at_pins: AtomicBool,
}

impl FakeRegistry {
    pub(crate) fn new(content: Content) -> Self {
        let no = || AtomicBool::new(false);
        Self { content: Mutex::new(content), down: no(), takes_manifests: no(), hangs_at_pins: no() }
    }

    pub(crate) fn content(&self) -> Content {
        self.content.lock().unwrap().clone()
    }

    pub(crate) fn set_down(&self, down: bool) {
        self.down.store(down, Ordering::Relaxed);
    }

    pub(crate) fn take_manifests_with_tags(&self) {
        self.takes_manifests.store(true, Ordering::Relaxed);
    }

    pub(crate) fn hang_at_pins(&self) {
        self.hangs_at_pins.store(true, Ordering::Relaxed);
    }

    /// Lists `referrer` of `image` behind all others.
    pub(crate) fn list_last(&self, image: &PinnedRef, referrer: &Digest) {
        let key = (image.repository().to_string(), image.digest().clone());
        let mut content = self.content.lock().unwrap();
        content.referrers.get_mut(&key).unwrap().sort_by_key(|one| one.digest == *referrer);
    }

    /// Where a tag points, for a test to look.
    pub(crate) fn points_to(&self, tag: &TagRef) -> Option<Digest> {
        self.content.lock().unwrap().tags.get(&key(tag)).cloned()
    }

    /// Moves a tag without asking anybody: what no run of ours may do.
    pub(crate) fn move_tag(&self, tag: &TagRef, digest: &Digest) {
        self.content.lock().unwrap().write(tag, digest);
    }

    /// Forgets that tags with this prefix were ever written.
    pub(crate) fn forget_writes(&self, prefix: &str) {
        self.content.lock().unwrap().written.retain(|write| !write.tag.starts_with(prefix));
    }

    fn with<T>(&self, what: &str, act: impl FnOnce(&mut Content) -> T) -> Result<T, Error> {
        if self.down.load(Ordering::Relaxed) {
            let message = "connection refused".to_owned();
            return Err(Error::Unavailable { host: "registry.test".to_owned(), what: what.to_owned(), message });
        }
        Ok(act(&mut self.content.lock().unwrap()))
    }
}

impl Content {
    fn write(&mut self, tag: &TagRef, digest: &Digest) {
        let prefix = format!("j-{}-", tag.tag().as_str());
        let entries = self.tags.keys().filter(|(_, name)| name.starts_with(&prefix)).count();
        self.tags.insert(key(tag), digest.clone());
        self.written.push(TagWrite { tag: tag.tag().as_str().to_owned(), digest: digest.clone(), entries });
    }

    fn delete(&mut self, repository: &str, digest: &Digest) -> bool {
        self.tags.retain(|(of, _), target| of != repository || target != digest);
        for list in self.referrers.values_mut() {
            list.retain(|one| one.digest != *digest);
        }
        self.manifests.remove(&(repository.to_owned(), digest.clone())).is_some()
    }

    fn store(&mut self, repository: &Repository, manifest: &Manifest) {
        let digest = manifest.digest().clone();
        let subject = manifest.as_image().ok().and_then(|image| Some((image.subject.clone()?, image)));
        let fresh = self.manifests.insert((repository.to_string(), digest), manifest.clone()).is_none();
        if let Some((subject, image)) = subject.filter(|_| fresh) {
            let mut descriptor = manifest.descriptor();
            descriptor.artifact_type = image.artifact_type;
            descriptor.annotations = image.annotations;
            self.referrers.entry((repository.to_string(), subject.digest)).or_default().push(descriptor);
        }
    }
}

fn key(tag: &TagRef) -> (String, String) {
    (tag.repository().to_string(), tag.tag().as_str().to_owned())
}

/// One run's connection.
#[derive(Clone, Debug)]
pub(crate) struct Wire {
    pub(crate) registry: Arc<FakeRegistry>,
    pub(crate) gate: Arc<Gate>,
    pub(crate) clock: Arc<ManualClock>,
}

impl Wire {
    /// One request: the run may die before it is sent, and before its answer arrives.
    async fn ask<T>(&self, what: &str, act: impl FnOnce(&mut Content) -> T + Send) -> Result<T, Error> {
        let _turn = self.gate.turn().await;
        self.gate.pass().await;
        let answer = self.registry.with(what, act);
        self.gate.after().await;
        answer
    }
}

#[async_trait]
impl Pull for Wire {
    async fn resolve(&self, tag: &TagRef) -> Result<Option<PinnedRef>, Error> {
        let digest = self.ask("a tag", |content| content.tags.get(&key(tag)).cloned()).await?;
        Ok(digest.map(|digest| tag.repository().pin(digest)))
    }

    async fn manifest(&self, image: &PinnedRef) -> Result<Option<Manifest>, Error> {
        let key = (image.repository().to_string(), image.digest().clone());
        self.ask("a manifest", |content| content.manifests.get(&key).cloned()).await
    }

    async fn tagged(&self, tag: &TagRef) -> Result<Option<Manifest>, Error> {
        self.ask("a tag's manifest", |content| {
            let digest = content.tags.get(&key(tag))?;
            content.manifests.get(&(tag.repository().to_string(), digest.clone())).cloned()
        })
        .await
    }

    async fn blob(&self, repository: &Repository, digest: &Digest, limit: usize) -> Result<Option<Bytes>, Error> {
        let key = (repository.to_string(), digest.clone());
        let bytes = self.ask("a blob", |content| content.blobs.get(&key).cloned()).await?;
        match bytes {
            Some(bytes) if bytes.len() > limit => {
                Err(Error::TooLarge { what: digest.to_string(), limit: u64::try_from(limit).unwrap() })
            }
            other => Ok(other),
        }
    }

    async fn blob_stream(&self, repository: &Repository, blob: &Descriptor) -> Result<Option<BodyStream>, Error> {
        let limit = usize::try_from(blob.size).unwrap();
        Ok(self.blob(repository, &blob.digest, limit).await?.map(|bytes| stream_of(bytes, blob)))
    }

    async fn tags(&self, repository: &Repository, prefix: &str, _: usize) -> Result<Vec<Tag>, Error> {
        if prefix == KEEP_PREFIX && self.registry.hangs_at_pins.load(Ordering::Relaxed) {
            std::future::pending::<()>().await;
        }
        let repository = repository.to_string();
        self.ask("tags", |content| {
            let names = content.tags.keys().filter(|(of, name)| *of == repository && name.starts_with(prefix));
            names.map(|(_, name)| name.parse().unwrap()).collect()
        })
        .await
    }

    fn registry_time(&self) -> Option<RegistryTime> {
        let now = self.clock.now();
        Some(RegistryTime { registry: now, local: now })
    }
}

#[async_trait]
impl Push for Wire {
    async fn has_blob(&self, repository: &Repository, digest: &Digest) -> Result<bool, Error> {
        let key = (repository.to_string(), digest.clone());
        self.ask("a blob", |content| content.blobs.contains_key(&key)).await
    }

    async fn push_blob(&self, repository: &Repository, blob: &Descriptor, body: Body) -> Result<(), Error> {
        let Body::Bytes(bytes) = body else { panic!("only small things here") };
        assert!(blob.digest.matches(&bytes), "pushed under a wrong digest");
        let key = (repository.to_string(), blob.digest.clone());
        self.ask("a blob's upload", |content| content.blobs.insert(key, bytes)).await.map(drop)
    }

    async fn mount_blob(&self, _: &Repository, _: &Digest, _: &Repository) -> Result<bool, Error> {
        Ok(false)
    }

    async fn push_manifest(&self, repository: &Repository, manifest: &Manifest) -> Result<bool, Error> {
        self.ask("a manifest's upload", |content| content.store(repository, manifest)).await?;
        Ok(true)
    }

    async fn tag(&self, tag: &TagRef, manifest: &Manifest) -> Result<(), Error> {
        self.ask("a tag's upload", |content| {
            content.store(tag.repository(), manifest);
            content.write(tag, manifest.digest());
        })
        .await
    }

    async fn create_tag(&self, tag: &TagRef, manifest: &Manifest) -> Result<Created, Error> {
        let create = |content: &mut Content| {
            if content.tags.contains_key(&key(tag)) {
                return Created::Exists;
            }
            content.store(tag.repository(), manifest);
            content.write(tag, manifest.digest());
            Created::Won
        };
        if tag.tag().as_str().starts_with("p-") {
            // The proof races two requests with each other; a run here makes one call at a time.
            return self.registry.with("a tag's creation", create);
        }
        self.ask("a tag's creation", create).await
    }
}

#[async_trait]
impl Delete for Wire {
    async fn delete_manifest(&self, image: &PinnedRef) -> Result<bool, Error> {
        let (repository, digest) = (image.repository().to_string(), image.digest().clone());
        self.ask("a manifest's deletion", |content| content.delete(&repository, &digest)).await
    }

    async fn delete_tag(&self, tag: &TagRef) -> Result<bool, Error> {
        let takes = self.registry.takes_manifests.load(Ordering::Relaxed);
        self.ask("a tag's deletion", |content| match content.tags.remove(&key(tag)) {
            Some(digest) if takes => content.delete(&tag.repository().to_string(), &digest),
            removed => removed.is_some(),
        })
        .await
    }
}

#[async_trait]
impl Referrers for Wire {
    async fn referrers(&self, subject: &PinnedRef, _: usize) -> Result<Vec<Descriptor>, Error> {
        let key = (subject.repository().to_string(), subject.digest().clone());
        self.ask("referrers", |content| content.referrers.get(&key).cloned().unwrap_or_default()).await
    }

    async fn attach(&self, subject: &PinnedRef, manifest: &Manifest) -> Result<(), Error> {
        self.push_manifest(subject.repository(), manifest).await.map(drop)
    }
}
