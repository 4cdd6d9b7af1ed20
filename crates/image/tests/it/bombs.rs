//! Images that want more of the machine than they give, and ways out of the root that take several entries.

use schleuse_image::unpack::{EntryError, LayerError, Limit};
use schleuse_image::{Limits, Ownership, UnpackError};
use schleuse_model::Digest;
use schleuse_oci::media_type;

use crate::support::{Bench, LayerBytes, Tar, gzip, image, names, tree};

/// Why the layers are refused under these limits.
async fn refused<L: Into<LayerBytes>>(layers: impl IntoIterator<Item = L>, limits: Limits) -> LayerError {
    let mut bench = Bench::new();
    bench.limits = limits;
    match bench.unpack(layers).await.unwrap_err() {
        UnpackError::Layer { source, .. } => {
            assert_eq!(names(&bench.root()), Vec::<String>::new(), "nothing is left");
            source
        }
        other => panic!("{other:?}"),
    }
}

fn is_limit(error: &LayerError, wanted: Limit) -> bool {
    matches!(error, LayerError::Limit { limit, .. } if *limit == wanted)
}

/// A layer of these gzip members.
fn members(plain: &[Vec<u8>]) -> LayerBytes {
    let blob = plain.iter().flat_map(|piece| gzip(piece)).collect();
    LayerBytes { media_type: media_type::LAYER_GZIP, blob, diff_id: Digest::sha256(&plain.concat()) }
}

#[tokio::test]
async fn gzip_members_count_together() {
    // Some readers see only the first member: a checker with one of those, and an engine with one of ours, would see two images.
    let tar = Tar::new().file("zeros", &vec![0; 4 << 20]).bytes();
    let pieces: Vec<Vec<u8>> = tar.chunks(64 << 10).map(<[u8]>::to_vec).collect();
    let bench = Bench::new();
    bench.unpack([members(&pieces)]).await.unwrap();
    assert_eq!(std::fs::metadata(bench.root().join("zeros")).unwrap().len(), 4 << 20);
    let ratio = Limits { ratio: 100, ratio_floor: 1 << 20, ..Limits::default() };
    assert!(is_limit(&refused([members(&pieces)], ratio).await, Limit::Ratio));
    let total = Limits { total_bytes: 1 << 20, ..Limits::default() };
    assert!(is_limit(&refused([members(&pieces)], total).await, Limit::TotalBytes));
    // What follows the archive in a member of its own is still part of the layer, and of its digest.
    let mut lie = members(&[Tar::new().file("f", b"").bytes(), b"more".to_vec()]);
    lie.diff_id = Digest::sha256(&Tar::new().file("f", b"").bytes());
    assert!(matches!(refused([lie], Limits::default()).await, LayerError::DiffId { .. }));
}

#[tokio::test]
async fn one_file_again_and_again_counts_again_and_again() {
    let again = |times: usize| (0..times).fold(Tar::new(), |tar, _| tar.file("same", &[7; 1000]));
    let bench = Bench::new();
    let unpacked = bench.unpack([again(10)]).await.unwrap();
    assert_eq!((unpacked.entries, unpacked.bytes, names(&bench.root()).len()), (10, 10_000, 1));
    let entries = Limits { entries: 9, ..Limits::default() };
    assert!(is_limit(&refused([again(10)], entries).await, Limit::Entries));
    // And over layers.
    let entries = Limits { entries: 9, ..Limits::default() };
    assert!(is_limit(&refused([again(5), again(6)], entries).await, Limit::Entries));
}

