//! Removing what may go.

use std::collections::BTreeSet;

use schleuse_journal::Journal;
use schleuse_model::{Digest, PinnedRef, Repository, Tag};
use schleuse_oci::evidence::{fallback_tag, keep_tag};
use schleuse_oci::{Delete, Descriptor, Error as OciError, Pull, Referrers, media_type};

use super::Found;
use crate::error::Error;
use crate::retention::contents::about;
use crate::retention::{Item, Named, Part, pinned};

/// What lies under cosign's legacy tags.
const LEGACY: [&str; 2] = [media_type::SIMPLE_SIGNING, media_type::DSSE_ENVELOPE];

/// What a removal needs.
#[derive(Clone, Copy, Debug)]
pub struct Remover<'a> {
    /// Reads the registry.
    pub pull: &'a dyn Pull,
    /// Lists evidence.
    pub referrers: &'a dyn Referrers,
    /// Removes.
    pub delete: &'a dyn Delete,
    /// The image's repository.
    pub repository: &'a Repository,
    /// Every environment's journal.
    pub journals: &'a [Journal],
    /// What must not be touched whatever it belongs to: what stays, and what that lists.
    pub stay: &'a BTreeSet<Digest>,
}

/// What became of one image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Removed {
    /// It is gone, with so many manifests in all.
    Gone {
        /// The image, what its index alone lists, and evidence.
        manifests: usize,
    },
    /// It was named or pinned since it was looked at, and stays.
    Needed,
}

impl Remover<'_> {
    /// Removes `found`, what only it lists, and what is said about both. The index first, so that nothing that can be pulled names
    /// what is not there.
    ///
    /// A promotion pins before it commits, and looks after its pins again after that: so whoever looks for a pin first and for the
    /// journal's word then, as here, does not take a release from under it.
    ///
    /// # Errors
    /// No answer, or the registry does not remove manifests. What was removed before that is gone.
    pub async fn remove(&self, found: &Found) -> Result<Removed, Error> {
        let mut images = vec![found.digest.clone()];
        images.extend(found.children.iter().filter(|child| !self.stay.contains(*child)).cloned());
        // Listed before anything goes: evidence cannot be found any more once its tags are gone.
        let mut said = Vec::new();
        for digest in &images {
            let image = self.repository.pin(digest.clone());
            for item in about(self.pull, self.referrers, &image).await? {
                if !self.stay.contains(&item.digest) && self.is_about(&item, &images).await? {
                    said.push(item.digest);
                }
            }
            said.extend(self.fallback_index(&image).await?);
        }
        // Last, so that little time lies between this and the removal.
        let pins = pinned(self.pull, self.repository).await?;
        if self.is_needed(found, &pins).await? {
            return Ok(Removed::Needed);
        }
        let mut loose = Vec::new();
        for digest in said {
            if !pins.contains(&keep_tag(&digest).map_err(OciError::from)?) {
                loose.push(digest);
            }
        }
        let mut manifests = 0;
        let mut seen = BTreeSet::new();
        for digest in images.into_iter().chain(loose) {
            if seen.insert(digest.clone()) && !self.stay.contains(&digest) {
                manifests += usize::from(self.delete.delete_manifest(&self.repository.pin(digest)).await?);
            }
        }
        Ok(Removed::Gone { manifests })
    }

    /// Whether what is listed as evidence of one of `images` says so itself: tags and fallback indexes are written by whoever may
    /// push, and can name anything.
    async fn is_about(&self, item: &Item, images: &[Digest]) -> Result<bool, Error> {
        let Some(manifest) = self.pull.manifest(&self.repository.pin(item.digest.clone())).await? else {
            return Ok(false);
        };
        let (subject, layers) = if media_type::is_index(manifest.media_type()) {
            let Ok(index) = manifest.as_index() else { return Ok(false) };
            (index.subject, Vec::new())
        } else {
            let Ok(image) = manifest.as_image() else { return Ok(false) };
            (image.subject, image.layers)
        };
        Ok(match subject {
            Some(subject) => images.contains(&subject.digest),
            // cosign's do not say; what they are made of does.
            None => {
                let legacy = |layer: &Descriptor| LEGACY.contains(&layer.media_type.as_str());
                matches!(item.part, Part::Legacy(_)) && !layers.is_empty() && layers.iter().all(legacy)
            }
        })
    }

    async fn is_needed(&self, found: &Found, pins: &BTreeSet<Tag>) -> Result<bool, Error> {
        let own = std::iter::once(&found.digest).chain(&found.children);
        for digest in own {
            if pins.contains(&keep_tag(digest).map_err(OciError::from)?) {
                return Ok(true);
            }
        }
        let mut named = Named::default();
        for journal in self.journals {
            if let Some(head) = journal.head().await? {
                named.add(journal.environment().as_str(), &head);
            }
        }
        Ok(std::iter::once(&found.digest).chain(&found.children).any(|digest| named.releases.contains_key(digest)))
    }

    /// The manifest under the referrers tag schema's tag, on registries without the API.
    async fn fallback_index(&self, image: &PinnedRef) -> Result<Option<Digest>, Error> {
        let tag = image.repository().tag(fallback_tag(image.digest()).map_err(OciError::from)?);
        Ok(self.pull.tagged(&tag).await?.map(|manifest| manifest.digest().clone()))
    }
}
