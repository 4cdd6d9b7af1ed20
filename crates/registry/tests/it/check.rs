//! Damage of every kind: found, repaired where that is possible, and said where it is not.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use hyper::StatusCode;
use schleuse_model::{Clock as _, Digest, SystemClock};
use schleuse_oci::{Index, Manifest};
use schleuse_registry::{CheckOptions, CheckReport, Error, Fault, FolderVolume, Outcome, Registry, Running, check};

use super::harness::{Client, loopback, noise};

fn run(folder: &Path, repair: bool) -> CheckReport {
    let volume = FolderVolume::open(folder).unwrap();
    let options = CheckOptions { repair, ..CheckOptions::default() };
    check(Arc::new(volume), options, SystemClock.now(), &|_, _| {}).unwrap()
}

/// What was found, as `problem: outcome`, sorted.
fn told(report: &CheckReport) -> Vec<String> {
    let mut told: Vec<_> = report.findings.iter().map(|f| format!("{:?}: {:?}", f.problem, f.outcome)).collect();
    told.sort();
    told
}

struct Content {
    one: Manifest,
    evidence: Manifest,
    index: Manifest,
}

async fn serve(folder: &Path) -> (Running, Client) {
    let running = Registry::disk(folder).unwrap().spawn(loopback()).await.unwrap();
    let client = Client::new(running.addr()).await;
    (running, client)
}

/// A repository with everything: a tagged image, an index of it, evidence about it, a loose blob.
async fn fill(folder: &Path) -> Content {
    let (running, mut client) = serve(folder).await;
    let one = client.image("a/b", &noise(3_000_000)).await.to_manifest();
    client.put("a/b", "v1", &one, &[]).await;
    let mut evidence = client.image("a/b", b"evidence").await;
    evidence.subject = Some(one.descriptor());
    let evidence = evidence.to_manifest();
    client.put("a/b", &evidence.digest().to_string(), &evidence, &[]).await;
    let index = Index::new(vec![one.descriptor()]).to_manifest();
    client.put("a/b", "all", &index, &[]).await;
    client.blob("a/b", b"loose").await;
    drop(client);
    running.stop().await.unwrap();
    Content { one, evidence, index }
}

fn blob(folder: &Path, digest: &Digest) -> std::path::PathBuf {
    folder.join("blobs/sha256").join(&digest.hex()[..2]).join(digest.hex())
}

