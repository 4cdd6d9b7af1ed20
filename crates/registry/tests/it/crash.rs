mod faults;
mod held;
mod kill;
mod power;
mod repair;
mod scenario;
mod states;
mod volume;

use std::path::Path;

use hyper::StatusCode;
use schleuse_registry::{Error, Registry};

use super::harness::{Client, loopback};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_on_one_folder_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let first = Registry::disk(folder.path()).unwrap();
    assert!(matches!(Registry::disk(folder.path()), Err(Error::Locked { .. })));
    drop(first);
    assert!(Registry::disk(folder.path()).is_ok());
}

/// What a killed process leaves behind is cleared at the next start, and nothing else is.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restart_sweeps_only_what_was_unfinished() {
    let folder = tempfile::tempdir().unwrap();
    let registry = Registry::disk(folder.path()).unwrap().spawn(loopback()).await.unwrap();
    let mut client = Client::new(registry.addr()).await;
    let manifest = client.image("a", b"layer").await.to_manifest();
    for tag in ["v1.tmp", "tmp", "uploads", "lock"] {
        assert_eq!(client.put("a", tag, &manifest, &[]).await.status, StatusCode::CREATED);
    }
    for repository in ["a/uploads", "a/tmp", "a/blobs/sha256"] {
        let manifest = client.image(repository, b"layer").await.to_manifest();
        client.put(repository, "t", &manifest, &[]).await;
    }
    let start = client.send("POST", "/v2/a/blobs/uploads/", &[], "").await;
    client.send("PATCH", start.header("location"), &[], "unfinished").await;
    assert_eq!(std::fs::read_dir(folder.path().join("uploads")).unwrap().count(), 1);
    drop(client);
    registry.stop().await.unwrap();
    std::fs::write(folder.path().join("tmp/7"), "torn").unwrap();
    std::fs::write(folder.path().join("uploads/0123456789abcdef0123456789abcdef"), "torn").unwrap();

    let registry = Registry::disk(folder.path()).unwrap().spawn(loopback()).await.unwrap();
    for swept in ["tmp", "uploads"] {
        assert_eq!(std::fs::read_dir(folder.path().join(swept)).unwrap().count(), 0, "{swept}");
    }
    let mut client = Client::new(registry.addr()).await;
    let tags = client.get("/v2/a/tags/list").await.json()["tags"].to_string();
    assert_eq!(tags, r#"["lock","tmp","uploads","v1.tmp"]"#);
    for path in ["/v2/a/manifests/v1.tmp", "/v2/a/uploads/manifests/t", "/v2/a/blobs/sha256/manifests/t"] {
        assert_eq!(client.get(path).await.status, StatusCode::OK, "{path}");
    }
    registry.stop().await.unwrap();
}

/// Damage is an error, never an answer, and never "not there".
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn damaged_files_are_not_served() {
    let folder = tempfile::tempdir().unwrap();
    let registry = Registry::disk(folder.path()).unwrap().spawn(loopback()).await.unwrap();
    let mut client = Client::new(registry.addr()).await;
    let manifest = client.image("a", b"layer").await.to_manifest();
    client.put("a", "t", &manifest, &[]).await;
    let repository = folder.path().join("repos/a");
    let stored = repository.join("_manifests").join(manifest.digest().as_tag_stem());
    let good = std::fs::read(&stored).unwrap();
    let mut flipped = good.clone();
    *flipped.last_mut().unwrap() ^= 1;
    for bad in [flipped.as_slice(), &good[..good.len() / 2], b""] {
        std::fs::write(&stored, bad).unwrap();
        let got = client.get("/v2/a/manifests/t").await;
        assert_eq!(got.status, StatusCode::INTERNAL_SERVER_ERROR, "{:?}", got.body);
        assert!(!String::from_utf8_lossy(&got.body).contains(folder.path().to_str().unwrap()));
    }
    // Pushing it again puts it right.
    assert_eq!(client.put("a", "t", &manifest, &[]).await.status, StatusCode::CREATED);
    assert_eq!(&client.get("/v2/a/manifests/t").await.body, manifest.bytes());
    for bad in ["", "sha256:00\n", &manifest.digest().to_string()] {
        std::fs::write(repository.join("_tags/t"), bad).unwrap();
        assert_eq!(client.get("/v2/a/manifests/t").await.status, StatusCode::INTERNAL_SERVER_ERROR, "{bad}");
        // A create-once write must not take a torn tag for a free one.
        let once = client.put("a", "t", &manifest, &[("if-none-match", "*")]).await;
        assert_eq!(once.status, StatusCode::INTERNAL_SERVER_ERROR);
    }
    registry.stop().await.unwrap();
}

/// A folder that cannot be written: 500, no 201, and the registry goes on serving.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failing_write_is_no_201() {
    let folder = tempfile::tempdir().unwrap();
    let registry = Registry::disk(folder.path()).unwrap().spawn(loopback()).await.unwrap();
    let mut client = Client::new(registry.addr()).await;
    let manifest = client.image("a", b"layer").await.to_manifest();
    // Works as root too: a file where a folder must be.
    block(&folder.path().join("repos/a/_tags"));
    assert_eq!(client.put("a", "t", &manifest, &[]).await.status, StatusCode::INTERNAL_SERVER_ERROR);
    assert_eq!(std::fs::read_dir(folder.path().join("tmp")).unwrap().count(), 0);
    assert_eq!(client.put("a", &manifest.digest().to_string(), &manifest, &[]).await.status, StatusCode::CREATED);
    registry.stop().await.unwrap();
}

fn block(path: &Path) {
    let _ = std::fs::remove_dir(path);
    std::fs::write(path, "").unwrap();
}
