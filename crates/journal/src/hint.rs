//! The hint: where the journal's head was seen last, kept beside the image under the tag `schleuse-<environment>`.
//!
//! It saves requests and witnesses truncation: a head below it means that entries were removed. It moves, so it is best effort:
//! on a registry with immutable tags it stays at its first value and galloping does the rest. It is not signed: whoever can
//! forge it can make us refuse (the head "is" lower than the hint), never make us accept.

use std::collections::BTreeMap;

use schleuse_model::{EnvironmentName, ReferenceError, Repository, TagRef};
use schleuse_oci::{Descriptor, ImageManifest, Manifest, media_type};

const HEAD: &str = "dev.schleuse.journal.head";

/// Where the hint lies.
pub(crate) fn tag(image: &Repository, environment: &EnvironmentName) -> Result<TagRef, ReferenceError> {
    Ok(image.tag(format!("schleuse-{environment}").parse()?))
}

/// The hint for `head`.
pub(crate) fn manifest(head: u64) -> Manifest {
    let mut manifest = ImageManifest::new(Descriptor::empty(), vec![Descriptor::empty()]);
    manifest.artifact_type = Some(media_type::JOURNAL_ENTRY.to_owned());
    manifest.annotations = BTreeMap::from([(HEAD.to_owned(), head.to_string())]);
    manifest.to_manifest()
}

/// Reads a hint. Anything that is not one is no hint.
pub(crate) fn read(manifest: &Manifest) -> Option<u64> {
    manifest.as_image().ok()?.annotations.get(HEAD)?.parse().ok().filter(|head| *head <= crate::gallop::MAX_SEQUENCE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        assert_eq!(read(&manifest(118)), Some(118));
        assert_eq!(read(&Manifest::new(media_type::IMAGE_MANIFEST, &b"<html>"[..])), None);
    }
}
