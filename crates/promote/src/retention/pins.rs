//! Giving manifests the tags that keep them.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::{StreamExt as _, TryStreamExt as _};
use schleuse_model::{Digest, Repository, Tag};
use schleuse_oci::evidence::{KEEP_PREFIX, keep_tag};
use schleuse_oci::{Error as OciError, Manifest, Pull, Push};

use crate::error::Error;

/// The most pins of a repository that are read: of ten environments, two releases each, with hundreds of pieces of evidence.
const PINS: usize = 100_000;
/// How many pins are written at once: as many requests as blobs of a copy.
const AT_ONCE: usize = 4;

/// What became of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pinned {
    /// Newly pinned.
    pub added: Vec<Digest>,
    /// Not there: nothing to pin.
    pub missing: Vec<Digest>,
}

/// The tags of `repository` that pin something, by name. That they point where they say is not looked at.
///
/// # Errors
/// No answer.
pub async fn pinned(pull: &dyn Pull, repository: &Repository) -> Result<BTreeSet<Tag>, Error> {
    Ok(pull.tags(repository, KEEP_PREFIX, PINS).await?.into_iter().collect())
}

/// Pins every one of `wanted` that is not pinned yet. Doing it again changes nothing and costs one request.
///
/// # Errors
/// No answer, or the registry refuses the tag.
pub async fn pin(
    pull: &dyn Pull,
    push: &dyn Push,
    repository: &Repository,
    wanted: &[Digest],
) -> Result<Pinned, Error> {
    if wanted.is_empty() {
        return Ok(Pinned::default());
    }
    let have = pinned(pull, repository).await?;
    pin_beside(pull, push, repository, &have, wanted.iter().map(|digest| (digest, None))).await
}

/// Pins every one of `wanted` that `have` does not pin. Those that were read already are not asked for again.
pub(super) async fn pin_beside(
    pull: &dyn Pull,
    push: &dyn Push,
    repository: &Repository,
    have: &BTreeSet<Tag>,
    wanted: impl Iterator<Item = (&Digest, Option<&Manifest>)>,
) -> Result<Pinned, Error> {
    let mut open = BTreeMap::new();
    for (digest, manifest) in wanted {
        let tag = keep_tag(digest).map_err(OciError::from)?;
        if !have.contains(&tag) {
            open.insert(tag, (digest.clone(), manifest.cloned()));
        }
    }
    let writes: Vec<_> =
        open.into_iter().map(|(tag, (digest, manifest))| one(pull, push, repository, tag, digest, manifest)).collect();
    let written: Vec<_> = futures_util::stream::iter(writes).buffered(AT_ONCE).try_collect().await?;
    let mut done = Pinned::default();
    for (digest, there) in written {
        if there { done.added.push(digest) } else { done.missing.push(digest) }
    }
    Ok(done)
}

async fn one(
    pull: &dyn Pull,
    push: &dyn Push,
    repository: &Repository,
    tag: Tag,
    digest: Digest,
    read: Option<Manifest>,
) -> Result<(Digest, bool), Error> {
    let manifest = match read {
        Some(manifest) => Some(manifest),
        None => pull.manifest(&repository.pin(digest.clone())).await?,
    };
    let Some(manifest) = manifest else { return Ok((digest, false)) };
    let tag = repository.tag(tag);
    match push.tag(&tag, &manifest).await {
        Ok(()) => {}
        // Where tags cannot move, whoever comes second is refused: the other one has done it.
        Err(error @ (OciError::Unexpected { .. } | OciError::Denied { .. })) => {
            if pull.resolve(&tag).await?.is_none_or(|pinned| *pinned.digest() != digest) {
                return Err(error.into());
            }
        }
        Err(error) => return Err(error.into()),
    }
    Ok((digest, true))
}

/// Sets right those pins of `wanted` that point elsewhere. Each is asked for.
///
/// # Errors
/// As [`pin`].
pub async fn set_right(
    pull: &dyn Pull,
    push: &dyn Push,
    repository: &Repository,
    wanted: &[Digest],
) -> Result<Vec<Digest>, Error> {
    let mut moved = Vec::new();
    for digest in wanted {
        let tag = keep_tag(digest).map_err(OciError::from)?;
        let pinned = pull.resolve(&repository.tag(tag.clone())).await?;
        if pinned.is_some_and(|pinned| pinned.digest() != digest)
            && one(pull, push, repository, tag, digest.clone(), None).await?.1
        {
            moved.push(digest.clone());
        }
    }
    Ok(moved)
}
