//! The users of a file, read-only mode, and what the access log and the metrics say of it all.

use std::path::Path;
use std::sync::Arc;

use hyper::StatusCode;
use schleuse_model::{Clock, Timestamp};
use schleuse_registry::{AccessLog, Registry, Users};

use super::harness::{Client, Got, loopback};

#[derive(Debug)]
struct Fixed;

impl Clock for Fixed {
    fn now(&self) -> Timestamp {
        Timestamp::from_seconds(784_111_777)
    }
}

/// `ci` with the password `U*U`: the first vector of Openwall's, with the prefix that `htpasswd` writes.
const USERS: &str = "ci:$2y$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW\n";
const CI: (&str, &str) = ("authorization", "Basic Y2k6VSpV");

fn users(folder: &Path) -> Users {
    let path = folder.join("htpasswd");
    std::fs::write(&path, USERS).unwrap();
    Users::open(path).unwrap()
}

#[tokio::test]
async fn the_users_of_a_file_and_nobody_else() {
    let folder = tempfile::tempdir().unwrap();
    let users = users(folder.path());
    let registry = Registry::memory().with_users(&users).spawn(loopback()).await.unwrap();
    let mut client = Client::new(registry.addr()).await;
    for _ in 0..2 {
        assert_eq!(client.send("GET", "/v2/", &[CI], "").await.status, StatusCode::OK);
    }
    // ci:U*V, me:U*U, ci without a colon, another scheme, nothing.
    for wrong in ["Basic Y2k6VSpW", "Basic bWU6VSpV", "Basic Y2k=", "Basic %", "Bearer Y2k6VSpV", ""] {
        let got = client.send("GET", "/v2/", &[("authorization", wrong)], "").await;
        assert_eq!((got.status, &*got.code()), (StatusCode::UNAUTHORIZED, "UNAUTHORIZED"), "{wrong}");
        assert_eq!(got.header("www-authenticate"), "Basic realm=\"schleuse\"");
    }
    for (method, path) in [("PUT", "/v2/a/manifests/x"), ("POST", "/v2/a/blobs/uploads/"), ("GET", "/nowhere")] {
        assert_eq!(client.send(method, path, &[], "").await.status, StatusCode::UNAUTHORIZED);
    }
    registry.stop().await.unwrap();
}

#[tokio::test]
async fn read_only_reads_and_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let manifest = {
        let registry = Registry::disk(folder.path()).unwrap().spawn(loopback()).await.unwrap();
        let mut client = Client::new(registry.addr()).await;
        let manifest = client.image("a", b"layer").await.to_manifest();
        client.put("a", "v1", &manifest, &[]).await;
        drop(client);
        registry.stop().await.unwrap();
        manifest
    };
    let registry = Registry::disk(folder.path()).unwrap().read_only().spawn(loopback()).await.unwrap();
    let mut client = Client::new(registry.addr()).await;
    let digest = manifest.digest();
    let layer = manifest.as_image().unwrap().layers[0].digest.clone();
    for (method, path) in [
        ("PUT", "/v2/a/manifests/v2".to_owned()),
        ("DELETE", "/v2/a/manifests/v1".to_owned()),
        ("DELETE", format!("/v2/a/manifests/{digest}")),
        ("DELETE", format!("/v2/a/blobs/{layer}")),
        ("POST", "/v2/a/blobs/uploads/".to_owned()),
        ("POST", format!("/v2/b/blobs/uploads/?mount={layer}&from=a")),
        ("PATCH", "/v2/a/blobs/uploads/x".to_owned()),
        ("PUT", format!("/v2/a/blobs/uploads/x?digest={layer}")),
    ] {
        let got = client.send(method, &path, &[], "").await;
        assert_eq!((got.status, &*got.code()), (StatusCode::METHOD_NOT_ALLOWED, "UNSUPPORTED"), "{method} {path}");
        assert_eq!(got.header("allow"), "GET, HEAD");
    }
    for path in ["/v2/a/manifests/v1", "/v2/a/tags/list", &format!("/v2/a/blobs/{layer}"), "/v2/"] {
        assert_eq!(client.get(path).await.status, StatusCode::OK, "{path}");
    }
    registry.stop().await.unwrap();
}

