use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use hyper::StatusCode;
use tokio::task::JoinSet;

use super::harness::{Client, both};

/// Eight writers of different manifests, 100 rounds: exactly one 201 each, and the tag is the winner's.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn create_once_has_one_winner() {
    const WRITERS: usize = 8;
    for (registry, _folder) in both().await {
        let mut clients = Vec::new();
        for writer in 0..WRITERS {
            let mut client = Client::new(registry.addr()).await;
            let manifest = client.image("a", format!("writer {writer}").as_bytes()).await.to_manifest();
            clients.push((client, manifest));
        }
        for round in 0..100 {
            let start = Arc::new(tokio::sync::Barrier::new(WRITERS));
            let mut race = JoinSet::new();
            for (mut client, manifest) in clients.drain(..) {
                let start = start.clone();
                race.spawn(async move {
                    start.wait().await;
                    let got = client.put("a", &format!("j-{round:04}"), &manifest, &[("if-none-match", "*")]).await;
                    (client, manifest, got.status)
                });
            }
            let results = race.join_all().await;
            let winners: Vec<_> = results.iter().filter(|r| r.2 == StatusCode::CREATED).map(|r| r.1.clone()).collect();
            assert_eq!(winners.len(), 1, "round {round}");
            assert_eq!(results.iter().filter(|r| r.2 == StatusCode::PRECONDITION_FAILED).count(), WRITERS - 1);
            clients.extend(results.into_iter().map(|r| (r.0, r.1)));
            let read = clients[0].0.get(&format!("/v2/a/manifests/j-{round:04}")).await;
            assert_eq!(&read.body, winners[0].bytes());
        }
        drop(clients);
        registry.stop().await.unwrap();
    }
}

/// How long the tag is hot. docker-registry shows its fault within a second; the bar is ten.
const LENGTH: Duration = Duration::from_secs(10);

/// Two writers and three readers on one tag: every read succeeds. (docker-registry 2.8.2 fails one in six.)
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hot_tag_is_always_readable() {
    for (registry, _folder) in both().await {
        let mut first = Client::new(registry.addr()).await;
        let manifest = first.image("a", b"0").await.to_manifest();
        first.put("a", "hot", &manifest, &[]).await;
        let running = Arc::new(AtomicBool::new(true));
        let (reads, writes) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let mut tasks = JoinSet::new();
        for writer in 0..2 {
            let (running, writes, address) = (running.clone(), writes.clone(), registry.addr());
            tasks.spawn(async move {
                let mut client = Client::new(address).await;
                let mut manifests = Vec::new();
                for content in [b"1", b"2", b"3"] {
                    manifests.push(client.image("a", &[content.as_slice(), &[writer]].concat()).await.to_manifest());
                }
                while running.load(Ordering::Relaxed) {
                    let index = writes.fetch_add(1, Ordering::Relaxed) % manifests.len();
                    assert_eq!(client.put("a", "hot", &manifests[index], &[]).await.status, StatusCode::CREATED);
                }
            });
        }
        for _ in 0..3 {
            let (running, reads, address) = (running.clone(), reads.clone(), registry.addr());
            tasks.spawn(async move {
                let mut client = Client::new(address).await;
                while running.load(Ordering::Relaxed) {
                    let got = client.get("/v2/a/manifests/hot").await;
                    assert_eq!(got.status, StatusCode::OK, "{:?}", got.body);
                    let digest = schleuse_model::Digest::sha256(&got.body).to_string();
                    assert_eq!(got.header("docker-content-digest"), digest);
                    reads.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        tokio::time::sleep(LENGTH).await;
        running.store(false, Ordering::Relaxed);
        tasks.join_all().await;
        assert!(reads.load(Ordering::Relaxed) > 100 && writes.load(Ordering::Relaxed) > 20);
        registry.stop().await.unwrap();
    }
}
