//! How evidence, and what must be kept, is named beside its image (DESIGN §6). Pure: the `client` reads and writes by these names.

use schleuse_model::{Digest, ReferenceError, Tag};

/// The fallback index's tag for `subject` (distribution-spec 1.1, "Referrers Tag Schema").
///
/// # Errors
/// Never for a valid digest: the result has at most 71 characters (SHA-512 is cut by the schema's own rule).
pub fn fallback_tag(subject: &Digest) -> Result<Tag, ReferenceError> {
    clipped_stem(subject).parse()
}

/// Our own tag for one evidence manifest of `subject`: `<alg>-<hex>.e-<32 hex of the manifest's digest>`. No writer can erase
/// another's, and a cleanup of untagged versions does not eat evidence.
///
/// # Errors
/// As [`fallback_tag`].
pub fn own_tag(subject: &Digest, manifest: &Digest) -> Result<Tag, ReferenceError> {
    format!("{}{}", own_tag_prefix(subject), &manifest.hex()[..32]).parse()
}

/// What [`own_tag`]s of `subject` start with.
pub fn own_tag_prefix(subject: &Digest) -> String {
    format!("{}.e-", clipped_stem(subject))
}

/// The suffix of cosign's legacy tag for signatures.
pub const SIGNATURES: &str = "sig";
/// The suffix of cosign's legacy tag for attestations.
pub const ATTESTATIONS: &str = "att";

/// cosign's legacy tag ([`SIGNATURES`] or [`ATTESTATIONS`]) for `subject`.
///
/// # Errors
/// As [`fallback_tag`].
pub fn legacy_tag(subject: &Digest, suffix: &str) -> Result<Tag, ReferenceError> {
    format!("{}.{suffix}", subject.as_tag_stem()).parse()
}

/// What the tags start with that keep a registry's cleanup away: those who write a cleanup rule except this prefix from it.
pub const KEEP_PREFIX: &str = "keep-";

/// The tag that pins `manifest`: `keep-<alg>-<hex>`. Its name says what it points at, so writers cannot disagree about it, and the
/// same manifest pinned for two reasons is pinned once.
///
/// # Errors
/// As [`fallback_tag`].
pub fn keep_tag(manifest: &Digest) -> Result<Tag, ReferenceError> {
    format!("{KEEP_PREFIX}{}", clipped_stem(manifest)).parse()
}

/// `<alg>-<ref>` with the schema's truncation: the encoded part at most 64 characters.
fn clipped_stem(digest: &Digest) -> String {
    format!("{}-{}", digest.algorithm().name(), &digest.hex()[..64])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        let subject = Digest::sha256(b"");
        let stem = "sha256-e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        assert_eq!(fallback_tag(&subject).unwrap().as_str(), stem);
        assert_eq!(own_tag(&subject, &subject).unwrap().as_str(), format!("{stem}.e-e3b0c44298fc1c149afbf4c8996fb924"));
        assert_eq!(keep_tag(&subject).unwrap().as_str(), format!("keep-{stem}"));
        assert_eq!(legacy_tag(&subject, "sig").unwrap().as_str(), format!("{stem}.sig"));
    }
}
