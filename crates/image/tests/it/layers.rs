//! The builder: the same bytes everywhere, and nothing in an image that was not meant.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use schleuse_image::{
    Base, BuildError, BuildManifest, Built, ImageSpec, LayerSpec, Layout, Ownership, Port, RunInfo, Runtime, Silent,
    Source, SourceInfo,
};
use schleuse_model::{Digest, Timestamp};
use schleuse_oci::{Index, Pull as _, Push as _, media_type};

use crate::support::{Bench, LayerBytes, Tar, image, linux, names, repository, tree};

fn spec(layers: Vec<LayerSpec>) -> ImageSpec {
    ImageSpec {
        layers,
        runtime: Runtime {
            entrypoint: Some(vec!["/app/run".to_owned()]),
            cmd: Some(vec!["--port".to_owned(), "3000".to_owned()]),
            env: [("NODE_ENV".to_owned(), "production".to_owned())].into(),
            user: Some("1000:1000".to_owned()),
            workdir: Some("/app".parse().unwrap()),
            expose: [Port { number: 3000, udp: false }].into(),
            labels: [("team".to_owned(), "billing".to_owned())].into(),
            stop_signal: Some("SIGTERM".to_owned()),
        },
        source: SourceInfo {
            commit: "4f2a".repeat(10).parse().unwrap(),
            version: Some("1.4.0".to_owned()),
            uri: "https://github.com/acme/billing".to_owned(),
        },
        platform: linux(),
        created: Timestamp::from_seconds(1_700_000_000),
    }
}

fn source(from: impl Into<PathBuf>, to: &str) -> Source {
    Source { from: from.into(), to: to.parse().unwrap(), uid: 0, gid: 0 }
}

fn layer(from: impl Into<PathBuf>, to: &str) -> LayerSpec {
    LayerSpec { sources: vec![source(from, to)] }
}

/// Some application: small and large files, a link, an empty folder, names out of order. `modes`: of plain files, programs and
/// folders.
fn application(folder: &Path, reversed: bool, modes: (u32, u32, u32)) {
    // Compressible, but not trivially: the golden digest is to notice a different match finder.
    let mut state = 1_u32;
    let mut big = Vec::new();
    while big.len() < 300_000 {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        big.extend_from_slice(&b"the quick brown fox jumps over the lazy dog"[..(state >> 27) as usize]);
        big.push((state >> 16) as u8);
    }
    let mut files: Vec<(&str, &[u8], u32)> = vec![
        ("run", b"#!/bin/sh\nexec node server.js\n", modes.1),
        ("server.js", b"console.log('hello')\n", modes.0),
        ("assets/big", &big, modes.0),
        ("assets-2/\u{e9}t\u{e9}", b"", modes.0),
    ];
    if reversed {
        files.reverse();
    }
    fs::create_dir_all(folder.join("empty")).unwrap();
    let long = format!("assets/{}/{}", "l".repeat(90), "n".repeat(90));
    for (name, content, mode) in files.into_iter().chain([(long.as_str(), &b"x"[..], modes.0)]) {
        let path = folder.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, content).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
    }
    std::os::unix::fs::symlink("./server.js", folder.join("current")).unwrap();
    fs::hard_link(folder.join("run"), folder.join("run-too")).unwrap();
    for name in ["empty", "assets", "assets-2", &format!("assets/{}", "l".repeat(90))] {
        fs::set_permissions(folder.join(name), fs::Permissions::from_mode(modes.2)).unwrap();
    }
}

async fn build(spec: &ImageSpec, folder: &Path) -> Built {
    schleuse_image::layers::build(spec, None, &folder.join("out")).await.unwrap()
}

/// These digests may change only together with a deliberate change of the format. If a dependency's update changes them
/// (compressor, tar writer, JSON), every image of every user would be rebuilt under another digest: pin the old version again.
#[tokio::test]
async fn golden_digests() {
    let folder = tempfile::tempdir().unwrap();
    application(&folder.path().join("dist"), false, (0o644, 0o755, 0o755));
    let built = build(&spec(vec![layer(folder.path().join("dist"), "/app")]), folder.path()).await;
    let image = built.manifest.as_image().unwrap();
    let config: schleuse_oci::ImageConfig = schleuse_model::json::from_untrusted(&built.config_bytes, 1 << 20).unwrap();
    let found = [
        config.rootfs.diff_ids[0].to_string(),
        image.layers[0].digest.to_string(),
        image.config.digest.to_string(),
        built.manifest.digest().to_string(),
    ];
    assert_eq!(
        found,
        [
            "sha256:7c80118971e3d06a6e2fcbd12e265310e5e28c4dccc80bc12e03c4ea2cc99b7b",
            "sha256:71db4fd8dd05676620015728567f2229f8f0527a04d8c35ebb5e1561918b83dc",
            "sha256:e7cfb596052c042b4e72a82002bcb59580418fe2430b8f85ec2291ae12a818ca",
            "sha256:f6f03031256414ae4ab282027ef49e4751e82207c35c0b63fbee4e570f62621e",
        ]
    );
}

