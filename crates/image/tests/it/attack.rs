//! Images made to break out, to lie, or to exhaust the machine. Each rule is broken once.

use schleuse_image::unpack::{EntryError, LayerError, Limit, TarError};
use schleuse_image::{Limits, UnpackError};
use schleuse_model::{Digest, Exit, Explain as _};
use schleuse_oci::media_type;

use crate::support::{Bench, LayerBytes, Tar, gzip, image, names};

/// The reason why the layers are refused; the root is empty then.
async fn refused(layers: impl IntoIterator<Item = Tar>) -> EntryError {
    let bench = Bench::new();
    match bench.unpack(layers).await {
        Err(UnpackError::Layer { source: LayerError::Entry { reason, .. }, .. }) => {
            assert_eq!(names(&bench.root()), Vec::<String>::new(), "something was left behind");
            reason
        }
        other => panic!("not refused: {other:?}"),
    }
}

async fn malformed(layer: impl Into<LayerBytes>) -> TarError {
    let bench = Bench::new();
    match bench.unpack([layer.into()]).await {
        Err(UnpackError::Layer { source: LayerError::Tar(error), .. }) => error,
        other => panic!("not refused: {other:?}"),
    }
}

#[tokio::test]
async fn paths_that_lead_out() {
    let good = || Tar::new().file("good", b"1");
    for path in ["../outside/file", "a/../../outside/file", "..", "a/..", "./../x"] {
        assert_eq!(refused([good().file(path, b"evil")]).await, EntryError::Parent, "{path}");
        assert_eq!(refused([good().folder(path)]).await, EntryError::Parent, "{path}");
        assert_eq!(refused([good().hard_link("x", path)]).await, EntryError::Parent, "{path}");
    }
    for path in ["/etc/passwd", "//x", "/"] {
        assert_eq!(refused([good().file(path, b"evil")]).await, EntryError::Absolute, "{path}");
        assert_eq!(refused([good().hard_link("x", path)]).await, EntryError::Absolute, "{path}");
    }
    assert_eq!(refused([good().pax(&[("path", "../outside/file")]).file("x", b"evil")]).await, EntryError::Parent);
    assert_eq!(refused([good().raw(b'L', b"l", b"", 0, b"/abs\0").file("x", b"")]).await, EntryError::Absolute);
    assert_eq!(refused([good().pax(&[("path", "a\0b")]).file("x", b"evil")]).await, EntryError::Impossible);
    assert_eq!(refused([good().pax(&[("path", &"x".repeat(256))]).file("x", b"")]).await, EntryError::Impossible);
}

#[tokio::test]
async fn links_are_never_followed() {
    for target in ["../outside", "/nonexistent", ".", "real"] {
        let link = || Tar::new().folder("real").symlink("way", target);
        // Within one layer and from layer to layer.
        for layers in [
            vec![link().file("way/file", b"evil")],
            vec![link(), Tar::new().file("way/file", b"evil")],
            vec![link(), Tar::new().folder("way/sub")],
            vec![link(), Tar::new().symlink("way/sub", "x")],
            vec![link(), Tar::new().hard_link("stolen", "way/file")],
            vec![link(), Tar::new().file("way/.wh.file", b"")],
            vec![link(), Tar::new().file("way/.wh..wh..opq", b"")],
        ] {
            assert_eq!(refused(layers).await, EntryError::ThroughSymlink, "{target}");
        }
    }
}

#[tokio::test]
async fn a_link_in_the_place_of_a_file_is_replaced_not_written_through() {
    let bench = Bench::new();
    let link = Tar::new().symlink("file", "../outside/file").symlink("folder", "../outside");
    bench.unpack([link, Tar::new().file("file", b"mine").folder("folder").file("folder/file", b"mine")]).await.unwrap();
    assert_eq!(names(&bench.root()), ["file", "folder"]);
}

#[tokio::test]
async fn a_hard_link_to_a_symbolic_link_gives_no_way_out() {
    // The second name of the link is a link too: writing to it replaces that name.
    let bench = Bench::new();
    let tar = Tar::new().symlink("a", "../outside/file").hard_link("b", "a").file("b", b"mine");
    bench.unpack([tar]).await.unwrap();
    assert_eq!(std::fs::read(bench.root().join("b")).unwrap(), b"mine");
}

#[tokio::test]
async fn hard_links_to_what_no_file_is() {
    for (layers, what) in [
        (vec![Tar::new().hard_link("x", "missing")], "missing"),
        (vec![Tar::new().hard_link("x", "no/where")], "missing folder"),
        (vec![Tar::new().file("x", b"").hard_link("x", "./x")], "itself"),
        (vec![Tar::new().folder("d").hard_link("x", "d")], "folder"),
        (vec![Tar::new().folder("d").hard_link("x", "./")], "root"),
        (vec![Tar::new().file("d/f", b"").hard_link("d", "d/f")], "what it replaces"),
    ] {
        assert_eq!(refused(layers).await, EntryError::HardLink, "{what}");
    }
}

