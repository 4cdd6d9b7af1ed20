//! A real process, killed at random: while it is pushed to, deleted from and collected.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use hyper::StatusCode;
use schleuse_oci::Manifest;
use schleuse_registry::{CheckOptions, FolderVolume, GcOptions, Registry, check};

use crate::it::harness::{Client, loopback};

const FOLDER: &str = "REGISTRY_CRASH_TEST_FOLDER";

/// So many kills; with `SCHLEUSE_SOAK=1` a thousand.
fn rounds() -> u64 {
    #[allow(clippy::disallowed_methods, reason = "how long the test is is the caller's choice")]
    let soak = std::env::var_os("SCHLEUSE_SOAK").is_some_and(|value| value == "1");
    if soak { 1000 } else { 50 }
}

/// The process that is killed. Collects without a pause, with a grace period that no push takes.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "only as another test's child"]
async fn child() {
    #[allow(clippy::disallowed_methods, reason = "how the parent names the folder")]
    let Some(folder) = std::env::var_os(FOLDER) else { return };
    let registry = Registry::disk(folder).unwrap();
    let running = registry.clone().spawn(loopback()).await.unwrap();
    println!("\nlistening {}", running.addr());
    let options = GcOptions { grace: Duration::from_secs(5), dry_run: false };
    let collect = registry.gc_every(Duration::from_millis(5), options, |report| assert!(report.is_ok(), "{report:?}"));
    let _ = tokio::time::timeout(Duration::from_secs(60), collect).await;
}

struct Server(Child, SocketAddr);

impl Server {
    #[allow(clippy::disallowed_methods, reason = "this binary again, as the process to kill")]
    fn start(folder: &Path) -> Self {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["--exact", "it::crash::kill::child", "--ignored", "--nocapture"]).env(FOLDER, folder);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
        let address = lines.find_map(|line| line.strip_prefix("listening ")?.parse().ok()).unwrap();
        Self(child, address)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // SIGKILL.
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

/// What a writer was told.
#[derive(Debug)]
struct Told {
    tag: String,
    manifest: Manifest,
    content: String,
    /// `None`: asked to delete it, and not told that it was.
    there: Option<bool>,
}

/// Pushes, and deletes every second, until the server is gone.
async fn write(address: SocketAddr, round: u64, writer: usize, answers: Arc<AtomicU64>) -> Vec<Told> {
    let mut told: Vec<Told> = Vec::new();
    let Some(mut client) = Client::try_new(address).await else { return told };
    for count in 0.. {
        let content = format!("{round} {writer} {count}");
        let Some(image) = client.try_image("a", content.as_bytes()).await else { break };
        let (tag, manifest) = (format!("t-{round}-{writer}-{count}"), image.to_manifest());
        let Some(status) = client.try_put("a", &tag, &manifest).await else { break };
        assert_eq!(status, StatusCode::CREATED);
        told.push(Told { tag, manifest, content, there: Some(true) });
        answers.fetch_add(1, Relaxed);
        if count % 2 == 1
            && let Some(last) = told.last_mut()
        {
            let path = format!("/v2/a/manifests/{}", last.manifest.digest());
            last.there = None;
            let Some(got) = client.try_send("DELETE", &path, &[], "".into()).await else { break };
            assert_eq!(got.status, StatusCode::ACCEPTED);
            last.there = Some(false);
            answers.fetch_add(1, Relaxed);
        }
    }
    told
}

async fn verify(client: &mut Client, told: &[Told]) {
    for Told { tag, manifest, content, there } in told {
        let got = client.get(&format!("/v2/a/manifests/{tag}")).await;
        match (there, got.status) {
            (Some(true) | None, StatusCode::OK) => {
                assert_eq!(&got.body, manifest.bytes(), "{tag}");
                let layer = &manifest.as_image().unwrap().layers[0].digest;
                assert_eq!(client.get(&format!("/v2/a/blobs/{layer}")).await.body, content.as_bytes(), "{tag}");
            }
            (Some(false) | None, StatusCode::NOT_FOUND) => {}
            _ => panic!("{tag}: told {there:?}, got {got:?}"),
        }
    }
}

/// After each kill everything that was answered 201 is there, whole, and what was answered 202 is gone; in the end the folder is
/// sound from end to end.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_answered_survives_a_kill() {
    let folder = tempfile::tempdir().unwrap();
    let (mut all, mut deleted) = (Vec::new(), 0);
    let mut server = Server::start(folder.path());
    for round in 0..rounds() {
        let (mut writers, answers) = (tokio::task::JoinSet::new(), Arc::new(AtomicU64::new(0)));
        for writer in 0..3 {
            writers.spawn(write(server.1, round, writer, answers.clone()));
        }
        // After so many answers, on a machine that is not too busy, and at any moment between two of them.
        for _ in 0..500 {
            if answers.load(Relaxed) >= 4 + round * 7 % 13 {
                break;
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        tokio::time::sleep(Duration::from_micros(round * 2333 % 13_000)).await;
        drop(server);
        let told: Vec<_> = writers.join_all().await.into_iter().flatten().collect();
        deleted += told.iter().filter(|told| told.there == Some(false)).count();
        server = Server::start(folder.path());
        let mut client = Client::new(server.1).await;
        verify(&mut client, &told).await;
        all.extend(told);
    }
    verify(&mut Client::new(server.1).await, &all).await;
    drop(server);
    println!("{} kills, {} pushes and {deleted} deletions answered", rounds(), all.len());
    assert!(all.len() > 100 && deleted > 20, "only {} pushes, {deleted} deletions were answered", all.len());
    let volume = Arc::new(FolderVolume::open(folder.path()).unwrap());
    let report = check(volume, CheckOptions::default(), schleuse_model::Timestamp::UNIX_EPOCH, &|_, _| {}).unwrap();
    // A deletion that was cut off may leave what an interrupted one leaves: nothing that check would call wrong.
    assert_eq!(report.findings, []);
}
