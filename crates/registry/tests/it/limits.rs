//! What a client cannot do to the others: too many connections, too large a header or a manifest, uploads without an end; and
//! how running requests end when the server stops.

use std::time::Duration;

use hyper::StatusCode;
use schleuse_registry::{Limits, Registry};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::harness::{Client, loopback};

async fn answer(address: std::net::SocketAddr, request: &str) -> String {
    let mut raw = TcpStream::connect(address).await.unwrap();
    // The server may answer and close before all is sent.
    let _ = raw.write_all(request.as_bytes()).await;
    let mut answer = Vec::new();
    let _ = tokio::time::timeout(Duration::from_secs(10), raw.read_to_end(&mut answer)).await.unwrap();
    String::from_utf8_lossy(&answer).into_owned()
}

#[tokio::test]
async fn beyond_the_places_clients_wait_and_are_served() {
    let limits = Limits { connections: 2, ..Limits::DEFAULT };
    let registry = Registry::memory().with_limits(limits).spawn(loopback()).await.unwrap();
    let mut first = Client::new(registry.addr()).await;
    let mut second = Client::new(registry.addr()).await;
    assert_eq!(first.get("/v2/").await.status, StatusCode::OK);
    assert_eq!(second.get("/v2/").await.status, StatusCode::OK);
    let address = registry.addr();
    let third = tokio::spawn(async move { Client::new(address).await.get("/v2/").await.status });
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert!(!third.is_finished(), "there was a third place");
    drop(first);
    assert_eq!(tokio::time::timeout(Duration::from_secs(10), third).await.unwrap().unwrap(), StatusCode::OK);
    drop(second);
    registry.stop().await.unwrap();
}

/// Whoever says nothing, or says a header byte by byte, does not keep the others from their places; a request that is being answered
/// keeps its own.
#[tokio::test]
async fn places_that_nobody_uses_are_given_to_who_waits() {
    let limits = Limits { connections: 3, spare: Duration::from_millis(300), ..Limits::DEFAULT };
    let registry = Registry::memory().with_limits(limits).spawn(loopback()).await.unwrap();
    let mut busy = half_an_upload(registry.addr()).await;
    let silent = TcpStream::connect(registry.addr()).await.unwrap();
    let mut slow = TcpStream::connect(registry.addr()).await.unwrap();
    let drip = tokio::spawn(async move {
        while slow.write_all(b"G").await.is_ok() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    });
    tokio::time::sleep(Duration::from_millis(100)).await;
    for _ in 0..10 {
        let served = async { Client::new(registry.addr()).await.get("/v2/").await.status };
        assert_eq!(tokio::time::timeout(Duration::from_secs(10), served).await.unwrap(), StatusCode::OK);
    }
    busy.write_all(b"abcdefghij").await.unwrap();
    let mut answer = [0; 12];
    busy.read_exact(&mut answer).await.unwrap();
    assert_eq!(&answer, b"HTTP/1.1 201");
    drop(silent);
    drip.abort();
    registry.stop().await.unwrap();
}

#[tokio::test]
async fn headers_and_manifests_have_a_size() {
    let limits = Limits { manifest_bytes: 1000, header_wait: Duration::from_millis(300), ..Limits::DEFAULT };
    let registry = Registry::memory().with_limits(limits).spawn(loopback()).await.unwrap();
    let filled = format!("GET /v2/ HTTP/1.1\r\nhost: x\r\nx: {}\r\n\r\n", "y".repeat(70_000));
    assert!(answer(registry.addr(), &filled).await.starts_with("HTTP/1.1 431 "));
    // Never ends: the server ends it.
    assert!(!answer(registry.addr(), "GET /v2/ HTTP/1.1\r\nhost: ").await.contains("200"));
    let mut client = Client::new(registry.addr()).await;
    let got = client.send("PUT", "/v2/a/manifests/x", &[], " ".repeat(1001)).await;
    assert_eq!((got.status, &*got.code()), (StatusCode::PAYLOAD_TOO_LARGE, "SIZE_INVALID"));
    registry.stop().await.unwrap();
}

