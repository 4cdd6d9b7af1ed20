//! Collecting garbage, alone and beside everything else.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use hyper::StatusCode;
use schleuse_model::{Clock, Digest, Timestamp};
use schleuse_registry::{GcOptions, Registry};
use tokio::task::JoinSet;

use super::harness::{Client, loopback, noise};

/// A clock that is set.
#[derive(Debug, Default)]
struct Set(AtomicI64);

impl Set {
    fn advance(&self, by: Duration) {
        self.0.fetch_add(i64::try_from(by.as_millis()).unwrap(), Relaxed);
    }
}

impl Clock for Set {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(1_000_000_000_000 + self.0.load(Relaxed))
    }
}

const HOUR: Duration = Duration::from_secs(3600);
const OPTIONS: GcOptions = GcOptions { grace: HOUR, dry_run: false };

fn both() -> Vec<(Registry, Option<tempfile::TempDir>)> {
    let folder = tempfile::tempdir().unwrap();
    vec![(Registry::memory(), None), (Registry::disk(folder.path()).unwrap(), Some(folder))]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_goes_and_what_stays() {
    for (registry, _folder) in both() {
        let clock = Arc::new(Set::default());
        let running = registry.clone().spawn_with(loopback(), clock.clone()).await.unwrap();
        let mut client = Client::new(running.addr()).await;
        let kept = client.image("a", b"named").await.to_manifest();
        client.put("a", &kept.digest().to_string(), &kept, &[]).await;
        let loose = client.blob("a", &noise(1000)).await.digest;
        let asked = client.blob("a", b"asked for").await.digest;
        let elsewhere = client.blob("b", b"in two repositories").await.digest;
        let mount = client.send("POST", &format!("/v2/a/blobs/uploads/?mount={elsewhere}&from=b"), &[], "").await;
        assert_eq!(mount.status, StatusCode::CREATED);
        let path = |name: &str, digest: &Digest| format!("/v2/{name}/blobs/{digest}");

        // Within the grace period nothing goes: a push may be under way.
        clock.advance(HOUR / 2);
        let report = registry.collect(OPTIONS, clock.now()).unwrap();
        assert_eq!((report.links_removed, report.links_recent, report.blobs_removed), (0, 4, 0));
        assert_eq!((report.repositories, report.manifests), (2, 1));
        // Who is told that it is there does not push it: that counts as a push. So does mounting.
        assert_eq!(client.send("HEAD", &path("a", &asked), &[], "").await.status, StatusCode::OK);
        client.send("POST", &format!("/v2/a/blobs/uploads/?mount={elsewhere}&from=b"), &[], "").await;
        clock.advance(HOUR / 2);
        let dry = registry.collect(GcOptions { dry_run: true, ..OPTIONS }, clock.now()).unwrap();
        assert_eq!((dry.links_removed, dry.links_recent, dry.blobs_removed, dry.bytes_freed), (2, 2, 1, 1000));
        assert_eq!(client.get(&path("a", &loose)).await.status, StatusCode::OK);
        // That was asking, too.
        let report = registry.collect(OPTIONS, clock.now()).unwrap();
        assert_eq!((report.links_removed, report.blobs_removed), (1, 0));
        clock.advance(HOUR);
        let report = registry.collect(OPTIONS, clock.now()).unwrap();
        assert_eq!((report.links_removed, report.links_recent, report.blobs_removed), (3, 0, 3));
        for digest in [&loose, &asked, &elsewhere] {
            assert_eq!(client.get(&path("a", digest)).await.code(), "BLOB_UNKNOWN");
        }
        // Named by a manifest without a tag: stays for good.
        clock.advance(1000 * HOUR);
        let report = registry.collect(OPTIONS, clock.now()).unwrap();
        assert_eq!((report.links_removed, report.blobs_removed), (0, 0));
        for layer in kept.as_image().unwrap().layers {
            assert_eq!(client.get(&path("a", &layer.digest)).await.status, StatusCode::OK);
        }
        // And goes when its manifest does.
        client.send("DELETE", &format!("/v2/a/manifests/{}", kept.digest()), &[], "").await;
        clock.advance(HOUR);
        let report = registry.collect(OPTIONS, clock.now()).unwrap();
        assert_eq!((report.links_removed, report.blobs_removed), (2, 2));
        drop(client);
        running.stop().await.unwrap();
    }
}

/// What a damaged manifest names is not known: its repository is left alone, and the report says so.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_repository_with_a_damaged_manifest_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let registry = Registry::disk(folder.path()).unwrap();
    let running = registry.clone().spawn(loopback()).await.unwrap();
    let mut client = Client::new(running.addr()).await;
    for name in ["a", "b"] {
        let manifest = client.image(name, name.as_bytes()).await.to_manifest();
        client.put(name, "t", &manifest, &[]).await;
        client.blob(name, b"loose").await;
        let stored = folder.path().join(format!("repos/{name}/_manifests/{}", manifest.digest().as_tag_stem()));
        if name == "a" {
            std::fs::write(stored, "torn").unwrap();
        }
    }
    let later = schleuse_model::SystemClock.now().plus(2 * HOUR);
    let report = registry.collect(OPTIONS, later).unwrap();
    assert_eq!((report.skipped, report.links_removed, report.blobs_removed), (vec!["a".to_owned()], 1, 0));
    drop(client);
    running.stop().await.unwrap();
}