#[tokio::test]
async fn the_same_image_whatever_umask_order_time_and_owner() {
    let folder = tempfile::tempdir().unwrap();
    let mut digests = Vec::new();
    let variants = [(0o644, 0o755, 0o755), (0o600, 0o700, 0o700), (0o666, 0o777, 0o777), (0o444, 0o555, 0o775)];
    for (number, modes) in variants.into_iter().enumerate() {
        let at = folder.path().join(number.to_string());
        let dist = at.join("dist");
        // Only group's and others' bits: other tests make files meanwhile.
        let umask = nix::sys::stat::umask(nix::sys::stat::Mode::from_bits_truncate(0o077 >> (number * 2)));
        application(&dist, number % 2 == 1, modes);
        for name in ["run", "server.js", "assets/big"] {
            let time = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000 * number as u64);
            fs::File::open(dist.join(name)).unwrap().set_modified(time).unwrap();
            if nix::unistd::geteuid().is_root() {
                std::os::unix::fs::chown(dist.join(name), Some(number as u32), Some(7)).unwrap();
            }
        }
        digests.push(build(&spec(vec![layer(&dist, "/app")]), &at).await.manifest.digest().clone());
        nix::sys::stat::umask(umask);
    }
    assert!(digests.iter().all(|digest| *digest == digests[0]), "{digests:?}");
}

#[tokio::test]
async fn what_is_in_the_layer() {
    let folder = tempfile::tempdir().unwrap();
    application(&folder.path().join("dist"), false, (0o600, 0o700, 0o700));
    let mut own = source(folder.path().join("dist/server.js"), "/srv/own/server.js");
    (own.uid, own.gid) = (1000, 1001);
    let layers = vec![LayerSpec { sources: vec![source(folder.path().join("dist"), "/opt/app"), own] }];
    let built = build(&spec(layers), folder.path()).await;
    let gzip = fs::read(&built.layers[0].1).unwrap();
    assert_eq!(&gzip[..10], b"\x1f\x8b\x08\0\0\0\0\0\0\xff", "no name, no time, no system in the gzip header");
    assert_eq!(Digest::sha256(&gzip), built.layers[0].0.digest);

    let mut archive = tar::Archive::new(flate2::read::GzDecoder::new(&gzip[..]));
    let mut lines = Vec::new();
    for entry in archive.entries().unwrap() {
        let entry = entry.unwrap();
        let header = entry.header();
        assert_eq!(header.mtime().unwrap(), 1_700_000_000);
        assert_eq!((header.username(), header.groupname()), (Ok(Some("")), Ok(Some(""))));
        let link = entry.link_name().unwrap().map(|link| format!(" -> {}", link.display())).unwrap_or_default();
        let (mode, uid, gid) = (header.mode().unwrap(), header.uid().unwrap(), header.gid().unwrap());
        let path =
            entry.path().unwrap().display().to_string().replace(&"l".repeat(90), "L").replace(&"n".repeat(90), "N");
        lines.push(format!("{path}{link} {mode:o} {uid}:{gid}"));
    }
    assert_eq!(
        lines,
        [
            "opt/ 755 0:0",
            "opt/app/ 755 0:0",
            "opt/app/assets/ 755 0:0",
            "opt/app/assets-2/ 755 0:0",
            "opt/app/assets-2/\u{e9}t\u{e9} 644 0:0",
            "opt/app/assets/big 644 0:0",
            "opt/app/assets/L/ 755 0:0",
            "opt/app/assets/L/N 644 0:0",
            "opt/app/current -> ./server.js 777 0:0",
            "opt/app/empty/ 755 0:0",
            "opt/app/run 755 0:0",
            "opt/app/run-too 755 0:0",
            "opt/app/server.js 644 0:0",
            "srv/ 755 0:0",
            "srv/own/ 755 0:0",
            "srv/own/server.js 644 1000:1001",
        ]
    );
}

