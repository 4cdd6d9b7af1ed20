//! Images in one file: what `docker save` and skopeo write, what we write, and archives that attack.

use std::path::PathBuf;

use schleuse_image::archive::write;
use schleuse_image::copy::{Route, copy};
use schleuse_image::listing::pick;
use schleuse_image::unpack::{LayerError, Limit};
use schleuse_image::{Archive, ArchiveError, Layout, Limits, Ownership, Pick, Silent};
use schleuse_model::digest::Algorithm;
use schleuse_model::{Digest, Exit, Explain as _, Hasher};
use schleuse_oci::{Descriptor, ImageManifest, Index, Manifest, Pull as _, Push as _, media_type};

use crate::support::{Bench, Tar, gzip, image, names, repository};

/// The configuration of an image of these layers, as Docker writes it: with fields that nobody needs, and `null`.
fn config(layers: &[Vec<u8>]) -> Vec<u8> {
    let diff_ids: Vec<String> = layers.iter().map(|layer| format!("\"{}\"", Digest::sha256(layer))).collect();
    let diff_ids = diff_ids.join(",");
    format!(
        r#"{{"architecture":"amd64","config":{{"Cmd":["/run"],"Entrypoint":null,"Image":"sha256:0"}},"os":"linux","rootfs":{{"type":"layers","diff_ids":[{diff_ids}]}}}}"#
    )
    .into_bytes()
}

fn layer(name: &str) -> Vec<u8> {
    Tar::new().file(name, name.as_bytes()).bytes()
}

/// What Docker before 25 saves: two images on one layer, which the second links to.
fn saved() -> Tar {
    let (base, top) = (layer("base"), layer("top"));
    let manifest = br#"[{"Config":"one.json","RepoTags":["billing:1","acme/billing:v1"],"Layers":["aa/layer.tar"]},
        {"Config":"two.json","RepoTags":null,"Layers":["bb/layer.tar","cc/layer.tar"]}]"#;
    Tar::new()
        .folder("aa/")
        .file("aa/VERSION", b"1.0")
        .file("aa/layer.tar", &base)
        .folder("bb/")
        .symlink("bb/layer.tar", "../aa/layer.tar")
        .folder("cc")
        .file("cc/layer.tar", &top)
        .file("one.json", &config(std::slice::from_ref(&base)))
        .file("two.json", &config(&[base, top]))
        .file("manifest.json", manifest)
}

async fn open(bench: &Bench, bytes: &[u8]) -> Result<Archive, ArchiveError> {
    let path = bench.layout.root().join("archive.tar");
    std::fs::write(&path, bytes).unwrap();
    Archive::open(&path, &bench.folder.join("work"), &bench.limits).await
}

async fn copied(bench: &Bench, archive: &Archive, digest: &Digest, to: &Layout) -> Manifest {
    let route = Route {
        from: archive,
        from_repository: &repository(),
        to,
        to_repository: &repository(),
        work: &bench.folder.join("work"),
        progress: &Silent,
    };
    copy(route, digest, &["copied".parse().unwrap()]).await.unwrap()
}

