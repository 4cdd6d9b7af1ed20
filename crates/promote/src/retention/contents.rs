//! What a release consists of in the registry: itself, what its index lists, and what is said about each.

use std::collections::BTreeSet;
use std::fmt;

use schleuse_model::{Digest, PinnedRef, Tag};
use schleuse_oci::evidence::{ATTESTATIONS, SIGNATURES, legacy_tag};
use schleuse_oci::{Error as OciError, Manifest, Pull, Referrers, media_type};
use schleuse_sign::fetch::Source;

use crate::error::Error;

/// The most manifests of one release: 256 platforms, each with what builders list beside it.
const CHILDREN: usize = 512;
/// How deep indexes may lie in each other.
const DEPTH: usize = 4;
/// The most pieces of evidence of one image that are listed.
const EVIDENCE: usize = 16_384;

/// What a manifest is to its release.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Part {
    /// The release itself.
    Release,
    /// What its index lists, with the platform where that is said.
    Child(Option<String>),
    /// A referrer, with its type where that is said. Unsigned.
    Evidence(Option<String>),
    /// Evidence under one of cosign's legacy tags.
    Legacy(&'static str),
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Release => f.write_str("release"),
            Self::Child(platform) => write!(f, "image {}", platform.as_deref().unwrap_or("without platform")),
            Self::Evidence(kind) => write!(f, "evidence {}", kind.as_deref().unwrap_or("without type")),
            Self::Legacy(suffix) => write!(f, "evidence .{suffix}"),
        }
    }
}

/// One manifest that a release consists of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    /// Its digest.
    pub digest: Digest,
    /// What it is.
    pub part: Part,
    /// The image it is about, or the release.
    pub of: Digest,
    /// Itself, where it had to be read.
    pub manifest: Option<Manifest>,
}

impl Item {
    const fn new(digest: Digest, part: Part, of: Digest) -> Self {
        Self { digest, part, of, manifest: None }
    }
}

/// Everything that `image` consists of, itself first. What is listed and not there is listed here as well: whether something is
/// missing is for the caller to find out. An image that is not there consists of itself.
///
/// # Errors
/// No answer, or more than a release has.
pub async fn contents(source: Source<'_>, image: &PinnedRef) -> Result<Vec<Item>, Error> {
    contents_beside(source, image, None).await
}

/// The same, where the repository's tags are known: legacy evidence that has no tag is not asked for.
pub(super) async fn contents_beside(
    source: Source<'_>,
    image: &PinnedRef,
    tags: Option<&BTreeSet<Tag>>,
) -> Result<Vec<Item>, Error> {
    let mut found = children(source.pull, image).await?;
    let images: Vec<Digest> = found.iter().map(|item| item.digest.clone()).collect();
    let mut seen: BTreeSet<Digest> = images.iter().cloned().collect();
    for digest in images {
        let said = evidence(source, &image.repository().pin(digest), tags).await?;
        found.extend(said.into_iter().filter(|item| seen.insert(item.digest.clone())));
    }
    Ok(found)
}

/// `image`, and if it is an index what it lists.
async fn children(pull: &dyn Pull, image: &PinnedRef) -> Result<Vec<Item>, Error> {
    let mut found = vec![Item::new(image.digest().clone(), Part::Release, image.digest().clone())];
    let mut open = vec![(image.clone(), 0)];
    while let Some((parent, depth)) = open.pop() {
        let Some(manifest) = pull.manifest(&parent).await? else { continue };
        if let Some(read) = found.iter_mut().find(|known| known.digest == *parent.digest()) {
            read.manifest = Some(manifest.clone());
        }
        if !media_type::is_index(manifest.media_type()) {
            continue;
        }
        let too_much = |limit: usize| OciError::TooLarge { what: format!("the index {parent}"), limit: limit as u64 };
        if depth == DEPTH {
            return Err(too_much(DEPTH).into());
        }
        let index = manifest.as_index().map_err(|source| OciError::Malformed { what: parent.to_string(), source })?;
        for child in index.manifests {
            if found.iter().any(|known| known.digest == child.digest) {
                continue;
            }
            // An index may list what is no manifest; such a thing cannot be tagged.
            if !media_type::MANIFESTS.contains(&child.media_type.as_str()) {
                continue;
            }
            if found.len() > CHILDREN {
                return Err(too_much(CHILDREN).into());
            }
            if media_type::is_index(&child.media_type) {
                open.push((parent.repository().pin(child.digest.clone()), depth + 1));
            }
            let platform = child.platform.map(|platform| platform.to_string());
            found.push(Item::new(child.digest, Part::Child(platform), image.digest().clone()));
        }
    }
    Ok(found)
}

async fn evidence(source: Source<'_>, image: &PinnedRef, tags: Option<&BTreeSet<Tag>>) -> Result<Vec<Item>, Error> {
    let mut found = Vec::new();
    for referrer in source.referrers.referrers(image, EVIDENCE).await? {
        let kind = referrer.artifact_type;
        found.push(Item::new(referrer.digest, Part::Evidence(kind), image.digest().clone()));
    }
    for suffix in [SIGNATURES, ATTESTATIONS] {
        let tag = legacy_tag(image.digest(), suffix).map_err(OciError::from)?;
        if tags.is_some_and(|tags| !tags.contains(&tag)) {
            continue;
        }
        if let Some(manifest) = source.pull.tagged(&image.repository().tag(tag)).await? {
            let item = Item::new(manifest.digest().clone(), Part::Legacy(suffix), image.digest().clone());
            found.push(Item { manifest: Some(manifest), ..item });
        }
    }
    Ok(found)
}

/// Evidence of `image` alone, for those who look at one image after the other.
pub(super) async fn about(pull: &dyn Pull, referrers: &dyn Referrers, image: &PinnedRef) -> Result<Vec<Item>, Error> {
    evidence(Source { pull, referrers }, image, None).await
}
