//! Which child of an index is meant for a platform (image-spec 1.1, "Image Index").

use schleuse_model::{Exit, Explain};
use schleuse_oci::media_type;
use schleuse_oci::{Descriptor, Index, Platform};

/// Docker's marker on children that are not images but statements about one (BuildKit's provenance and SBOM).
const REFERENCE_TYPE: &str = "vnd.docker.reference.type";

/// Why no child was chosen.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SelectError {
    /// The index has no image for that platform.
    #[error("the image has nothing for {wanted}, only for {}", .offered.join(", "))]
    NoneFor {
        /// The platform asked for.
        wanted: String,
        /// What there is, shortened.
        offered: Vec<String>,
    },
    /// The index lists no runnable image at all.
    #[error("the index lists no image with a platform")]
    Empty,
}

impl Explain for SelectError {
    fn exit(&self) -> Exit {
        Exit::Error
    }

    fn hints(&self) -> Vec<String> {
        match self {
            Self::NoneFor { wanted, .. } => {
                vec![format!("build the image for {wanted} as well, or choose another host")]
            }
            Self::Empty => vec!["is this an index of images?".to_owned()],
        }
    }
}

/// The first image of `index` for `platform` (the specification: the first of several matches). A missing variant means the
/// processor's usual one: `v8` for arm64, `v7` for arm, `v1` for amd64. Statements that BuildKit hides among the children
/// (`unknown/unknown`) are never chosen.
///
/// # Errors
/// [`SelectError`], with what the index offers.
pub fn select<'a>(index: &'a Index, platform: &Platform) -> Result<&'a Descriptor, SelectError> {
    let runnable: Vec<_> = images(index).collect();
    if let Some((child, _)) = runnable.iter().find(|(_, offered)| same(offered, platform)) {
        return Ok(child);
    }
    if runnable.is_empty() {
        return Err(SelectError::Empty);
    }
    let offered = runnable.iter().take(20).map(|(_, offered)| show(offered)).collect();
    Err(SelectError::NoneFor { wanted: show(platform), offered })
}

/// The children of `index` that can be run, each with its platform.
pub fn images(index: &Index) -> impl Iterator<Item = (&Descriptor, &Platform)> {
    index.manifests.iter().filter_map(|child| {
        let platform = child.platform.as_ref()?;
        let runnable = media_type::is_image(&child.media_type)
            && !child.annotations.contains_key(REFERENCE_TYPE)
            && platform.os != "unknown";
        runnable.then_some((child, platform))
    })
}

/// `linux/arm64/v8`, fit to be shown: an index is untrusted text.
pub fn show(platform: &Platform) -> String {
    let variant = platform.variant.as_deref().map(|variant| format!("/{variant}")).unwrap_or_default();
    let text = format!("{}/{}{variant}", platform.os, platform.architecture);
    text.chars().filter(|c| !c.is_control()).take(60).collect()
}

/// Whether both name the same machine.
pub(crate) fn same(a: &Platform, b: &Platform) -> bool {
    a.os == b.os && a.architecture == b.architecture && variant(a) == variant(b)
}

fn variant(platform: &Platform) -> &str {
    match (platform.architecture.as_str(), platform.variant.as_deref().unwrap_or("")) {
        ("arm64", "") => "v8",
        ("arm", "") => "v7",
        ("amd64", "") => "v1",
        (_, variant) => variant,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn platform(text: &str) -> Platform {
        let mut parts = text.split('/').map(str::to_owned);
        Platform { os: parts.next().unwrap(), architecture: parts.next().unwrap(), variant: parts.next() }
    }

    fn child(text: &str, number: u8) -> Descriptor {
        let mut child = Descriptor::of(media_type::IMAGE_MANIFEST, &[number]);
        child.platform = Some(platform(text));
        child
    }

    #[test]
    fn the_first_image_for_the_platform() {
        let mut statement = child("linux/arm64", 0);
        statement.annotations.insert(REFERENCE_TYPE.to_owned(), "attestation-manifest".to_owned());
        let index = Index::new(vec![
            statement,
            child("unknown/unknown", 1),
            child("linux/amd64", 2),
            child("linux/arm64/v8", 3),
            child("linux/arm64", 4),
        ]);
        assert_eq!(select(&index, &platform("linux/arm64")).unwrap().digest, child("x/y", 3).digest);
        assert_eq!(select(&index, &platform("linux/amd64/v1")).unwrap().digest, child("x/y", 2).digest);
        let error = select(&index, &platform("linux/arm/v6")).unwrap_err();
        assert_eq!(
            error.to_string(),
            "the image has nothing for linux/arm/v6, only for linux/amd64, linux/arm64/v8, linux/arm64"
        );
    }

    #[test]
    fn statements_alone_are_no_image() {
        let index = Index::new(vec![child("unknown/unknown", 1), Descriptor::of(media_type::IMAGE_MANIFEST, b"")]);
        assert_eq!(select(&index, &platform("unknown/unknown")), Err(SelectError::Empty));
    }
}