#[tokio::test]
async fn built_pushed_and_unpacked_it_is_what_it_was() {
    let bench = Bench::new();
    let folder = bench.folder.join("outside");
    application(&folder.join("dist"), false, (0o644, 0o755, 0o755));
    let work = bench.folder.join("work");
    let spec = spec(vec![layer(folder.join("dist"), "/app"), layer(folder.join("file"), "/app/extra")]);
    let built = schleuse_image::layers::build(&spec, None, &work).await.unwrap();
    let tags = ["sha-4f2a".parse().unwrap(), "latest".parse().unwrap()];
    built.push(&bench.layout, None, &repository(), &tags, &work, &Silent).await.unwrap();
    fs::remove_dir_all(&work).unwrap();
    fs::create_dir(&work).unwrap();

    let image = bench.layout.resolve(&repository().tag(tags[0].clone())).await.unwrap().unwrap();
    assert_eq!(image.digest(), built.manifest.digest());
    let unpacked = bench.unpack_image(&image, Ownership::Ours).await.unwrap();
    let mut expected: Vec<_> = tree(&folder.join("dist"));
    expected.push("extra 644 untouched".to_owned());
    expected.sort();
    assert_eq!(tree(&bench.root().join("app")), expected);
    let config = unpacked.config.config;
    assert_eq!(config.working_dir.as_deref(), Some("/app"));
    assert_eq!(config.exposed_ports.into_keys().collect::<Vec<_>>(), ["3000/tcp"]);
    let labels: Vec<_> = config.labels.iter().map(|(name, value)| format!("{name}={value}")).collect();
    assert_eq!(
        labels,
        [
            "org.opencontainers.image.created=2023-11-14T22:13:20Z".to_owned(),
            format!("org.opencontainers.image.revision={}", "4f2a".repeat(10)),
            "org.opencontainers.image.source=https://github.com/acme/billing".to_owned(),
            "org.opencontainers.image.version=1.4.0".to_owned(),
            "team=billing".to_owned(),
        ]
    );
}

#[tokio::test]
async fn on_a_base_the_layers_come_on_top_and_the_folders_above_stay_the_bases() {
    let bench = Bench::new();
    let below: LayerBytes = Tar::new().raw(b'5', b"opt", b"", 0o1777, b"").file("opt/base", b"1").into();
    let docker = LayerBytes { media_type: media_type::DOCKER_LAYER_GZIP, ..below };
    let base = image(&bench.layout, vec![docker]).await;
    let mut child = bench.layout.manifest(&base).await.unwrap().unwrap().descriptor();
    child.platform = Some(linux());
    let index = Index::new(vec![child]).to_manifest();
    bench.layout.push_manifest(&repository(), &index).await.unwrap();
    let pinned = repository().pin(index.digest().clone());

    let target = Layout::create(bench.outside().join("target")).unwrap();
    let work = bench.outside().join("build");
    let spec = spec(vec![layer(bench.outside().join("file"), "/opt/new")]);
    let from = Base { pull: &bench.layout, image: &pinned };
    let built = schleuse_image::layers::build(&spec, Some(from), &work).await.unwrap();
    let tag = "v1".parse().unwrap();
    let missing = built.push(&target, None, &repository(), &[], &work, &Silent).await.unwrap_err();
    assert!(matches!(missing, schleuse_image::CopyError::Registry(schleuse_oci::Error::Missing { .. })));
    built.push(&target, Some(&bench.layout), &repository(), &[tag], &work, &Silent).await.unwrap();

    let image = built.manifest.as_image().unwrap();
    assert_eq!(image.layers.iter().map(|l| l.media_type.as_str()).collect::<Vec<_>>(), [media_type::LAYER_GZIP; 2]);
    assert_eq!(image.annotations["org.opencontainers.image.base.digest"], index.digest().to_string());
    let root = bench.root();
    let pushed = repository().pin(built.manifest.digest().clone());
    let (limits, ours) = (&bench.limits, Ownership::Ours);
    schleuse_image::unpack::unpack(&target, &pushed, &linux(), &root, &work, limits, ours).await.unwrap();
    assert_eq!(tree(&root), ["opt/ 1777", "opt/base 644 1", "opt/new 644 untouched"]);

    let manifest = BuildManifest::new(&built, repository(), None, Some("build.yml".to_owned()));
    assert_eq!(BuildManifest::parse(&manifest.to_bytes()).unwrap(), manifest);
    assert_eq!((manifest.layers.len(), manifest.base.as_ref().unwrap().digest.clone()), (2, index.digest().clone()));
    let run = RunInfo { builder_id: "x".to_owned(), invocation_id: None, started_on: None, finished_on: None };
    let provenance = schleuse_image::manifest::provenance(&manifest, run);
    let identity = schleuse_image::BuildIdentity {
        repository: spec.source.uri.clone(),
        commit: spec.source.commit.clone(),
        workflow: Some("build.yml".to_owned()),
    };
    assert_eq!(schleuse_image::manifest::reuse(&provenance, &identity), schleuse_image::Reuse::Yes);
}