fn flip(path: &Path) {
    let mut bytes = std::fs::read(path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(path, bytes).unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sound_folder_is_whole_and_read_to_the_end() {
    let folder = tempfile::tempdir().unwrap();
    fill(folder.path()).await;
    let (last, total) = (AtomicU64::new(0), AtomicU64::new(0));
    let progress = |done, of| {
        last.fetch_max(done, Relaxed);
        total.store(of, Relaxed);
    };
    let volume = Arc::new(FolderVolume::open(folder.path()).unwrap());
    let report = check(volume, CheckOptions::default(), SystemClock.now(), &progress).unwrap();
    assert!(report.is_whole() && report.findings.is_empty() && report.foreign.is_empty(), "{report:?}");
    assert_eq!((report.repositories, report.manifests, report.blobs), (1, 3, 4));
    assert_eq!(report.bytes, 3_000_000 + 2 + 8 + 5);
    assert_eq!((last.into_inner(), total.into_inner()), (report.bytes, report.bytes));
}

/// Everything that was drawn from manifests can be drawn again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn links_and_referrers_are_rebuilt() {
    let folder = tempfile::tempdir().unwrap();
    let content = fill(folder.path()).await;
    let repository = folder.path().join("repos/a/b");
    let stem = content.evidence.digest().as_tag_stem();
    let entries = repository.join("_referrers").join(content.one.digest().as_tag_stem());
    std::fs::remove_dir_all(repository.join("_links")).unwrap();
    std::fs::write(entries.join(&stem), "{}").unwrap();
    std::fs::write(entries.join(content.index.digest().as_tag_stem()), "{}").unwrap();
    let found = run(folder.path(), false);
    let expected = ["DanglingReferrer: Found", "MissingLink: Found", "MissingLink: Found", "MissingLink: Found"];
    assert_eq!(told(&found), [expected.as_slice(), &["WrongReferrer: Found"]].concat());
    assert!(!found.is_whole());
    let repaired = run(folder.path(), true);
    assert!(repaired.is_whole() && repaired.findings.iter().all(|f| f.outcome == Outcome::Repaired), "{repaired:?}");
    assert_eq!(run(folder.path(), false).findings, []);
    std::fs::remove_dir_all(repository.join("_referrers")).unwrap();
    assert_eq!(told(&run(folder.path(), true)), ["WrongReferrer: Repaired"]);
    assert_eq!(run(folder.path(), false).findings, []);

    let (running, mut client) = serve(folder.path()).await;
    for layer in content.one.as_image().unwrap().layers {
        assert_eq!(client.get(&format!("/v2/a/b/blobs/{}", layer.digest)).await.status, StatusCode::OK);
    }
    let list = client.get(&format!("/v2/a/b/referrers/{}", content.one.digest())).await.json();
    assert_eq!(list["manifests"][0]["digest"], content.evidence.digest().to_string());
    drop(client);
    running.stop().await.unwrap();
}

/// Damaged content is moved aside, never deleted, and said to be missing until somebody pushes it again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn damaged_content_is_moved_aside() {
    let folder = tempfile::tempdir().unwrap();
    let content = fill(folder.path()).await;
    let layer = content.one.as_image().unwrap().layers[0].digest.clone();
    flip(&blob(folder.path(), &layer));
    flip(&blob(folder.path(), &Digest::sha256(b"loose")));
    let manifest = format!("repos/a/b/_manifests/{}", content.index.digest().as_tag_stem());
    flip(&folder.path().join(&manifest));
    let damaged = std::fs::read(folder.path().join(&manifest)).unwrap();
    let repaired = run(folder.path(), true);
    let expected = [
        "DamagedBlob: MovedAside",
        "DamagedBlob: MovedAside",
        "DamagedManifest: MovedAside",
        "DanglingLink: Repaired",
        "DanglingTag: Left",
        "MissingBlob: Left",
    ];
    assert_eq!(told(&repaired), expected);
    assert!(!repaired.is_whole());
    let missing = repaired.findings.iter().find(|f| f.problem == Fault::MissingBlob).unwrap();
    assert_eq!(missing.to_string(), format!("a/b: blob {layer} is missing; {} names it", content.one.digest()));
    assert_eq!(std::fs::read(folder.path().join("quarantine").join(&manifest)).unwrap(), damaged);
    // What is left is said again, and nothing else.
    assert_eq!(told(&run(folder.path(), true)), ["DanglingTag: Left", "MissingBlob: Left"]);

    let (running, mut client) = serve(folder.path()).await;
    assert_eq!(client.get(&format!("/v2/a/b/blobs/{layer}")).await.code(), "BLOB_UNKNOWN");
    client.blob("a/b", &noise(3_000_000)).await;
    assert_eq!(client.put("a/b", "all", &content.index, &[]).await.status, StatusCode::CREATED);
    drop(client);
    running.stop().await.unwrap();
    assert_eq!(run(folder.path(), false).findings, []);
    // The same file damaged again does not overwrite the first one.
    flip(&folder.path().join(&manifest));
    run(folder.path(), true);
    assert_eq!(std::fs::read(folder.path().join("quarantine").join(&manifest)).unwrap(), damaged);
    assert!(folder.path().join("quarantine").join(manifest + ".1").exists());
}

/// A tag that may have been created once does not become free by itself.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_damaged_tag_is_left_and_named() {
    let folder = tempfile::tempdir().unwrap();
    let content = fill(folder.path()).await;
    let tags = folder.path().join("repos/a/b/_tags");
    std::fs::write(tags.join("v1"), "sha256:").unwrap();
    std::fs::remove_file(folder.path().join(format!("repos/a/b/_manifests/{}", content.one.digest().as_tag_stem())))
        .unwrap();
    std::fs::write(tags.join("not a tag"), "").unwrap();
    let report = run(folder.path(), true);
    assert_eq!(told(&report), ["DamagedTag: Left", "MissingManifest: Left"]);
    assert_eq!(report.foreign, [Path::new("repos/a/b/_tags/not a tag")]);
    assert_eq!(std::fs::read(tags.join("v1")).unwrap(), b"sha256:");
    // A mirror of some platforms has indexes that name what it does not have.
    let options = CheckOptions { allow_sparse: true, ..CheckOptions::default() };
    let volume = Arc::new(FolderVolume::open(folder.path()).unwrap());
    assert_eq!(told(&check(volume, options, SystemClock.now(), &|_, _| {}).unwrap()), ["DamagedTag: Found"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_a_registrys_folder_that_nobody_serves() {
    let folder = tempfile::tempdir().unwrap();
    for not_one in [folder.path().join("none"), folder.path().to_owned()] {
        assert!(matches!(FolderVolume::open(&not_one), Err(Error::NoRegistry { .. })));
        assert!(not_one.read_dir().map_or(0, Iterator::count) == 0, "nothing is made there");
    }
    let registry = Registry::disk(folder.path()).unwrap();
    assert!(matches!(FolderVolume::open(folder.path()), Err(Error::Locked { .. })));
    drop(registry);
    // The lock file that stays behind is no obstacle.
    assert!(folder.path().join("lock").exists());
    assert!(run(folder.path(), true).is_whole());
}
