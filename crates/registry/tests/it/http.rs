use std::sync::Arc;
use std::time::Duration;

use hyper::StatusCode;
use schleuse_model::{Clock, Digest, Secret, Timestamp};
use schleuse_registry::{Limits, Registry};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::harness::{Client, loopback};

#[derive(Debug)]
struct Fixed;

impl Clock for Fixed {
    fn now(&self) -> Timestamp {
        Timestamp::from_seconds(784_111_777)
    }
}

#[tokio::test]
async fn base_date_login_and_unknown_paths() {
    let registry = Registry::memory().with_login("ci", &Secret::new("s3cret".to_owned()));
    let registry = registry.spawn_with(loopback(), Arc::new(Fixed)).await.unwrap();
    let mut client = Client::new(registry.addr()).await;
    let refused = client.get("/v2/").await;
    assert_eq!((refused.status, &*refused.code()), (StatusCode::UNAUTHORIZED, "UNAUTHORIZED"));
    assert_eq!(refused.header("www-authenticate"), "Basic realm=\"schleuse\"");
    assert_eq!(client.get("/v2/a/manifests/t").await.status, StatusCode::UNAUTHORIZED);
    let login = [("authorization", "Basic Y2k6czNjcmV0")];
    let base = client.send("GET", "/v2/", &login, "").await;
    assert_eq!((base.status, base.header("date")), (StatusCode::OK, "Sun, 06 Nov 1994 08:49:37 GMT"));
    assert_eq!(base.headers.get_all("date").iter().count(), 1);
    assert_eq!(client.send("GET", "/v2/A/manifests/t", &login, "").await.code(), "NAME_INVALID");
    assert_eq!(client.send("GET", "/elsewhere", &login, "").await.status, StatusCode::NOT_FOUND);
    assert_eq!(client.send("POST", "/v2/a/tags/list", &login, "").await.status, StatusCode::METHOD_NOT_ALLOWED);
    registry.stop().await.unwrap();
}

#[tokio::test]
async fn limits_hold() {
    let limits = Limits { uploads: 2, blob_bytes: 10, stall: Duration::from_millis(200), ..Limits::DEFAULT };
    let registry = Registry::memory().with_limits(limits).spawn(loopback()).await.unwrap();
    let mut client = Client::new(registry.addr()).await;
    for expected in [202, 202, 429] {
        assert_eq!(client.send("POST", "/v2/a/blobs/uploads/", &[], "").await.status, expected);
    }
    let registry2 = Registry::memory().with_limits(limits).spawn(loopback()).await.unwrap();
    let mut client = Client::new(registry2.addr()).await;
    let path = format!("/v2/a/blobs/uploads/?digest={}", Digest::sha256(b"12345678901"));
    assert_eq!(client.send("POST", &path, &[], "12345678901").await.status, StatusCode::PAYLOAD_TOO_LARGE);
    // A body that stops arriving.
    let mut raw = tokio::net::TcpStream::connect(registry2.addr()).await.unwrap();
    let head = format!("POST {path} HTTP/1.1\r\nhost: x\r\ncontent-length: 10\r\n\r\n123");
    raw.write_all(head.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    let read = tokio::time::timeout(Duration::from_secs(5), raw.read_to_end(&mut answer));
    read.await.unwrap().unwrap();
    assert!(answer.starts_with(b"HTTP/1.1 408 "), "{}", String::from_utf8_lossy(&answer));
    registry.stop().await.unwrap();
    registry2.stop().await.unwrap();
}

#[tokio::test]
async fn an_idle_upload_is_forgotten() {
    let limits = Limits { uploads: 1, upload_idle: Duration::from_millis(50), ..Limits::DEFAULT };
    let registry = Registry::memory().with_limits(limits).spawn(loopback()).await.unwrap();
    let mut client = Client::new(registry.addr()).await;
    assert_eq!(client.send("POST", "/v2/a/blobs/uploads/", &[], "").await.status, StatusCode::ACCEPTED);
    assert_eq!(client.send("POST", "/v2/a/blobs/uploads/", &[], "").await.status, StatusCode::TOO_MANY_REQUESTS);
    tokio::time::sleep(Duration::from_millis(80)).await;
    assert_eq!(client.send("POST", "/v2/a/blobs/uploads/", &[], "").await.status, StatusCode::ACCEPTED);
    registry.stop().await.unwrap();
}

/// A client that stops reading does not keep its connection: with room for one, the next one is served.
#[tokio::test]
async fn a_reader_that_stands_still_is_dropped() {
    let limits = Limits { connections: 1, stall: Duration::from_millis(300), ..Limits::DEFAULT };
    let registry = Registry::memory().with_limits(limits).spawn(loopback()).await.unwrap();
    let mut client = Client::new(registry.addr()).await;
    let blob = client.blob("a", &super::harness::noise(30_000_000)).await;
    drop(client);
    let mut raw = tokio::net::TcpStream::connect(registry.addr()).await.unwrap();
    let head = format!("GET /v2/a/blobs/{} HTTP/1.1\r\nhost: x\r\n\r\n", blob.digest);
    raw.write_all(head.as_bytes()).await.unwrap();
    raw.readable().await.unwrap();
    let next = async { Client::new(registry.addr()).await.get("/v2/").await.status };
    let next = tokio::time::timeout(Duration::from_secs(10), next);
    assert_eq!(next.await.unwrap(), StatusCode::OK);
    drop(raw);
    registry.stop().await.unwrap();
}
