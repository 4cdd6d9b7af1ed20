//! From what a person wrote to the one image that is meant.

use schleuse_model::{Exit, Explain, PinnedRef, Reference, TagRef};
use schleuse_oci::Pull;

use crate::failure::Failure;

/// The registry was read, and there is no such tag.
#[derive(Debug, thiserror::Error)]
#[error("{0} is not in the registry")]
pub(crate) struct NoSuchTag(TagRef);

impl Explain for NoSuchTag {
    fn exit(&self) -> Exit {
        Exit::Error
    }

    fn hints(&self) -> Vec<String> {
        vec!["was it built and pushed? `schleuse build` prints the image's digest".to_owned()]
    }
}

/// Resolves a tag once; from here on only the digest counts.
pub(crate) async fn pinned(pull: &dyn Pull, reference: &Reference) -> Result<PinnedRef, Failure> {
    match reference {
        Reference::Pinned(pinned) => Ok(pinned.clone()),
        Reference::Tagged(tag) => Ok(pull.resolve(tag).await?.ok_or_else(|| NoSuchTag(tag.clone()))?),
    }
}