#[tokio::test]
async fn entries_that_make_no_sense() {
    assert_eq!(refused([Tar::new().file("./", b"")]).await, EntryError::Root);
    assert_eq!(refused([Tar::new().symlink(".", "../outside")]).await, EntryError::Root);
    assert_eq!(refused([Tar::new().symlink("x", "")]).await, EntryError::EmptyLink);
    assert_eq!(refused([Tar::new().file("f", b"").file("f/below", b"")]).await, EntryError::BelowFile);
    for name in ["a/.wh.", "a/.wh..", "a/.wh...", ".wh.x/y"] {
        assert_eq!(refused([Tar::new().file(name, b"")]).await, EntryError::Whiteout, "{name}");
    }
    assert_eq!(refused([Tar::new().folder("a/.wh.b")]).await, EntryError::Whiteout);
    assert_eq!(refused([Tar::new().raw(b'S', b"sparse", b"", 0o644, b"")]).await, EntryError::Kind);
    assert_eq!(refused([Tar::new().raw(b'Z', b"what", b"", 0o644, b"")]).await, EntryError::Kind);
    assert_eq!(refused([Tar::new().pax(&[("GNU.sparse.major", "1")]).file("s", b"")]).await, EntryError::Kind);
}

#[tokio::test]
async fn archives_that_two_readers_would_read_differently() {
    let long = |tar: Tar| tar.raw(b'L', b"l", b"", 0, b"name\0");
    assert_eq!(malformed(long(long(Tar::new())).file("x", b"")).await, TarError::Contradiction);
    let both = long(Tar::new().pax(&[("path", "other")])).file("x", b"");
    assert_eq!(malformed(both).await, TarError::Contradiction);
    assert_eq!(malformed(long(Tar::new())).await, TarError::Contradiction, "a name for nothing");
    let loaded = Tar::new().raw(b'2', b"link", b"x", 0o777, &Tar::new().file("hidden", b"").bytes());
    assert_eq!(malformed(loaded).await, TarError::Contradiction, "a link with content");
    let twice = Tar::new().pax(&[("size", "0"), ("size", "512")]).file("x", b"");
    assert_eq!(malformed(twice).await, TarError::Contradiction);
    let mut damaged = Tar::new().file("x", b"").bytes();
    damaged[0] = b'y';
    assert_eq!(malformed(damaged).await, TarError::Checksum);
    assert_eq!(malformed(Tar::new().sized(b'0', b"x", b"", 0o644, b"abc", 4096)).await, TarError::Short);
    let huge = Tar::new().pax(&[("size", "18446744073709551615")]).file("x", b"");
    let bench = Bench::new();
    assert!(bench.unpack([huge]).await.is_err());
}

/// Which limit an image exceeds when `limits` are as changed.
async fn exceeds(layers: Vec<Tar>, change: impl FnOnce(&mut Limits)) -> Limit {
    let mut bench = Bench::new();
    bench.unpack(layers.clone()).await.expect("within the default limits");
    std::fs::remove_dir_all(bench.root()).unwrap();
    change(&mut bench.limits);
    match bench.unpack(layers).await {
        Err(UnpackError::Limit { limit, .. } | UnpackError::Layer { source: LayerError::Limit { limit, .. }, .. }) => {
            assert!(!bench.root().exists() || names(&bench.root()).is_empty());
            limit
        }
        other => panic!("not refused: {other:?}"),
    }
}