#[tokio::test]
async fn docker_save_gives_the_same_digest_every_time() {
    let bench = Bench::new();
    let archive = open(&bench, &saved().bytes()).await.unwrap();
    let [one, two] = archive.listed() else { panic!("{:?}", archive.listed()) };
    // Golden: a change here is a change of every digest that was ever copied from such an archive.
    assert_eq!(one.image.digest.to_string(), "sha256:dc3728d61a662b5380bacbfb388dc09f4dcfd99e1bcd6be0bae7181efccad72c");
    assert_eq!(pick(archive.listed(), &Pick::Named("v1".to_owned()), "x").unwrap(), one.image.digest);
    assert!(two.names.is_empty());
    let compressed = open(&bench, &gzip(&saved().bytes())).await.unwrap();
    assert_eq!(compressed.listed(), archive.listed());

    let target = Layout::create(bench.layout.root().join("target")).unwrap();
    let manifest = copied(&bench, &compressed, &two.image.digest, &target).await;
    let parsed = manifest.as_image().unwrap();
    assert!(parsed.layers.iter().all(|layer| layer.media_type == media_type::LAYER_TAR));
    assert_eq!(parsed.layers[1].digest, Digest::sha256(&layer("top")), "its digest is its diff_id");
    drop(compressed);
    assert_eq!(names(&bench.folder.join("work")), Vec::<String>::new(), "the decompressed copy is gone");
    let image = repository().pin(manifest.digest().clone());
    bench.unpack_from(&target, &image, Ownership::Ours).await.unwrap();
    assert_eq!(names(&bench.root()), ["base", "top"]);
}

#[tokio::test]
async fn layers_that_came_gzipped_stay_so() {
    let bench = Bench::new();
    let (plain, packed) = (layer("f"), gzip(&layer("f")));
    let manifest = br#"[{"Config":"c","Layers":["l.tar.gz"]}]"#;
    let tar = Tar::new().file("c", &config(&[plain])).file("l.tar.gz", &packed).file("manifest.json", manifest);
    let archive = open(&bench, &tar.bytes()).await.unwrap();
    let image = repository().pin(archive.listed()[0].image.digest.clone());
    let layers = archive.manifest(&image).await.unwrap().unwrap().as_image().unwrap().layers;
    assert_eq!(layers, [Descriptor::of(media_type::LAYER_GZIP, &packed)]);
    bench.unpack_from(&archive, &image, Ownership::Ours).await.unwrap();
}

#[tokio::test]
async fn a_layout_goes_into_a_file_and_back_and_the_bytes_are_the_same() {
    let bench = Bench::new();
    let image = image(&bench.layout, vec![Tar::new().file("f", b"1").into(), Tar::new().file("g", b"2").into()]).await;
    let manifest = bench.layout.manifest(&image).await.unwrap().unwrap();
    bench.layout.tag(&repository().tag("v1".parse().unwrap()), &manifest).await.unwrap();
    let path = |name: &str| -> PathBuf { bench.folder.join(name) };
    write(&bench.layout, &path("one.tar")).await.unwrap();
    let archive = Archive::open(&path("one.tar"), &path("work"), &bench.limits).await.unwrap();
    assert_eq!(archive.resolve(&repository().tag("v1".parse().unwrap())).await.unwrap(), Some(image.clone()));
    assert_eq!(archive.tags(&repository(), "", 9).await.unwrap(), ["v1".parse().unwrap()]);
    // Files come into the second layout in another order, and with other times.
    let second = Layout::create(path("second")).unwrap();
    assert_eq!(copied(&bench, &archive, image.digest(), &second).await, manifest);
    std::fs::copy(bench.layout.root().join("index.json"), second.root().join("index.json")).unwrap();
    write(&second, &path("two.tar")).await.unwrap();
    assert_eq!(std::fs::read(path("one.tar")).unwrap(), std::fs::read(path("two.tar")).unwrap());
}

/// Why the archive is refused.
async fn refused(tar: Tar) -> String {
    let bench = Bench::new();
    let error = open(&bench, &tar.bytes()).await.unwrap_err();
    match error {
        ArchiveError::Entry { entry, reason, .. } => format!("{entry} {reason}"),
        ArchiveError::TooMuch { what, .. } => format!("too many {what}"),
        ArchiveError::Tar { source, .. } => source.to_string(),
        other => other.to_string().replace(&bench.layout.root().display().to_string(), ""),
    }
}