/// Pushes, mounts and deletions of the same content while garbage is collected without a pause and time flies: no push fails, and
/// no manifest ever names what is not there.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn collecting_beside_pushes() {
    for (registry, _folder) in both() {
        let clock = Arc::new(Set::default());
        let running = registry.clone().spawn_with(loopback(), clock.clone()).await.unwrap();
        let address = running.addr();
        let busy = Arc::new(AtomicBool::new(true));
        let (pushes, removed) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        // An hour passes between two pushes, never during one: so each link is old when a push begins, and the collector after it.
        let turn = Arc::new(tokio::sync::RwLock::new(()));
        let mut tasks = JoinSet::new();
        for pusher in 0..4_usize {
            let (busy, pushes, turn) = (busy.clone(), pushes.clone(), turn.clone());
            tasks.spawn(async move {
                let mut client = Client::new(address).await;
                let name = ["a", "b"][pusher % 2];
                for round in 0.. {
                    if !busy.load(Relaxed) {
                        break;
                    }
                    let _under_way = turn.read().await;
                    push_and_delete(&mut client, name, pusher, round).await;
                    pushes.fetch_add(1, Relaxed);
                }
            });
        }
        let collector = std::thread::spawn({
            let (registry, clock, busy, removed) = (registry.clone(), clock.clone(), busy.clone(), removed.clone());
            move || {
                while busy.load(Relaxed) {
                    let report = registry.collect(OPTIONS, clock.now()).unwrap();
                    assert_eq!(report.skipped, [""; 0]);
                    removed.fetch_add(report.blobs_removed, Relaxed);
                }
            }
        });
        for _ in 0..150 {
            tokio::time::sleep(Duration::from_millis(15)).await;
            let _between = turn.write().await;
            clock.advance(HOUR);
        }
        busy.store(false, Relaxed);
        tasks.join_all().await;
        collector.join().unwrap();
        let (pushes, removed) = (pushes.load(Relaxed), removed.load(Relaxed));
        println!("{pushes} pushes, {removed} blobs collected");
        assert!(pushes > 50 && removed > 5, "{pushes} pushes, {removed} blobs collected");
        running.stop().await.unwrap();
    }
}

/// As clients do: look, then mount from the other repository, or push; then the manifest; read it back; now and then delete it.
async fn push_and_delete(client: &mut Client, name: &str, pusher: usize, round: usize) {
    let other = if name == "a" { "b" } else { "a" };
    let shared = format!("shared {}", (round / 3 + pusher) % 5);
    let mut image = schleuse_oci::ImageManifest::new(
        schleuse_oci::Descriptor::of(schleuse_oci::media_type::EMPTY, b"{}"),
        vec![schleuse_oci::Descriptor::of(schleuse_oci::media_type::LAYER_TAR, shared.as_bytes())],
    );
    image.annotations.insert("n".to_owned(), format!("{pusher} {round}"));
    let contents = ["{}", &shared];
    let manifest = image.to_manifest();
    let reference = manifest.digest().to_string();
    // Every second time without looking whether the content is there: accepted or refused, but never both.
    if round.is_multiple_of(2) {
        let blind = client.put(name, &reference, &manifest, &[]).await;
        if blind.status == StatusCode::CREATED {
            return read_and_delete(client, name, &reference, &contents).await;
        }
        assert_eq!(blind.code(), "MANIFEST_BLOB_UNKNOWN");
    }
    for content in contents {
        let digest = Digest::sha256(content.as_bytes());
        if client.send("HEAD", &format!("/v2/{name}/blobs/{digest}"), &[], "").await.status == StatusCode::OK {
            continue;
        }
        let mount = format!("/v2/{name}/blobs/uploads/?mount={digest}&from={other}");
        let mounted = client.send("POST", &mount, &[], "").await;
        if mounted.status != StatusCode::CREATED {
            let upload = format!("{}?digest={digest}", mounted.header("location"));
            let pushed = client.send("PUT", &upload, &[], (*content).to_owned()).await;
            assert_eq!(pushed.status, StatusCode::CREATED, "{pushed:?}");
        }
    }
    let put = client.put(name, &reference, &manifest, &[]).await;
    assert_eq!(put.status, StatusCode::CREATED, "{put:?}");
    read_and_delete(client, name, &reference, &contents).await;
}

/// What an accepted manifest names is there.
async fn read_and_delete(client: &mut Client, name: &str, reference: &str, contents: &[&str]) {
    for content in contents {
        let got = client.get(&format!("/v2/{name}/blobs/{}", Digest::sha256(content.as_bytes()))).await;
        assert_eq!((got.status, &*got.body), (StatusCode::OK, content.as_bytes()));
    }
    let path = format!("/v2/{name}/manifests/{reference}");
    assert_eq!(client.send("DELETE", &path, &[], "").await.status, StatusCode::ACCEPTED);
}
