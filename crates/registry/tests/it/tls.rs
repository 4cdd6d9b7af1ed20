//! TLS: who trusts the authority gets in; what is not TLS does not hold a connection; bad files are clear errors.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Empty};
use hyper::{Request, StatusCode};
use hyper_util::rt::TokioIo;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use schleuse_model::Explain as _;
use schleuse_registry::{Limits, Registry, Tls};
use schleuse_testkit::Certificates;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::harness::{Client, loopback, noise};

async fn connect(address: std::net::SocketAddr, authority: &Path) -> std::io::Result<TlsStream<TcpStream>> {
    let mut roots = rustls::RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(authority).unwrap()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let config = config.with_root_certificates(roots).with_no_client_auth();
    let name = ServerName::try_from("localhost").unwrap();
    TlsConnector::from(Arc::new(config)).connect(name, TcpStream::connect(address).await?).await
}

async fn status(stream: TlsStream<TcpStream>) -> StatusCode {
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    let request = Request::get("/v2/").header("host", "localhost").body(Empty::<Bytes>::new()).unwrap();
    let answer = sender.send_request(request).await.unwrap();
    let status = answer.status();
    answer.into_body().collect().await.unwrap();
    status
}

#[tokio::test]
async fn served_to_who_trusts_the_authority_and_renewed_while_it_runs() {
    let folder = tempfile::tempdir().unwrap();
    let first = Certificates::make(folder.path(), "first");
    let second = Certificates::make(folder.path(), "second");
    let tls = Tls::open(&first.certificate, &first.key).unwrap();
    let registry = Registry::memory().with_tls(&tls).spawn(loopback()).await.unwrap();
    assert_eq!(status(connect(registry.addr(), &first.authority).await.unwrap()).await, StatusCode::OK);
    connect(registry.addr(), &second.authority).await.unwrap_err();

    std::fs::copy(&second.key, &first.key).unwrap();
    tls.reload().unwrap_err();
    assert_eq!(status(connect(registry.addr(), &first.authority).await.unwrap()).await, StatusCode::OK);
    std::fs::copy(&second.certificate, &first.certificate).unwrap();
    tls.reload().unwrap();
    assert_eq!(status(connect(registry.addr(), &second.authority).await.unwrap()).await, StatusCode::OK);
    registry.stop().await.unwrap();
}

/// One place, held by somebody who connects and says nothing, and by one who speaks plain HTTP: the next one gets in.
#[tokio::test]
async fn whoever_does_not_shake_hands_does_not_stay() {
    let folder = tempfile::tempdir().unwrap();
    let files = Certificates::make(folder.path(), "x");
    let limits = Limits { connections: 1, handshake: Duration::from_millis(200), ..Limits::DEFAULT };
    let tls = Tls::open(&files.certificate, &files.key).unwrap();
    let registry = Registry::memory().with_tls(&tls).with_limits(limits).spawn(loopback()).await.unwrap();
    let silent = TcpStream::connect(registry.addr()).await.unwrap();
    let mut plain = TcpStream::connect(registry.addr()).await.unwrap();
    plain.write_all(b"GET /v2/ HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    let connected = tokio::time::timeout(Duration::from_secs(10), connect(registry.addr(), &files.authority));
    assert_eq!(status(connected.await.unwrap().unwrap()).await, StatusCode::OK);
    let mut answer = Vec::new();
    // An alert of TLS and the end, or the end alone; nothing of HTTP.
    let _ = plain.read_to_end(&mut answer).await;
    assert!(!answer.starts_with(b"HTTP"));
    drop(silent);
    registry.stop().await.unwrap();
}

/// As without TLS: a client that stops reading loses its connection.
#[tokio::test]
async fn a_reader_that_stands_still_is_dropped() {
    let folder = tempfile::tempdir().unwrap();
    let files = Certificates::make(folder.path(), "x");
    let limits = Limits { connections: 1, stall: Duration::from_millis(300), ..Limits::DEFAULT };
    let registry = Registry::memory().with_limits(limits);
    let plain = registry.clone().spawn(loopback()).await.unwrap();
    let blob = Client::new(plain.addr()).await.blob("a", &noise(30_000_000)).await;
    plain.stop().await.unwrap();
    let tls = Tls::open(&files.certificate, &files.key).unwrap();
    let registry = registry.with_tls(&tls).spawn(loopback()).await.unwrap();
    let mut still = connect(registry.addr(), &files.authority).await.unwrap();
    let head = format!("GET /v2/a/blobs/{} HTTP/1.1\r\nhost: x\r\n\r\n", blob.digest);
    still.write_all(head.as_bytes()).await.unwrap();
    still.flush().await.unwrap();
    let next = async { status(connect(registry.addr(), &files.authority).await.unwrap()).await };
    assert_eq!(tokio::time::timeout(Duration::from_secs(10), next).await.unwrap(), StatusCode::OK);
    drop(still);
    registry.stop().await.unwrap();
}

#[test]
fn files_that_are_not_what_they_should_be() {
    let folder = tempfile::tempdir().unwrap();
    let (one, two) = (Certificates::make(folder.path(), "one"), Certificates::make(folder.path(), "two"));
    let empty = folder.path().join("empty.pem");
    std::fs::write(&empty, "nothing\n").unwrap();
    let damaged = folder.path().join("damaged.pem");
    std::fs::write(&damaged, "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n").unwrap();
    let missing = folder.path().join("missing.pem");
    for (certificate, key, said) in [
        (&one.certificate, &two.key, "is not the key of the certificate"),
        (&empty, &one.key, "holds no certificate in PEM"),
        (&one.key, &one.certificate, "holds no certificate in PEM"),
        (&one.certificate, &empty, "holds no private key in PEM that we can read"),
        (&damaged, &one.key, "does not begin with a certificate that can be read"),
        (&missing, &one.key, "cannot read"),
    ] {
        let error = Tls::open(certificate, key).unwrap_err();
        assert!(error.to_string().contains(said), "{error}");
        assert_eq!(error.hints().is_empty(), said == "cannot read");
    }
}