#[tokio::test]
async fn a_link_that_is_named_is_followed() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("1.4.0")).unwrap();
    fs::write(folder.path().join("1.4.0/file"), "x").unwrap();
    std::os::unix::fs::symlink("1.4.0", folder.path().join("current")).unwrap();
    std::os::unix::fs::symlink("1.4.0/file", folder.path().join("file")).unwrap();
    let mut digests = Vec::new();
    for (a, b) in [("1.4.0", "1.4.0/file"), ("current", "file")] {
        let sources = vec![source(folder.path().join(a), "/app"), source(folder.path().join(b), "/file")];
        let built = build(&spec(vec![LayerSpec { sources }]), folder.path()).await;
        digests.push(built.manifest.digest().clone());
    }
    assert_eq!(digests[0], digests[1]);
}

#[tokio::test]
async fn a_base_for_another_platform_is_refused() {
    let bench = Bench::new();
    let base = image(&bench.layout, vec![Tar::new().into()]).await;
    let mut spec = spec(Vec::new());
    spec.platform.architecture = "arm64".to_owned();
    let from = Base { pull: &bench.layout, image: &base };
    let error = schleuse_image::layers::build(&spec, Some(from), &bench.root()).await.unwrap_err();
    assert!(matches!(error, BuildError::Base { .. }), "{error:?}");
}

async fn fails(sources: Vec<Source>, folder: &Path) -> BuildError {
    let out = folder.join("out");
    let spec = spec(vec![LayerSpec { sources }]);
    let error = schleuse_image::layers::build(&spec, None, &out).await.unwrap_err();
    assert!(!out.exists() || names(&out).is_empty(), "an unfinished layer was left behind");
    error
}

#[tokio::test]
async fn sources_that_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    fs::create_dir_all(at("a/sub")).unwrap();
    fs::create_dir_all(at("b")).unwrap();
    fs::write(at("a/file"), "").unwrap();
    fs::write(at("b/file"), "").unwrap();

    let error = fails(vec![source(at("missing"), "/x")], folder.path()).await;
    assert!(matches!(error, BuildError::Read { .. }));
    let error = fails(vec![source(at("a"), "/x"), source(at("b"), "/x")], folder.path()).await;
    assert!(matches!(error, BuildError::Collision { .. }));
    let error = fails(vec![source(at("a/file"), "/x"), source(at("b/file"), "/x/y")], folder.path()).await;
    assert!(matches!(error, BuildError::Collision { .. }), "a file that is a folder: {error:?}");
    let error = fails(vec![source(at("a/file"), "/")], folder.path()).await;
    assert!(matches!(error, BuildError::FileAsRoot { .. }));

    let socket = std::os::unix::net::UnixListener::bind(at("a/sub/socket")).unwrap();
    assert!(matches!(fails(vec![source(at("a"), "/x")], folder.path()).await, BuildError::Special { .. }));
    drop(socket);
    fs::remove_file(at("a/sub/socket")).unwrap();
    nix::unistd::mkfifo(&at("b/pipe"), nix::sys::stat::Mode::S_IRWXU).unwrap();
    assert!(matches!(fails(vec![source(at("b/pipe"), "/x")], folder.path()).await, BuildError::Special { .. }));
    fs::write(at("a/sub/.wh.file"), "").unwrap();
    assert!(matches!(fails(vec![source(at("a"), "/x")], folder.path()).await, BuildError::Whiteout { .. }));
}

#[tokio::test]
async fn settings_that_are_refused() {
    type Change = fn(&mut ImageSpec);
    let changes: [(Change, &str); 7] = [
        (|s| s.created = Timestamp::from_seconds(-1), "the time of the image lies before 1970"),
        (|s| s.source.version = Some("1\n2".to_owned()), "the version is empty"),
        (|s| s.source.uri.clear(), "the source's address is empty"),
        (|s| drop(s.runtime.env.insert("A=B".to_owned(), String::new())), "`env` \"A=B\" has an impossible name"),
        (|s| s.runtime.entrypoint = Some(Vec::new()), "`entrypoint` names no program"),
        (|s| s.runtime.expose = [Port { number: 0, udp: true }].into(), "`expose` has the port 0"),
        (
            |s| drop(s.runtime.labels.insert("org.opencontainers.image.revision".to_owned(), "lie".to_owned())),
            "the label `org.opencontainers.image.revision` is written by the build",
        ),
    ];
    for (change, says) in changes {
        let mut spec = spec(Vec::new());
        change(&mut spec);
        let folder = tempfile::tempdir().unwrap();
        let error = schleuse_image::layers::build(&spec, None, folder.path()).await.unwrap_err();
        assert!(error.to_string().starts_with(says), "{error}");
    }
}

#[test]
fn a_build_manifest_of_another_kind_is_refused() {
    for text in ["{}", r#"{"schema":"schleuse-build-v2"}"#, "[]"] {
        assert!(BuildManifest::parse(text.as_bytes()).is_err(), "{text}");
    }
}