#[tokio::test]
async fn every_limit_holds() {
    let file = |bytes: usize| Tar::new().file("f", &vec![7; bytes]);
    let three = || vec![file(1), file(1), file(1)];
    assert_eq!(exceeds(three(), |l| l.layers = 2).await, Limit::Layers);
    assert_eq!(exceeds(three(), |l| l.compressed_bytes = 200).await, Limit::CompressedBytes);
    // Two archives of 3,072 bytes: the sum counts.
    assert_eq!(exceeds(vec![file(1000), file(1001)], |l| l.total_bytes = 5000).await, Limit::TotalBytes);
    assert_eq!(exceeds(vec![file(1000)], |l| l.file_bytes = 999).await, Limit::FileBytes);
    assert_eq!(exceeds(three(), |l| l.entries = 2).await, Limit::Entries);
    assert_eq!(exceeds(vec![Tar::new().file("a/b/c/d", b"")], |l| l.entries = 3).await, Limit::Entries);
    let bomb = |l: &mut Limits| (l.ratio, l.ratio_floor) = (50, 100_000);
    assert_eq!(exceeds(vec![file(1 << 20)], bomb).await, Limit::Ratio);
    assert_eq!(exceeds(vec![Tar::new().file("a/b/c/d", b"")], |l| l.depth = 3).await, Limit::Depth);
    assert_eq!(exceeds(vec![Tar::new().file("a/bcd", b"")], |l| l.path_bytes = 4).await, Limit::PathBytes);
    assert_eq!(exceeds(vec![Tar::new().symlink("a", "bcdef")], |l| l.path_bytes = 4).await, Limit::PathBytes);
    let comment = Tar::new().pax(&[("comment", &"x".repeat(2000))]).file("a", b"");
    assert_eq!(exceeds(vec![comment], |l| l.extension_bytes = 1000).await, Limit::ExtensionBytes);
    // Whatever follows the archive's end counts as well.
    let mut tail = file(1).bytes();
    tail.resize(tail.len() + 100_000, 0);
    let mut bench = Bench::new();
    bench.limits.total_bytes = 50_000;
    let error = bench.unpack([tail]).await.unwrap_err();
    assert!(matches!(error, UnpackError::Layer { source: LayerError::Limit { limit: Limit::TotalBytes, .. }, .. }));
}

#[tokio::test]
async fn an_extended_header_of_a_gigabyte_takes_no_memory() {
    let bench = Bench::new();
    let tar = Tar::new().sized(b'L', b"l", b"", 0, b"", 1 << 30).bytes();
    let error = bench.unpack([tar]).await.unwrap_err();
    assert!(matches!(error, UnpackError::Layer { source: LayerError::Limit { limit: Limit::ExtensionBytes, .. }, .. }));
}

#[tokio::test]
async fn content_that_is_not_what_the_configuration_says() {
    let bench = Bench::new();
    let tar = Tar::new().file("f", b"1").bytes();
    let lie = LayerBytes { media_type: media_type::LAYER_GZIP, blob: gzip(&tar), diff_id: Digest::sha256(b"other") };
    let good = Tar::new().file("good", b"1").into();
    let error = bench.unpack([good, lie]).await.unwrap_err();
    assert!(matches!(error, UnpackError::Layer { source: LayerError::DiffId { .. }, .. }));
    assert_eq!(error.exit(), Exit::Untrusted);
    assert_eq!(names(&bench.root()), Vec::<String>::new());
}

#[tokio::test]
async fn a_blob_that_was_changed_is_not_even_parsed() {
    let bench = Bench::new();
    let image = image(&bench.layout, vec![Tar::new().file("f", b"1").into()]).await;
    let mut layer = gzip(&Tar::new().file("f", b"1").bytes());
    let path = bench.layout.blob_path(&Digest::sha256(&layer));
    layer[20] ^= 1;
    std::fs::write(path, layer).unwrap();
    let error = bench.unpack_image(&image, schleuse_image::Ownership::Ours).await.unwrap_err();
    assert!(matches!(error, UnpackError::Registry(schleuse_oci::Error::WrongDigest { .. })), "{error:?}");
    assert_eq!(error.exit(), Exit::Untrusted);
}

#[tokio::test]
async fn what_is_not_supported_says_so() {
    let bench = Bench::new();
    let layer = |media_type| LayerBytes { media_type, ..Tar::new().file("f", b"").into() };
    let zstd = bench.unpack([layer(media_type::LAYER_ZSTD)]).await.unwrap_err();
    assert_eq!(zstd.to_string(), "the image has a zstd layer; zstd is not supported yet");
    let other = bench.unpack([layer("application/x-what")]).await.unwrap_err();
    assert!(matches!(other, UnpackError::LayerType { .. }));
    let half = LayerBytes { blob: gzip(b"")[..10].to_vec(), ..Tar::new().into() };
    assert!(matches!(bench.unpack([half]).await, Err(UnpackError::Layer { source: LayerError::Io { .. }, .. })));
}

#[tokio::test]
async fn whoever_works_in_the_root_afterwards_is_not_led_out_either() {
    let bench = Bench::new();
    bench.unpack([Tar::new().symlink("proc", "../outside").folder("dev").file("etc", b"")]).await.unwrap();
    let root = schleuse_image::unpack::Root::open(&bench.root()).unwrap();
    for bad in ["/proc", "/proc/self", "/etc/mtab"] {
        assert!(root.folder(&bad.parse().unwrap()).is_err(), "{bad}");
    }
    root.folder(&"/dev/shm".parse().unwrap()).unwrap();
    assert_eq!(names(&bench.root().join("dev")), ["shm"]);
    assert_eq!(names(&bench.outside()), ["file"]);
}
