//! What is said about an image, from one repository to another.

use schleuse_model::{Digest, Tag};
use schleuse_oci::evidence::legacy_tag;
use schleuse_oci::{Error, Manifest, Pull, Referrers, media_type};

use super::{CopyError, Route, blobs, children, copy_all, fetch, malformed, push_manifest};

/// The most referrers of one image that are copied.
const MAX_REFERRERS: usize = 1000;
/// cosign's legacy tags.
const LEGACY: [&str; 3] = ["sig", "att", "sbom"];

/// The destination as one that holds evidence.
#[derive(Clone, Copy, Debug)]
pub struct Holder<'a> {
    /// Reads what is there.
    pub pull: &'a dyn Pull,
    /// Attaches.
    pub referrers: &'a dyn Referrers,
}

/// What became of the evidence.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CopiedEvidence {
    /// Referrers that are at the destination now.
    pub referrers: usize,
    /// Legacy tags that are.
    pub legacy: usize,
    /// Legacy tags that the destination has with other content. They were left alone: replacing one would erase what it holds.
    pub left_alone: Vec<Tag>,
}

/// Copies what the source has about `image`, and where that is an index about each of its children: referrers, however they are
/// found, and cosign's legacy tags. The image itself is at the destination already.
///
/// # Errors
/// [`CopyError`]. A registry that does not say what it has is an error, never "nothing".
pub async fn copy_evidence(
    route: Route<'_>,
    image: &Manifest,
    from: &dyn Referrers,
    to: Holder<'_>,
) -> Result<CopiedEvidence, CopyError> {
    let mut subjects = vec![image.digest().clone()];
    if media_type::is_index(image.media_type()) {
        subjects.extend(children(route, image).await?.iter().map(|child| child.digest().clone()));
    }
    let mut copied = CopiedEvidence::default();
    for subject in subjects {
        let (here, there) = (route.from_repository.pin(subject.clone()), route.to_repository.pin(subject.clone()));
        for one in from.referrers(&here, MAX_REFERRERS).await? {
            // Before its blobs: a list that lies would have us move whatever it names.
            let manifest = fetch(route, &one.digest).await?;
            if refers_to(&manifest, &subject)? {
                with_content(route, &manifest).await?;
                to.referrers.attach(&there, &manifest).await?;
                copied.referrers += 1;
            }
        }
        for suffix in LEGACY {
            let tag = legacy_tag(&subject, suffix).map_err(Error::from)?;
            legacy(route, to.pull, tag, &mut copied).await?;
        }
    }
    Ok(copied)
}

/// Lists are untrusted: attached is only what says itself that it is about the subject.
fn refers_to(manifest: &Manifest, subject: &Digest) -> Result<bool, CopyError> {
    if media_type::is_index(manifest.media_type()) {
        let index = manifest.as_index().map_err(|source| malformed(manifest, source))?;
        return Ok(index.subject.is_some_and(|named| named.digest == *subject));
    }
    let parsed = manifest.as_image().map_err(|source| malformed(manifest, source))?;
    Ok(parsed.subject.is_some_and(|named| named.digest == *subject))
}

/// Brings what `manifest` consists of: evidence may be an index, too.
async fn with_content(route: Route<'_>, manifest: &Manifest) -> Result<(), CopyError> {
    if !media_type::is_index(manifest.media_type()) {
        return copy_all(route, blobs(std::slice::from_ref(manifest))?).await;
    }
    let listed = children(route, manifest).await?;
    copy_all(route, blobs(&listed)?).await?;
    for child in &listed {
        push_manifest(route, child).await?;
    }
    Ok(())
}

async fn legacy(route: Route<'_>, to: &dyn Pull, tag: Tag, copied: &mut CopiedEvidence) -> Result<(), CopyError> {
    let Some(found) = route.from.resolve(&route.from_repository.tag(tag.clone())).await? else { return Ok(()) };
    let there = route.to_repository.tag(tag.clone());
    match to.resolve(&there).await? {
        Some(existing) if existing.digest() == found.digest() => copied.legacy += 1,
        Some(_) => copied.left_alone.push(tag),
        None => {
            let manifest = fetch(route, found.digest()).await?;
            with_content(route, &manifest).await?;
            route.to.tag(&there, &manifest).await?;
            copied.legacy += 1;
        }
    }
    Ok(())
}
