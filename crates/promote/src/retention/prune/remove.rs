//! Removing what may go.

use std::collections::BTreeSet;

use schleuse_journal::Journal;
use schleuse_model::{Digest, PinnedRef, Repository};
use schleuse_oci::evidence::{fallback_tag, keep_tag};
use schleuse_oci::{Delete, Error as OciError, Pull, Referrers};

use super::Found;
use crate::error::Error;
use crate::retention::contents::about;
use crate::retention::{Named, pinned};

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
        if self.is_needed(found).await? {
            return Ok(Removed::Needed);
        }
        let mut images = vec![found.digest.clone()];
        images.extend(found.children.iter().filter(|child| !self.stay.contains(*child)).cloned());
        // Listed before anything goes: evidence cannot be found any more once its tags are gone.
        let mut said = Vec::new();
        for digest in &images {
            let image = self.repository.pin(digest.clone());
            said.extend(about(self.pull, self.referrers, &image).await?.into_iter().map(|item| item.digest));
            said.extend(self.fallback_index(&image).await?);
        }
        let mut manifests = 0;
        let mut seen = BTreeSet::new();
        for digest in images.into_iter().chain(said) {
            if seen.insert(digest.clone()) && !self.stay.contains(&digest) {
                manifests += usize::from(self.delete.delete_manifest(&self.repository.pin(digest)).await?);
            }
        }
        Ok(Removed::Gone { manifests })
    }

    async fn is_needed(&self, found: &Found) -> Result<bool, Error> {
        let pins = pinned(self.pull, self.repository).await?;
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