#[tokio::test]
async fn the_size_that_counts_is_the_one_that_is_read() {
    // pax overrides the header. The header says 4 bytes, pax 1000: what follows is content, not the next header.
    let tar = || Tar::new().pax(&[("size", "1000")]).sized(b'0', b"f", b"", 0o644, &[7; 1000], 4);
    let bench = Bench::new();
    bench.unpack([tar()]).await.unwrap();
    assert_eq!(std::fs::metadata(bench.root().join("f")).unwrap().len(), 1000);
    let small = Limits { file_bytes: 999, ..Limits::default() };
    assert!(is_limit(&refused([tar()], small).await, Limit::FileBytes));
    // A file of eight exabytes that is not there takes neither disk nor time.
    let huge = || Tar::new().sized(b'0', b"huge", b"", 0o644, b"", 0o777_7777_7777);
    assert!(is_limit(&refused([huge()], Limits { file_bytes: 1 << 30, ..Limits::default() }).await, Limit::FileBytes));
    assert!(matches!(refused([huge()], Limits::default()).await, LayerError::Tar(_)));
    let huger = Tar::new().pax(&[("size", "9223372036854775807")]).file("huge", b"");
    assert!(is_limit(&refused([huger], Limits::default()).await, Limit::FileBytes));
    // A sparse one would be larger on disk than in the archive.
    for records in [vec![("GNU.sparse.realsize", "1099511627776")], vec![("GNU.sparse.size", "1099511627776")]] {
        let error = refused([Tar::new().pax(&records).file("sparse", b"")], Limits::default()).await;
        assert!(matches!(error, LayerError::Entry { reason: EntryError::Kind, .. }), "{error:?}");
    }
}

#[tokio::test]
async fn a_chain_of_links_leads_nowhere() {
    let chain = || Tar::new().symlink("a", "b").symlink("b", "c").symlink("c", "../outside");
    for last in [chain().file("a/file", b"evil"), chain().folder("a/x"), chain().hard_link("mine", "a/file")] {
        let error = refused([last], Limits::default()).await;
        assert!(matches!(error, LayerError::Entry { reason: EntryError::ThroughSymlink, .. }), "{error:?}");
    }
    // A link that is made, used, replaced by a folder, and used again: only the last is a folder of the root.
    let bench = Bench::new();
    let turned = Tar::new().symlink("d", "../outside").folder("d").file("d/file", b"mine");
    bench.unpack([turned]).await.unwrap();
    assert_eq!(tree(&bench.root()), ["d/ 755", "d/file 644 mine"]);
    // A loop of links is no loop of ours.
    let looped = Tar::new().symlink("x", "y").symlink("y", "x").file("x/f", b"");
    let error = refused([looped], Limits::default()).await;
    assert!(matches!(error, LayerError::Entry { reason: EntryError::ThroughSymlink, .. }), "{error:?}");
}

#[tokio::test]
async fn no_device_is_made_not_even_by_root_and_nothing_links_to_one() {
    let devices = || {
        Tar::new()
            .raw(b'3', b"null", b"", 0o666, b"")
            .raw(b'4', b"disk", b"", 0o660, b"")
            .raw(b'6', b"fifo", b"", 0o600, b"")
    };
    let bench = Bench::new();
    let image = image(&bench.layout, vec![devices().file("f", b"").into()]).await;
    let owner = if nix::unistd::geteuid().is_root() { Ownership::Keep } else { Ownership::Ours };
    let unpacked = bench.unpack_image(&image, owner).await.unwrap();
    assert_eq!((names(&bench.root()), unpacked.skipped), (vec!["f".to_owned()], 3));
    let error = refused([devices().hard_link("mine", "disk")], Limits::default()).await;
    assert!(matches!(error, LayerError::Entry { reason: EntryError::HardLink, .. }), "{error:?}");
    // They count, or a layer of nothing else would be read for ever.
    let few = Limits { entries: 2, ..Limits::default() };
    assert!(is_limit(&refused([devices()], few).await, Limit::Entries));
}

#[tokio::test]
async fn a_whiteout_deletes_in_the_root_and_nowhere_else() {
    let below = || Tar::new().file("kept", b"1").symlink("way", "../outside").symlink("file", "../outside/file");
    // Of a link, the link; never what it leads to. The bench looks at what is outside.
    let bench = Bench::new();
    bench.unpack([below(), Tar::new().file(".wh.way", b"").file(".wh.file", b"")]).await.unwrap();
    assert_eq!(names(&bench.root()), ["kept"]);
    // An opaque root empties the root.
    let bench = Bench::new();
    bench.unpack([below(), Tar::new().file(".wh..wh..opq", b"").file("new", b"")]).await.unwrap();
    assert_eq!(names(&bench.root()), ["new"]);
}