#[tokio::test]
async fn entries_that_no_archive_of_images_has() {
    assert_eq!(refused(saved().file("/etc/x", b"")).await, "/etc/x has an absolute or impossible path");
    assert_eq!(refused(saved().file("a/../../x", b"")).await, "a/../../x has `..` in its path");
    assert_eq!(refused(saved().file("1/2/3/4/5/6/7/8/9", b"")).await, "1/2/3/4/5/6/7/8/9 lies too deep");
    let long = "x".repeat(600);
    assert!(refused(saved().pax(&[("path", &long)]).file("x", b"")).await.ends_with("has too long a name"));
    assert_eq!(refused(saved().raw(b'3', b"dev", b"", 0o644, b"")).await, "dev is a device or a pipe");
    assert_eq!(refused(saved().raw(b'6', b"fifo", b"", 0o644, b"")).await, "fifo is a device or a pipe");
    let sparse = "sparse is of a kind that archives of images do not have";
    assert_eq!(refused(saved().raw(b'S', b"sparse", b"", 0o644, b"")).await, sparse);
    assert_eq!(refused(saved().pax(&[("GNU.sparse.major", "1")]).file("sparse", b"")).await, sparse);
    assert_eq!(refused(saved().symlink("a/b", "../../x")).await, "a/b leads out of the archive");
    assert_eq!(refused(saved().symlink("a/b", "/etc/passwd")).await, "a/b leads out of the archive");
    assert_eq!(refused(saved().hard_link("a/b", "/etc/passwd")).await, "a/b has an absolute or impossible path");
    let header = Tar::new().sized(b'x', b"pax", b"", 0o644, b"", 1 << 30);
    assert_eq!(refused(header).await, "it has more than 65536 bytes in one extended header");
    let mut many = Tar::new();
    for number in 0..=20_000 {
        many = many.file(&number.to_string(), b"");
    }
    assert_eq!(refused(many).await, "too many entries");
}

#[tokio::test]
async fn a_name_that_comes_twice_is_no_choice_of_ours() {
    // A checker that takes the first and an engine that takes the last would see two images.
    assert_eq!(refused(saved().file("one.json", b"{}")).await, "one.json comes twice");
    assert_eq!(refused(saved().file("./one.json", b"{}")).await, "./one.json comes twice");
    assert_eq!(refused(saved().symlink("one.json", "two.json")).await, "one.json comes twice");
    assert_eq!(refused(saved().file("aa", b"")).await, "aa comes twice");
    assert!(open(&Bench::new(), &saved().folder("aa").bytes()).await.is_ok(), "a folder says nothing");
}

