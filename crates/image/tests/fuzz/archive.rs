//! Archives of images: valid ones damaged, and entries in any order.

use proptest::prelude::*;
use proptest::sample::Index as At;
use proptest::test_runner::TestRunner;
use schleuse_image::{Archive, Limits};
use schleuse_model::Digest;
use schleuse_oci::manifest::MANIFEST_LIMIT;
use schleuse_oci::{Descriptor, ImageManifest, Index, Pull as _, media_type};

use crate::cases;
use crate::support::{Tar, gzip, repository};

fn config(layer: &[u8]) -> Vec<u8> {
    let diff_id = Digest::sha256(layer);
    format!(r#"{{"architecture":"amd64","os":"linux","rootfs":{{"type":"layers","diff_ids":["{diff_id}"]}}}}"#)
        .into_bytes()
}

/// What `docker save` writes, and what skopeo does, in pieces: entries that may be left out, doubled or put elsewhere.
fn pieces() -> Vec<(u8, String, String, Vec<u8>)> {
    let layer = Tar::new().file("f", b"content").bytes();
    let config = config(&layer);
    let image = ImageManifest::new(
        Descriptor::of(media_type::IMAGE_CONFIG, &config),
        vec![Descriptor::of(media_type::LAYER_TAR, &layer)],
    )
    .to_manifest();
    let index = Index::new(vec![image.descriptor()]).to_manifest();
    let saved = br#"[{"Config":"config.json","RepoTags":["a:1"],"Layers":["x/layer.tar"]}]"#;
    let blob = |bytes: &[u8]| format!("blobs/sha256/{}", Digest::sha256(bytes).hex());
    let file = |name: &str, content: &[u8]| (b'0', name.to_owned(), String::new(), content.to_vec());
    vec![
        file("oci-layout", br#"{"imageLayoutVersion":"1.0.0"}"#),
        file("index.json", index.bytes()),
        file(&blob(image.bytes()), image.bytes()),
        file(&blob(&layer), &layer),
        file(&blob(&config), &config),
        file("manifest.json", saved),
        file("config.json", &config),
        file("x/layer.tar", &layer),
        (b'2', "x/layer.tar".to_owned(), "../y/layer.tar".to_owned(), Vec::new()),
        (b'1', "x/layer.tar".to_owned(), "y/layer.tar".to_owned(), Vec::new()),
        file("y/layer.tar", &layer),
        (b'5', "x/".to_owned(), String::new(), Vec::new()),
        (b'2', "config.json".to_owned(), "/etc/passwd".to_owned(), Vec::new()),
        (b'3', "dev".to_owned(), String::new(), Vec::new()),
        file("../outside", b""),
    ]
}

/// The archive of the chosen pieces. The last three are attacks: few archives have them.
fn archive() -> impl Strategy<Value = Vec<u8>> {
    let all = pieces();
    let (harmless, hostile) = (all.len() - 3, all.len());
    let one = prop_oneof![30 => 0..harmless, 1 => harmless..hostile];
    let chosen = prop_oneof![
        3 => Just(vec![0, 1, 2, 3, 4]),
        3 => Just(vec![5, 6, 7]),
        2 => Just(vec![5, 6, 8, 10]),
        3 => prop::collection::vec(one, 1..9),
    ];
    chosen.prop_map(move |chosen| {
        let add = |tar: Tar, (kind, name, link, content): &(u8, String, String, Vec<u8>)| {
            tar.raw(*kind, name.as_bytes(), link.as_bytes(), 0o644, content)
        };
        chosen.into_iter().map(|at| &all[at]).fold(Tar::new(), add).bytes()
    })
}

/// Reads everything that an opened archive lists. What it hands out has the digest it was asked for by.
async fn read_all(archive: &Archive) -> usize {
    let mut read = 0;
    for one in archive.listed().iter().take(20) {
        let image = repository().pin(one.image.digest.clone());
        let Ok(Some(manifest)) = archive.manifest(&image).await else { continue };
        assert_eq!(manifest.digest(), image.digest());
        let Ok(parsed) = manifest.as_image() else { continue };
        for blob in parsed.layers.iter().chain([&parsed.config]) {
            if let Ok(Some(bytes)) = archive.blob(&repository(), &blob.digest, MANIFEST_LIMIT).await {
                assert!(blob.digest.matches(&bytes));
                read += 1;
            }
            if let Ok(Some(stream)) = archive.blob_stream(&repository(), blob).await
                && let Ok(bytes) = schleuse_oci::collect(stream, MANIFEST_LIMIT, "blob").await
            {
                assert!(blob.digest.matches(&bytes));
            }
        }
    }
    read
}

#[test]
fn no_archive_does_harm() {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let temporary = tempfile::tempdir().unwrap();
    let folder = temporary.path().join("inner");
    let (path, work) = (folder.join("archive.tar"), folder.join("work"));
    std::fs::create_dir_all(&work).unwrap();
    let limits = Limits { total_bytes: 1 << 20, ..Limits::default() };
    let damage = prop::collection::vec((any::<At>(), any::<u8>()), 0..3);
    let cut = prop::option::weighted(0.1, any::<At>());
    let archives = (archive(), damage, cut, prop::bool::weighted(0.2));
    let (read, whole) = (std::cell::Cell::new(0_usize), std::cell::Cell::new(0_usize));
    let config = cases(800);
    let count = config.cases as usize;
    let result = TestRunner::new(config).run(&archives, |(mut bytes, damage, cut, packed)| {
        for (at, to) in damage {
            let at = at.index(bytes.len());
            bytes[at] = to;
            // With the checksum made good again, or the damage would always end there.
            let start = at / 512 * 512;
            let mut header = tar::Header::from_byte_slice(&bytes[start..start + 512]).clone();
            header.set_cksum();
            bytes[start..start + 512].copy_from_slice(header.as_bytes());
        }
        if let Some(cut) = cut {
            bytes.truncate(cut.index(bytes.len()));
        }
        std::fs::write(&path, if packed { gzip(&bytes) } else { bytes }).unwrap();
        if let Ok(archive) = runtime.block_on(Archive::open(&path, &work, &limits)) {
            whole.set(whole.get() + 1);
            read.set(read.get() + runtime.block_on(read_all(&archive)));
        }
        prop_assert_eq!(std::fs::read_dir(&work).unwrap().count(), 0, "the work folder is not empty");
        prop_assert_eq!(std::fs::read_dir(temporary.path()).unwrap().count(), 1, "something appeared outside");
        Ok(())
    });
    result.unwrap();
    // Lest this test only shows that everything is refused.
    assert!(whole.get() >= count / 5 && read.get() >= count / 5, "{} opened, {} blobs read", whole.get(), read.get());
}
