//! An index of images that were built one by one.

use schleuse_model::{Digest, PinnedRef};
use schleuse_oci::{Descriptor, Index, Manifest, Platform, Pull, media_type};

use crate::copy::{CopyError, MAX_CHILDREN};
use crate::inspect::config;
use crate::select::{images, same, show};

/// A part of an index to be: an image, or an index whose images are taken.
#[derive(Clone, Copy, Debug)]
pub struct Part<'a> {
    /// Where it is.
    pub pull: &'a dyn Pull,
    /// Which.
    pub image: &'a PinnedRef,
}

/// One image of the new index.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// As the index lists it.
    pub listed: Descriptor,
    /// Which of the parts it is from.
    pub part: usize,
}

/// The index of all images of `parts`, and where each is from. The order of the parts does not matter: images are sorted by
/// platform, so that the same images give the same digest. What builders list beside the images of an index (statements) is about
/// that index and stays behind.
///
/// # Errors
/// [`CopyError`]: an image that cannot be read, two for one platform, none at all.
pub async fn assemble(parts: &[Part<'_>]) -> Result<(Manifest, Vec<Member>), CopyError> {
    let mut members: Vec<Member> = Vec::new();
    for (part, Part { pull, image }) in parts.iter().enumerate() {
        for listed in read(*pull, image).await? {
            let platform = listed.platform.as_ref();
            let known = members.iter().find(|known| match (&known.listed.platform, platform) {
                (Some(a), Some(b)) => same(a, b),
                _ => false,
            });
            match known {
                Some(known) if known.listed.digest == listed.digest => {}
                Some(_) => {
                    let platform = platform.map(show).unwrap_or_default();
                    return Err(CopyError::SamePlatform { digest: listed.digest, platform });
                }
                None => members.push(Member { listed, part }),
            }
        }
    }
    if members.is_empty() || members.len() > MAX_CHILDREN {
        let digest = parts.first().map_or_else(|| Digest::sha256(b""), |part| part.image.digest().clone());
        return Err(CopyError::TooMuch { digest, what: "no image, or more images than an index has" });
    }
    members.sort_by_key(|member| member.listed.platform.as_ref().map(show));
    let index = Index::new(members.iter().map(|member| member.listed.clone()).collect());
    Ok((index.to_manifest(), members))
}

async fn read(pull: &dyn Pull, image: &PinnedRef) -> Result<Vec<Descriptor>, CopyError> {
    let missing = || schleuse_oci::Error::Missing { what: format!("manifest {image}") };
    let top = pull.manifest(image).await?.ok_or_else(missing)?;
    let malformed = |source| CopyError::Malformed { digest: top.digest().clone(), source };
    if media_type::is_index(top.media_type()) {
        let index = top.as_index().map_err(malformed)?;
        return Ok(images(&index).map(|(child, platform)| plain(child.clone(), platform.clone())).collect());
    }
    let parsed = top.as_image().map_err(malformed)?;
    let platform = config(pull, image, &parsed).await?.platform();
    Ok(vec![plain(top.descriptor(), platform)])
}

/// Only what the image itself decides: annotations of another index are that index's.
fn plain(image: Descriptor, platform: Platform) -> Descriptor {
    let mut listed = Descriptor::new(&image.media_type, image.digest, image.size);
    listed.platform = Some(platform);
    listed
}