#[tokio::test]
async fn a_link_is_followed_once() {
    let chain = |tar: Tar| tar.file("c", &config(&[layer("f")])).file("l", &layer("f"));
    let manifest = |tar: Tar, name: &str| {
        tar.file("manifest.json", format!(r#"[{{"Config":"c","Layers":["{name}"]}}]"#).as_bytes())
    };
    let good = manifest(chain(Tar::new()).symlink("a", "l"), "a");
    assert!(open(&Bench::new(), &good.bytes()).await.is_ok());
    for bad in [
        chain(Tar::new()).symlink("a", "b").symlink("b", "l"),
        chain(Tar::new()).symlink("a", "a"),
        chain(Tar::new()).symlink("a", "nothing"),
        chain(Tar::new()).hard_link("a", "nothing"),
    ] {
        assert_eq!(refused(manifest(bad, "a")).await, "a is a link to no file of the archive");
    }
}

#[tokio::test]
async fn what_is_not_what_it_says() {
    let bench = Bench::new();
    // A layer that the configuration does not name.
    let manifest = br#"[{"Config":"c","Layers":["l"]}]"#;
    let tar = |content: &[u8]| {
        Tar::new().file("c", &config(&[layer("f")])).file("l", content).file("manifest.json", manifest).bytes()
    };
    let error = open(&bench, &tar(&layer("other"))).await.unwrap_err();
    assert!(matches!(error, ArchiveError::WrongLayer { .. }) && error.exit() == Exit::Untrusted, "{error:?}");
    // One that changes after the archive was opened.
    let archive = open(&bench, &tar(&layer("f"))).await.unwrap();
    let mut bytes = tar(&layer("f"));
    let at = bytes.windows(9).position(|window| window == b"ustar\0x00").unwrap_or(3 * 512 + 20);
    bytes[at] ^= 1;
    std::fs::write(archive.path(), bytes).unwrap();
    let target = Layout::create(bench.layout.root().join("target")).unwrap();
    let route = Route {
        from: &archive,
        from_repository: &repository(),
        to: &target,
        to_repository: &repository(),
        work: &bench.folder.join("work"),
        progress: &Silent,
    };
    let error = copy(route, &archive.listed()[0].image.digest, &[]).await.unwrap_err();
    assert_eq!(error.exit(), Exit::Untrusted, "{error:?}");
    // Fewer layers than the configuration has, and one that is not there.
    let fewer = Tar::new().file("c", &config(&[layer("f")])).file("manifest.json", br#"[{"Config":"c","Layers":[]}]"#);
    assert_eq!(refused(fewer).await, "/archive.tar lacks 1 of the 0 layers that the configuration has");
    let absent = Tar::new().file("c", &config(&[layer("f")])).file("manifest.json", manifest);
    assert_eq!(refused(absent).await, "/archive.tar lacks l");
    let huge = Tar::new().file("oci-layout", b"{}").file("index.json", &vec![b' '; (4 << 20) + 1]);
    assert_eq!(refused(huge).await, "too many bytes in a document that describes an image");
    let twice = br#"[{"Config":"c","Config":"d","Layers":[]}]"#;
    assert_eq!(refused(Tar::new().file("manifest.json", twice)).await, "manifest.json in /archive.tar is malformed");
}

#[tokio::test]
async fn what_is_no_archive_says_so() {
    let bench = Bench::new();
    for (bytes, why) in [
        (Tar::new().file("x", b"").bytes(), "it has neither"),
        (b"\xfd7zXZ\0".to_vec(), "it is compressed"),
        (b"\x28\xb5\x2f\xfd0000".to_vec(), "it is compressed"),
        (Vec::new(), "it has neither"),
    ] {
        let error = open(&bench, &bytes).await.unwrap_err();
        assert!(error.to_string().contains(why) && error.exit() == Exit::Usage, "{error}");
    }
    let cut = saved().bytes();
    assert!(matches!(open(&bench, &cut[..3 * 512 + 10]).await, Err(ArchiveError::Tar { .. })));
    let folder = Archive::open(&bench.folder, &bench.folder, &bench.limits).await.unwrap_err();
    assert!(folder.hints()[0].contains("oci:FOLDER"));
    let gone = Archive::open(&bench.folder.join("none"), &bench.folder, &bench.limits).await.unwrap_err();
    assert_eq!(gone.exit(), Exit::Usage);
}

#[tokio::test]
async fn a_gzipped_archive_is_decompressed_within_limits() {
    let mut bench = Bench::new();
    let bomb = |megabytes: usize| gzip(&Tar::new().file("zeros", &vec![0; megabytes << 20]).bytes());
    (bench.limits.ratio, bench.limits.ratio_floor) = (100, 1 << 20);
    let limit = |error: ArchiveError| match error {
        ArchiveError::Tar { source: LayerError::Limit { limit, .. }, .. } => limit,
        other => panic!("{other:?}"),
    };
    assert_eq!(limit(open(&bench, &bomb(4)).await.unwrap_err()), Limit::Ratio);
    // Many members, each harmless: they count together.
    let members: Vec<u8> = (0..40).flat_map(|_| gzip(&vec![0; 100_000])).collect();
    assert_eq!(limit(open(&bench, &members).await.unwrap_err()), Limit::Ratio);
    bench.limits.ratio = u64::MAX;
    bench.limits.total_bytes = 1 << 20;
    assert_eq!(limit(open(&bench, &bomb(4)).await.unwrap_err()), Limit::TotalBytes);
    assert_eq!(names(&bench.folder.join("work")), Vec::<String>::new());
}

/// An index of an image that is named by another hash than the usual one, with everything in it.
async fn by_sha512(layout: &Layout) -> (Manifest, Manifest) {
    let sha512 = |media_type: &str, bytes: &[u8]| {
        let mut hasher = Hasher::new(Algorithm::Sha512);
        hasher.update(bytes);
        Descriptor::new(media_type, hasher.finish(), bytes.len() as u64)
    };
    let config = config(&[]);
    let described = sha512(media_type::IMAGE_CONFIG, &config);
    layout.push_blob(&repository(), &described, config.into()).await.unwrap();
    let image = ImageManifest::new(described, Vec::new()).to_manifest();
    let listed = sha512(media_type::IMAGE_MANIFEST, image.bytes());
    let image = Manifest::known(media_type::IMAGE_MANIFEST, image.bytes().clone(), listed.digest.clone());
    layout.push_manifest(&repository(), &image).await.unwrap();
    let index = Index::new(vec![listed]).to_manifest();
    layout.tag(&repository().tag("v1".parse().unwrap()), &index).await.unwrap();
    (index, image)
}

#[tokio::test]
async fn other_hashes_come_along_and_keep_their_names() {
    let bench = Bench::new();
    let (index, image) = by_sha512(&bench.layout).await;
    let file = bench.folder.join("image.tar");
    write(&bench.layout, &file).await.unwrap();
    let archive = Archive::open(&file, &bench.folder.join("work"), &Limits::default()).await.unwrap();
    let target = Layout::create(bench.folder.join("target")).unwrap();
    let (work, repository) = (bench.folder.join("work"), repository());
    let route = Route {
        from: &archive,
        from_repository: &repository,
        to: &target,
        to_repository: &repository,
        work: &work,
        progress: &Silent,
    };
    copy(route, index.digest(), &[]).await.unwrap();
    let there = target.manifest(&repository.pin(image.digest().clone())).await.unwrap().unwrap();
    assert_eq!(there, image);
    assert!(target.has_blob(&repository, &there.as_image().unwrap().config.digest).await.unwrap());
}

#[tokio::test]
async fn a_pipe_is_neither_waited_for_nor_replaced() {
    let bench = Bench::new();
    let image = image(&bench.layout, vec![Tar::new().file("f", b"1").into()]).await;
    let pipe = bench.folder.join("pipe");
    nix::unistd::mkfifo(&pipe, nix::sys::stat::Mode::S_IRWXU).unwrap();
    let error = Archive::open(&pipe, &bench.folder, &Limits::default()).await.unwrap_err();
    assert!(matches!(error, ArchiveError::Io { .. }), "{error:?}");
    assert!(write(&bench.layout, &pipe).await.is_err());
    assert!(std::os::unix::fs::FileTypeExt::is_fifo(&std::fs::metadata(&pipe).unwrap().file_type()));
    // Behind a link lies what is meant.
    let (link, file) = (bench.folder.join("link"), bench.folder.join("file"));
    std::fs::write(&file, b"old").unwrap();
    std::os::unix::fs::symlink(&file, &link).unwrap();
    write(&bench.layout, &link).await.unwrap();
    assert!(std::fs::symlink_metadata(&link).unwrap().is_symlink() && std::fs::read(&file).unwrap() != b"old");
    // In a layout that somebody else made.
    let blob = bench.layout.blob_path(image.digest());
    std::fs::remove_file(&blob).unwrap();
    std::fs::rename(&pipe, &blob).unwrap();
    assert!(bench.layout.manifest(&image).await.is_err());
    let described = Descriptor::new("x/y", image.digest().clone(), 1);
    assert!(bench.layout.blob_stream(&repository(), &described).await.is_err());
}