/// A client that is still sending when it is refused is told why: it does not find a broken connection.
#[tokio::test]
async fn who_is_refused_while_sending_reads_the_answer() {
    let limits = Limits { blob_bytes: 1000, manifest_bytes: 1000, ..Limits::DEFAULT };
    let registry = Registry::memory().with_limits(limits).spawn(loopback()).await.unwrap();
    let digest = schleuse_model::Digest::sha256(b"");
    for (request, status) in [
        (format!("POST /v2/a/blobs/uploads/?digest={digest}"), "413"),
        ("PUT /v2/a/manifests/x".to_owned(), "413"),
        (format!("PATCH /v2/a/blobs/uploads/{}", "0".repeat(32)), "404"),
    ] {
        let raw = TcpStream::connect(registry.addr()).await.unwrap();
        let (mut read, mut write) = raw.into_split();
        let head = format!("{request} HTTP/1.1\r\nhost: x\r\ncontent-length: 8000000\r\n\r\n");
        write.write_all(head.as_bytes()).await.unwrap();
        for _ in 0..80 {
            write.write_all(&[0; 100_000]).await.unwrap();
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        let mut answer = [0; 12];
        read.read_exact(&mut answer).await.unwrap();
        assert_eq!(String::from_utf8_lossy(&answer), format!("HTTP/1.1 {status}"), "{request}");
    }
    registry.stop().await.unwrap();
}

/// Nobody comes any more, and yet they go: the clock alone does it.
#[tokio::test]
async fn uploads_that_nobody_goes_on_with_are_swept() {
    let folder = tempfile::tempdir().unwrap();
    let limits = Limits { upload_idle: Duration::from_millis(100), ..Limits::DEFAULT };
    let registry = Registry::disk(folder.path()).unwrap().with_limits(limits).spawn(loopback()).await.unwrap();
    let mut client = Client::new(registry.addr()).await;
    let begun = client.send("POST", "/v2/a/blobs/uploads/", &[], "").await;
    let location = begun.header("location").to_owned();
    client.send("PATCH", &location, &[], "some bytes").await;
    let uploads = || std::fs::read_dir(folder.path().join("uploads")).unwrap().count();
    assert_eq!(uploads(), 1);
    let began = tokio::time::Instant::now();
    while uploads() > 0 {
        assert!(began.elapsed() < Duration::from_secs(10), "it is still there");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(client.get(&location).await.code(), "BLOB_UPLOAD_UNKNOWN");
    registry.stop().await.unwrap();
}

/// Begins to send 20 bytes; answers the connection, to send the rest by.
async fn half_an_upload(address: std::net::SocketAddr) -> TcpStream {
    let digest = schleuse_model::Digest::sha256(b"0123456789abcdefghij");
    let mut raw = TcpStream::connect(address).await.unwrap();
    let head = format!("POST /v2/a/blobs/uploads/?digest={digest} HTTP/1.1\r\nhost: x\r\ncontent-length: 20\r\n\r\n");
    raw.write_all(head.as_bytes()).await.unwrap();
    raw.write_all(b"0123456789").await.unwrap();
    raw.flush().await.unwrap();
    tokio::time::sleep(Duration::from_millis(200)).await;
    raw
}

#[tokio::test]
async fn a_running_upload_is_finished_before_it_stops() {
    let registry = Registry::memory().spawn(loopback()).await.unwrap();
    let mut raw = half_an_upload(registry.addr()).await;
    let address = registry.addr();
    let stopped = tokio::spawn(registry.stop());
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert!(!stopped.is_finished());
    TcpStream::connect(address).await.unwrap_err();
    raw.write_all(b"abcdefghij").await.unwrap();
    let mut answer = Vec::new();
    raw.read_to_end(&mut answer).await.unwrap();
    assert!(answer.starts_with(b"HTTP/1.1 201 "), "{}", String::from_utf8_lossy(&answer));
    stopped.await.unwrap().unwrap();
}

#[tokio::test]
async fn what_does_not_end_is_cut_at_the_deadline() {
    let limits = Limits { drain: Duration::from_millis(500), ..Limits::DEFAULT };
    let registry = Registry::memory().with_limits(limits).spawn(loopback()).await.unwrap();
    let mut raw = half_an_upload(registry.addr()).await;
    let began = tokio::time::Instant::now();
    registry.stop().await.unwrap();
    let took = began.elapsed();
    assert!(took >= Duration::from_millis(400) && took < Duration::from_secs(5), "{took:?}");
    let mut answer = Vec::new();
    let _ = raw.read_to_end(&mut answer).await;
    assert!(answer.is_empty());
}
