//! What good images look like once unpacked.

use std::os::unix::fs::MetadataExt as _;

use schleuse_image::{Ownership, UnpackError};
use schleuse_model::{Exit, Explain as _};
use schleuse_oci::{Index, Push as _, media_type};

use crate::support::{Bench, LayerBytes, Tar, image, linux, names, repository, tree};

#[tokio::test]
async fn files_folders_and_links() {
    let bench = Bench::new();
    let layer = Tar::new()
        .folder("./")
        .folder("app/")
        .raw(b'0', b"app/run", b"", 0o755, b"#!")
        .raw(b'5', b"tmp", b"", 0o1777, b"")
        .symlink("app/current", "../../../outside/file")
        .hard_link("app/again", "app/run")
        .file("deep/down/here", b"x")
        .raw(b'3', b"dev/null", b"", 0o666, b"")
        .raw(b'6', b"pipe", b"", 0o666, b"");
    let unpacked = bench.unpack([layer]).await.unwrap();
    assert_eq!(
        tree(&bench.root()),
        [
            "app/ 755",
            "app/again 755 #!",
            "app/current -> ../../../outside/file",
            "app/run 755 #!",
            "deep/ 755",
            "deep/down/ 755",
            "deep/down/here 644 x",
            "tmp/ 1777"
        ]
    );
    assert_eq!((unpacked.bytes, unpacked.skipped), (3, 2));
    assert_eq!(unpacked.config.config.cmd, ["/run"]);
    let run = std::fs::metadata(bench.root().join("app/run")).unwrap();
    assert_eq!((run.nlink(), run.mtime()), (2, 1_700_000_000));
}

#[tokio::test]
async fn dangerous_bits_are_dropped() {
    let bench = Bench::new();
    let layer = Tar::new().raw(b'0', b"su", b"", 0o6755, b"").raw(b'5', b"d", b"", 0o2775, b"");
    bench.unpack([layer]).await.unwrap();
    assert_eq!(tree(&bench.root()), ["d/ 775", "su 755 "]);
}

#[tokio::test]
async fn whiteouts_are_about_lower_layers_only_wherever_they_stand() {
    let bench = Bench::new();
    let below = Tar::new().file("a/old", b"1").file("a/sub/old", b"1").file("b/gone", b"1").file("b/kept", b"1");
    let above = Tar::new()
        .file("a/new", b"2")
        .file("a/.wh..wh..opq", b"")
        .file("b/.wh.gone", b"")
        .file("c/.wh.never-was", b"")
        // Deleted below and made again here, the whiteout coming last.
        .file("b/kept", b"2")
        .file("b/.wh.kept", b"")
        .file(".wh..wh.plnk/leftover", b"");
    bench.unpack([below, above]).await.unwrap();
    assert_eq!(tree(&bench.root()), ["a/ 755", "a/new 644 2", "b/ 755", "b/kept 644 2"]);
}

#[tokio::test]
async fn a_later_entry_replaces_an_earlier_one_of_another_kind() {
    let bench = Bench::new();
    let below = Tar::new()
        .folder("lib")
        .file("lib/x", b"1")
        .symlink("link", "/outside")
        .file("was-file", b"")
        .file("hard", b"1")
        .hard_link("hard2", "hard");
    let above = Tar::new().file("lib", b"2").folder("link").file("link/y", b"2").folder("was-file").file("hard", b"2");
    bench.unpack([below, above]).await.unwrap();
    assert_eq!(
        tree(&bench.root()),
        ["hard 644 2", "hard2 644 1", "lib 644 2", "link/ 755", "link/y 644 2", "was-file/ 755"]
    );
}

#[tokio::test]
async fn long_names_of_both_kinds_and_plain_tar() {
    let bench = Bench::new();
    let long = format!("{}/{}", "p".repeat(120), "q".repeat(120));
    let gnu = format!("{}/{}", "g".repeat(120), "h".repeat(120));
    let tar = Tar::new()
        .pax(&[("path", &long), ("mtime", "1600000000.5"), ("uid", "70000")])
        .file("cut", b"1")
        .raw(b'g', b"pax_global_header", b"", 0o644, b"17 comment=abcde\n")
        .raw(b'L', b"././@LongLink", b"", 0o644, format!("{gnu}\0").as_bytes())
        .file("cut", b"2")
        .bytes();
    let plain =
        LayerBytes { media_type: media_type::LAYER_TAR, diff_id: schleuse_model::Digest::sha256(&tar), blob: tar };
    bench.unpack([plain]).await.unwrap();
    assert_eq!(std::fs::read(bench.root().join(&long)).unwrap(), b"1");
    assert_eq!(std::fs::metadata(bench.root().join(&long)).unwrap().mtime(), 1_600_000_000);
    assert_eq!(std::fs::read(bench.root().join(&gnu)).unwrap(), b"2");
}

#[tokio::test]
async fn owners_are_kept_only_when_asked() {
    let bench = Bench::new();
    let tar = Tar::new().raw(b'0', b"f", b"", 0o4750, b"").raw(b'5', b"d", b"", 0o500, b"").symlink("l", "f");
    let image = image(&bench.layout, vec![tar.into()]).await;
    if !nix::unistd::geteuid().is_root() {
        let refused = bench.unpack_image(&image, Ownership::Keep).await.unwrap_err();
        assert!(matches!(refused, UnpackError::NeedsRoot));
        return;
    }
    bench.unpack_image(&image, Ownership::Keep).await.unwrap();
    let owner =
        |name| std::fs::symlink_metadata(bench.root().join(name)).map(|m| (m.uid(), m.gid(), m.mode() & 0o7777));
    assert_eq!(owner("f").unwrap(), (1000, 1000, 0o750));
    assert_eq!(owner("d").unwrap(), (1000, 1000, 0o500));
    assert_eq!(owner("l").unwrap().0, 1000);
}

#[tokio::test]
async fn ours_means_that_we_can_delete_it_again() {
    let bench = Bench::new();
    bench.unpack([Tar::new().raw(b'5', b"d", b"", 0o000, b"").file("d/f", b"")]).await.unwrap();
    assert_eq!(tree(&bench.root()), ["d/ 700", "d/f 644 "]);
}

#[tokio::test]
async fn an_index_gives_the_image_for_the_platform() {
    let bench = Bench::new();
    let image = image(&bench.layout, vec![Tar::new().file("f", b"1").into()]).await;
    let manifest = schleuse_oci::Pull::manifest(&bench.layout, &image).await.unwrap().unwrap();
    let mut child = manifest.descriptor();
    child.platform = Some(linux());
    let index = Index::new(vec![child]).to_manifest();
    bench.layout.push_manifest(&repository(), &index).await.unwrap();
    let index = repository().pin(index.digest().clone());
    let unpacked = bench.unpack_image(&index, Ownership::Ours).await.unwrap();
    assert_eq!(unpacked.digest, *image.digest());
}

#[tokio::test]
async fn only_into_an_empty_folder() {
    let bench = Bench::new();
    std::fs::create_dir(bench.root()).unwrap();
    std::fs::write(bench.root().join("mine"), "").unwrap();
    let refused = bench.unpack([Tar::new().file("f", b"")]).await.unwrap_err();
    assert!(matches!(refused, UnpackError::NotEmpty { .. }));
    assert_eq!(refused.exit(), Exit::Usage);
    assert_eq!(names(&bench.root()), ["mine"]);
}
