//! References, places, manifests and indexes.

use proptest::prelude::*;
use proptest::sample::Index as At;
use schleuse_image::{BuildManifest, Place, select};
use schleuse_model::{Digest, Reference};
use schleuse_oci::{Descriptor, ImageConfig, ImageManifest, Index, Manifest, Platform, media_type};

use crate::cases;
use crate::support::linux;

/// Texts near references: their own characters, in odd places.
fn almost_reference() -> impl Strategy<Value = String> {
    let part = prop::sample::select(vec![
        "a",
        "B",
        "0",
        ".",
        "_",
        "__",
        "-",
        "/",
        ":",
        "@",
        "sha256:",
        "docker.io",
        "localhost",
        "[::1]",
        ":5000",
        "latest",
        "oci:",
        "docker://",
        "oci-archive:",
        "é",
        "\0",
        " ",
        "..",
        "//",
        "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    ]);
    prop_oneof![prop::collection::vec(part, 0..10).prop_map(|parts| parts.concat()), any::<String>()]
}

fn reference() -> impl Strategy<Value = String> {
    let host = prop::sample::select(vec!["", "ghcr.io/", "localhost:5000/", "[::1]:5000/", "a.b-c.example/"]);
    let path = "[a-z0-9]{1,8}(/[a-z0-9]{1,5}(__|-|[.])[a-z0-9]{1,5}){0,3}";
    let tail = prop_oneof![
        Just(String::new()),
        "[A-Za-z0-9_][A-Za-z0-9._-]{0,20}".prop_map(|tag| format!(":{tag}")),
        "[0-9a-f]{64}".prop_map(|hex| format!("@sha256:{hex}")),
    ];
    (host, path, tail).prop_map(|(host, path, tail)| format!("{host}{path}{tail}"))
}

fn descriptor() -> impl Strategy<Value = Descriptor> {
    let kind =
        prop::sample::select(vec![media_type::LAYER_GZIP, media_type::IMAGE_MANIFEST, media_type::IMAGE_INDEX, "x/y"]);
    let platform = prop::option::of(prop::sample::select(vec!["amd64", "arm64", "arm", "unknown"]));
    (kind, any::<u8>(), any::<u64>(), platform).prop_map(|(kind, content, size, platform)| {
        let mut one = Descriptor::new(kind, Digest::sha256(&[content]), size);
        one.platform = platform.map(|architecture| Platform { architecture: architecture.to_owned(), ..linux() });
        one
    })
}

fn damaged(mut bytes: Vec<u8>, damage: &[(At, u8)], cut: Option<At>) -> Vec<u8> {
    for (at, to) in damage {
        let at = at.index(bytes.len());
        bytes[at] = *to;
    }
    if let Some(cut) = cut {
        bytes.truncate(cut.index(bytes.len()));
    }
    bytes
}

/// Everything that reads documents of others.
fn read_all(bytes: &[u8]) {
    for kind in media_type::MANIFESTS {
        let manifest = Manifest::new(kind, bytes.to_vec());
        assert_eq!(*manifest.digest(), Digest::sha256(bytes));
        if let Ok(index) = manifest.as_index() {
            // One that is chosen is listed, is an image, and is for a platform that runs.
            if let Ok(chosen) = select(&index, &linux()) {
                assert!(index.manifests.contains(chosen) && media_type::is_image(&chosen.media_type));
                assert_ne!(chosen.platform.as_ref().unwrap().os, "unknown");
            }
        }
        if let Ok(image) = manifest.as_image() {
            assert!(media_type::is_image(kind) && image.media_type.is_none_or(|inner| inner == kind));
        }
    }
    let _ = BuildManifest::parse(bytes);
    let _ = schleuse_model::json::from_untrusted::<ImageConfig>(bytes, 1 << 20);
}

proptest! {
    #![proptest_config(cases(3000))]

    #[test]
    fn a_reference_that_is_read_is_written_the_same(text in prop_oneof![almost_reference(), reference()]) {
        if let Ok(parsed) = text.parse::<Reference>() {
            let written = parsed.to_string();
            prop_assert_eq!(&written.parse::<Reference>().unwrap(), &parsed, "{}", written);
            // What is written can stand in a URL's path and in a line of a log.
            prop_assert!(written.bytes().all(|b| b.is_ascii_graphic()), "{}", written);
            prop_assert!(!parsed.repository().path().split('/').any(|part| part.is_empty() || part.starts_with('.')));
        }
        if let Ok(place) = text.parse::<Place>() {
            let written = place.to_string();
            prop_assert_eq!(written.parse::<Place>().unwrap(), place, "{}", written);
        }
    }

    #[test]
    fn every_reference_of_the_grammar_is_read(text in reference()) {
        prop_assert!(text.parse::<Reference>().is_ok(), "{}", text);
    }
}

proptest! {
    #![proptest_config(cases(1500))]

    #[test]
    fn manifests_damaged(
        layers in prop::collection::vec(descriptor(), 0..5),
        damage in prop::collection::vec((any::<At>(), any::<u8>()), 0..4),
        cut in prop::option::weighted(0.2, any::<At>()),
    ) {
        let image = ImageManifest::new(Descriptor::empty(), layers.clone()).to_manifest();
        prop_assert_eq!(image.as_image().unwrap().layers, layers.clone());
        read_all(&damaged(image.bytes().to_vec(), &damage, cut));
        let index = Index::new(layers).to_manifest();
        read_all(&damaged(index.bytes().to_vec(), &damage, cut));
    }

    #[test]
    fn heaps_of_bytes(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        read_all(&bytes);
    }
}
