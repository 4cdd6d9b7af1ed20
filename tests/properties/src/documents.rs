//! Names and manifests.

use schleuse_image::select;
use schleuse_model::{Digest, Reference, Repository, Tag};
use schleuse_oci::{Manifest, Platform, media_type};

/// A reference that is accepted says the same when it is written and read again, and can be shown in one line.
pub fn reference(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    if let Ok(reference) = text.parse::<Reference>() {
        let shown = reference.to_string();
        assert!(!shown.contains(char::is_control) && !shown.contains(char::is_whitespace), "{shown:?}");
        assert_eq!(shown.parse::<Reference>().expect("what was shown"), reference);
    }
    if let Ok(repository) = text.parse::<Repository>() {
        let shown = repository.to_string();
        assert_eq!(shown.parse::<Repository>().expect("what was shown"), repository);
        // Its path becomes folders of the embedded registry.
        let parts: Vec<_> = repository.path().split('/').collect();
        assert!(parts.iter().all(|part| !matches!(*part, "" | "." | "..") && !part.starts_with('_')), "{shown}");
    }
    if let Ok(tag) = text.parse::<Tag>() {
        assert!(tag.as_str() == text && text.len() <= 128 && !text.contains(['/', ':']), "{text}");
    }
    if let Ok(digest) = text.parse::<Digest>() {
        assert_eq!(digest.to_string(), text);
        assert!(!digest.as_tag_stem().contains(['/', '.']), "{text}");
    }
}

/// A manifest that is read keeps its bytes and digest, and one that is written from it says the same.
pub fn manifest(data: &[u8]) {
    for kind in media_type::MANIFESTS {
        let manifest = Manifest::new(kind, data.to_vec());
        assert_eq!(manifest.digest(), &Digest::sha256(data));
        let Ok(image) = manifest.as_image() else { continue };
        assert!(media_type::is_image(kind), "an image was read from a {kind}");
        assert!(manifest.as_index().is_err(), "an image and an index at once");
        let written = image.to_manifest();
        if kind == media_type::IMAGE_MANIFEST {
            assert_eq!(written.as_image().expect("what was written"), image);
        }
    }
}

/// The same for indexes. What is chosen from one is listed in it, for that platform.
pub fn index(data: &[u8]) {
    for kind in media_type::MANIFESTS {
        let manifest = Manifest::new(kind, data.to_vec());
        let Ok(index) = manifest.as_index() else { continue };
        assert!(media_type::is_index(kind), "an index was read from a {kind}");
        if kind == media_type::IMAGE_INDEX {
            assert_eq!(index.to_manifest().as_index().expect("what was written"), index);
        }
        let platform = Platform { architecture: "amd64".to_owned(), os: "linux".to_owned(), variant: None };
        if let Ok(chosen) = select(&index, &platform) {
            assert!(index.manifests.contains(chosen));
            let platform = chosen.platform.as_ref().expect("a platform");
            assert_eq!((platform.os.as_str(), platform.architecture.as_str()), ("linux", "amd64"));
        }
    }
}
