//! Evidence beside an image: the referrers API, the fallback index, and our own evidence tags (DESIGN §6).
//!
//! # Reading
//! The API is asked first. 200 must be an index; 404 means that this registry has none; anything else is an error. The fallback
//! index is read in both cases (a registry that got the API later does not know what was written before), our own tags only
//! where the API is absent. "None" thus always rests on a 404 that reads like a registry's own, never on a failure.
//!
//! # Writing
//! A registry that answers `OCI-Subject` *and* then lists the manifest needs nothing more (some versions of ECR answer the
//! header without having the API). Everywhere else the manifest gets a tag of its own, which no other writer touches, and then an
//! entry in the fallback index, for other tools. The index is a read-modify-write without a condition: docker-registry lost seven
//! of eight concurrent entries. So it is read again and repaired a few times, and may still lose; the tag does not.

mod fallback;
mod own;

use std::collections::BTreeMap;
use std::sync::PoisonError;

use async_trait::async_trait;
use http::StatusCode;
use schleuse_model::{Digest, PinnedRef, Repository};
use schleuse_oci::{Descriptor, Error, Index, Manifest, Referrers, media_type};

use crate::address::Endpoint;
use crate::exchange::{Client, Inner};
use crate::pull::Pages;

/// How much of what referrers say about themselves is kept for one subject, in bytes: 32 MiB. Real ones say some 300 bytes each; one
/// that fills its manifest has 4 MiB, and there may be thousands of them.
const REMARKS: usize = 32 << 20;

/// How many referrers are looked through for one that was just pushed.
const LOOKED_THROUGH: usize = 20_000;

/// What is known about a repository's registry, so that it is asked once.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Support {
    /// Whether it has the referrers API.
    pub(crate) api: Option<bool>,
    /// Whether it indexes subjects when a manifest is pushed.
    pub(crate) indexes: Option<bool>,
}

/// Referrers by digest, in the order they were found; one that is found twice counts once.
#[derive(Debug)]
struct Found {
    descriptors: Vec<Descriptor>,
    at: BTreeMap<Digest, usize>,
    limit: usize,
    /// What is left of [`REMARKS`].
    left: usize,
    what: String,
}

impl Found {
    fn new(limit: usize, what: String) -> Self {
        Self { descriptors: Vec::new(), at: BTreeMap::new(), limit, left: REMARKS, what }
    }

    fn add(&mut self, descriptor: Descriptor) -> Result<(), Error> {
        if self.at.contains_key(&descriptor.digest) {
            return Ok(());
        }
        if self.descriptors.len() == self.limit {
            return Err(Error::TooLarge { what: self.what.clone(), limit: self.limit as u64 });
        }
        let Some(left) = self.left.checked_sub(remarks(&descriptor)) else {
            let what = format!("what is said about {}", self.what);
            return Err(Error::TooLarge { what, limit: REMARKS as u64 });
        };
        self.left = left;
        self.at.insert(descriptor.digest.clone(), self.descriptors.len());
        self.descriptors.push(descriptor);
        Ok(())
    }
}

/// The bytes of a descriptor that its writer may choose freely.
fn remarks(descriptor: &Descriptor) -> usize {
    let texts = [descriptor.data.as_ref(), descriptor.artifact_type.as_ref()].into_iter().flatten();
    let annotations = descriptor.annotations.iter().flat_map(|(name, value)| [name, value]);
    texts.chain(annotations).map(String::len).sum::<usize>() + descriptor.media_type.len()
}

#[async_trait]
impl Referrers for Client {
    async fn referrers(&self, subject: &PinnedRef, limit: usize) -> Result<Vec<Descriptor>, Error> {
        let inner = &*self.0;
        let endpoint = inner.addresses.endpoint(subject.repository())?;
        let what = format!("the evidence of {subject}");
        let mut found = Found::new(limit, what);
        let api = match inner.support(subject.repository()).api {
            Some(false) => false,
            _ => inner.list(&endpoint, subject, &mut found).await?,
        };
        for descriptor in inner.fallback_index(subject).await?.manifests {
            found.add(descriptor)?;
        }
        if !api {
            self.own_tags(subject, &mut found).await?;
        }
        Ok(found.descriptors)
    }

    async fn attach(&self, subject: &PinnedRef, manifest: &Manifest) -> Result<(), Error> {
        let inner = &*self.0;
        let repository = subject.repository();
        let endpoint = inner.addresses.endpoint(repository)?;
        let known = inner.support(repository);
        // A registry without the API indexes nothing: the tag's own upload is upload enough.
        if known.indexes != Some(false) && known.api != Some(false) {
            let stored = inner.put_manifest(&endpoint, &manifest.digest().to_string(), manifest).await?;
            if stored.indexed && known.indexes == Some(true) {
                return Ok(());
            }
            let listed = stored.indexed && inner.lists(&endpoint, subject, manifest.digest()).await?;
            inner.learn(repository, |support| support.indexes = Some(listed));
            if listed {
                return Ok(());
            }
        }
        inner.push_own_tag(&endpoint, subject, manifest).await?;
        inner.add_to_index(&endpoint, subject, manifest).await
    }
}

impl Inner {
    fn support(&self, repository: &Repository) -> Support {
        let support = self.support.lock().unwrap_or_else(PoisonError::into_inner);
        support.get(repository).copied().unwrap_or_default()
    }

    fn learn(&self, repository: &Repository, change: impl FnOnce(&mut Support)) {
        let mut support = self.support.lock().unwrap_or_else(PoisonError::into_inner);
        change(support.entry(repository.clone()).or_default());
    }

    /// Adds what the referrers API lists. `false`: there is no such API.
    async fn list(&self, endpoint: &Endpoint, subject: &PinnedRef, found: &mut Found) -> Result<bool, Error> {
        let repository = subject.repository();
        let url = endpoint.referrers(subject.digest());
        let mut pages = Pages::new(self, endpoint, url, format!("the referrers of {subject}"));
        while let Some(answer) = pages.next(Some(media_type::IMAGE_INDEX)).await? {
            match answer.status {
                StatusCode::OK => {}
                // Whatever its body: routers without this path answer in many ways. What follows has to be clean.
                StatusCode::NOT_FOUND if pages.read == 1 => {
                    self.learn(repository, |support| support.api = Some(false));
                    return Ok(false);
                }
                _ => return Err(answer.unexpected()),
            }
            if answer.media_type().as_deref() != Some(media_type::IMAGE_INDEX) {
                return Err(answer.unexpected_because("not a list of referrers"));
            }
            let index = parse_index(&Manifest::new(media_type::IMAGE_INDEX, answer.body), &answer.what)?;
            for descriptor in index.manifests {
                found.add(descriptor)?;
            }
        }
        self.learn(repository, |support| support.api = Some(true));
        Ok(true)
    }

    /// Whether the API lists `manifest` as a referrer.
    async fn lists(&self, endpoint: &Endpoint, subject: &PinnedRef, manifest: &Digest) -> Result<bool, Error> {
        let mut found = Found::new(LOOKED_THROUGH, format!("the referrers of {subject}"));
        match self.list(endpoint, subject, &mut found).await {
            Ok(api) => Ok(api && found.at.contains_key(manifest)),
            // Not seen: the fallback is written, which is never wrong.
            Err(Error::TooLarge { .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }
}

fn parse_index(manifest: &Manifest, what: &str) -> Result<Index, Error> {
    manifest.as_index().map_err(|source| Error::Malformed { what: what.to_owned(), source })
}