/// A registry with users, its log, and its metrics beside it.
#[tokio::test]
async fn what_the_log_and_the_metrics_say() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log");
    let log = AccessLog::to_file(&path).unwrap();
    let registry = Registry::memory().with_users(&users(folder.path())).with_access_log(&log);
    let metrics = tokio::net::TcpListener::bind(loopback()).await.unwrap();
    let address = metrics.local_addr().unwrap();
    tokio::spawn(registry.clone().serve_metrics(metrics, std::future::pending()));
    let registry = registry.spawn_with(loopback(), Arc::new(Fixed)).await.unwrap();
    let mut client = Client::new(registry.addr()).await;
    let body = "x".repeat(1000);
    let digest = schleuse_model::Digest::sha256(body.as_bytes());
    let pushed = client.send("POST", &format!("/v2/a/blobs/uploads/?digest={digest}"), &[CI], body).await;
    assert_eq!(pushed.status, StatusCode::CREATED);
    let part = client.send("GET", &format!("/v2/a/blobs/{digest}"), &[CI, ("range", "bytes=0-99")], "").await;
    let head = client.send("HEAD", &format!("/v2/a/blobs/{digest}"), &[CI], "").await;
    let refused = client.send("GET", "/v2/%0a%22injected", &[("authorization", "Basic Y2k6d3Jvbmc=")], "").await;
    let begun = client.send("POST", "/v2/a/blobs/uploads/", &[CI], "").await;
    assert_eq!(begun.status, StatusCode::ACCEPTED);
    let mut reader = Client::new(address).await;
    let page = reader.get("/metrics").await;
    assert_eq!(page.header("content-type"), "text/plain; version=0.0.4; charset=utf-8");
    assert_eq!(reader.get("/v2/").await.status, StatusCode::NOT_FOUND);
    drop(client);
    registry.stop().await.unwrap();
    log.close();

    let lines: Vec<serde_json::Value> = std::fs::read_to_string(path)
        .unwrap()
        .lines()
        .map(|line| schleuse_model::json::from_untrusted(line.as_bytes(), 4096).unwrap())
        .collect();
    let seen = |line: usize, got: &Got, user: Option<&str>, received: u64, sent: u64| {
        let line = &lines[line];
        assert_eq!(line["time"], "1994-11-06T08:49:37Z");
        assert_eq!((&line["id"], &line["status"]), (&got.header("x-request-id").into(), &got.status.as_u16().into()));
        assert_eq!((line["user"].as_str(), &line["remote"]), (user, &"127.0.0.1".into()));
        assert_eq!((&line["received"], &line["sent"]), (&received.into(), &sent.into()), "{line}");
    };
    seen(0, &pushed, Some("ci"), 1000, 0);
    seen(1, &part, Some("ci"), 0, 100);
    seen(2, &head, Some("ci"), 0, 0);
    seen(3, &refused, None, 0, refused.body.len() as u64);
    assert_eq!(lines[3]["path"], "/v2/%0a%22injected");
    assert_eq!(lines.len(), 5);

    let page = String::from_utf8(page.body.to_vec()).unwrap();
    for line in [
        "schleuse_registry_requests_total{route=\"upload\",method=\"POST\",status=\"2xx\"} 2",
        "schleuse_registry_requests_total{route=\"blob\",method=\"GET\",status=\"2xx\"} 1",
        "schleuse_registry_requests_total{route=\"other\",method=\"GET\",status=\"4xx\"} 1",
        "schleuse_registry_received_bytes_total 1000",
        "schleuse_registry_uploads_in_progress 1",
        "schleuse_registry_refused_logins_total 1",
        "schleuse_registry_connections 1",
    ] {
        assert!(page.lines().any(|there| there == line), "{line}\n{page}");
    }
}
