//! Evidence tags of our own: `<alg>-<hex>.e-<32 hex of the evidence's digest>` (DESIGN §6).

use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use http::StatusCode;
use schleuse_model::{PinnedRef, Tag};
use schleuse_oci::{Descriptor, Error, Manifest, Pull as _, evidence};

use crate::address::Endpoint;
use crate::exchange::{Client, Inner};
use crate::referrers::Found;
use crate::referrers::fallback::Listed;

/// Manifests read at a time.
const CONCURRENT: usize = 8;

impl Client {
    /// Adds what our own tags hold. What the fallback index listed already is not read again: the tag's name tells.
    pub(super) async fn own_tags(&self, subject: &PinnedRef, found: &mut Found) -> Result<(), Error> {
        let prefix = evidence::own_tag_prefix(subject.digest());
        let tags = self.tags(subject.repository(), &prefix, found.limit).await?;
        let missing: Vec<Tag> = tags
            .into_iter()
            .filter(|tag| {
                let start = tag.as_str().strip_prefix(&prefix).unwrap_or("");
                start.is_empty() || !found.descriptors.iter().any(|known| known.digest.hex().starts_with(start))
            })
            .collect();
        let mut reads = stream::iter(missing).map(|tag| self.own_tag(subject, tag)).buffered(CONCURRENT);
        // Each is counted as it comes: all of them together may be more than there is memory for.
        while let Some(descriptor) = reads.try_next().await? {
            descriptor.map_or(Ok(()), |descriptor| found.add(descriptor))?;
        }
        Ok(())
    }

    /// What one tag holds. `None`: it is gone meanwhile, or is not evidence of ours for this subject.
    async fn own_tag(&self, subject: &PinnedRef, tag: Tag) -> Result<Option<Descriptor>, Error> {
        let Some(manifest) = self.tagged(&subject.repository().tag(tag.clone())).await? else { return Ok(None) };
        let listed = Listed::parse(&manifest)?;
        let named = evidence::own_tag(subject.digest(), manifest.digest())? == tag;
        let ours = listed.subject.as_ref().is_some_and(|about| about.digest == *subject.digest());
        Ok((named && ours).then(|| listed.entry(&manifest)))
    }
}

impl Inner {
    /// Writes the manifest under its own tag. Where tags cannot move it may be there already, by an earlier attempt.
    pub(crate) async fn push_own_tag(
        &self,
        endpoint: &Endpoint,
        subject: &PinnedRef,
        manifest: &Manifest,
    ) -> Result<(), Error> {
        let tag = evidence::own_tag(subject.digest(), manifest.digest())?;
        let answer = self.put(endpoint, tag.as_str(), manifest).await?;
        if answer.status == StatusCode::CREATED {
            return crate::upload::same_digest(&answer, manifest.digest());
        }
        if answer.says_exists() {
            let what = format!("{}:{tag}", subject.repository());
            let there = self.manifest_at(subject.repository(), tag.as_str(), &what).await?;
            if there.is_some_and(|(there, _)| there.digest() == manifest.digest()) {
                return Ok(());
            }
        }
        Err(answer.unexpected())
    }
}
