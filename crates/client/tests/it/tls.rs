//! HTTPS: an extra authority is trusted beside the system's, and nothing else is.
//!
//! `tls/` holds an authority whose key is destroyed, and a certificate of it for this machine with its (worthless) key.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use schleuse_client::credentials::StaticCredentials;
use schleuse_model::Repository;
use schleuse_oci::{Error, Pull as _};

use crate::fake::{image, password, quick};

const AUTHORITY: &[u8] = include_bytes!("tls/ca.pem");
const CERTIFICATE: &[u8] = include_bytes!("tls/server.pem");
const KEY: &[u8] = include_bytes!("tls/key.pem");

/// An HTTPS server that answers everything with one image; its host, and how many connections came.
fn serve() -> (String, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let host = listener.local_addr().unwrap().to_string();
    let config = rustls::ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(
            vec![CertificateDer::from_pem_slice(CERTIFICATE).unwrap()],
            PrivateKeyDer::from_pem_slice(KEY).unwrap(),
        )
        .unwrap();
    let config = Arc::new(config);
    let count = Arc::new(AtomicUsize::new(0));
    let counted = count.clone();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            counted.fetch_add(1, Ordering::SeqCst);
            let connection = rustls::ServerConnection::new(config.clone()).unwrap();
            let mut stream = rustls::StreamOwned::new(connection, stream.unwrap());
            let mut request = [0; 4096];
            if stream.read(&mut request).is_ok_and(|read| read > 0) {
                let manifest = image("over TLS");
                let _ = write!(
                    stream,
                    "HTTP/1.1 200 OK\r\ncontent-type: {}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
                    manifest.media_type(),
                    manifest.bytes().len()
                );
                let _ = stream.write_all(manifest.bytes());
                let _ = stream.flush();
            }
        }
    });
    (host, count)
}

fn tag(host: &str) -> schleuse_model::TagRef {
    format!("{host}/a/b").parse::<Repository>().unwrap().tag("v1".parse().unwrap())
}

#[tokio::test]
async fn an_extra_authority_is_trusted() {
    let (host, _) = serve();
    let client = quick().extra_ca(AUTHORITY).tls_hosts([host.as_str()]).build().unwrap();
    let found = client.resolve(&tag(&host)).await.unwrap().unwrap();
    assert_eq!(found.digest(), image("over TLS").digest());
}

#[tokio::test]
async fn an_unknown_authority_is_not_and_is_not_asked_again() {
    let (host, connections) = serve();
    // A login must not leave before the certificate is known to be good.
    let logins = StaticCredentials::new().with(&host, password("user", "hunter2"));
    let client = quick().tls_hosts([host.as_str()]).credentials(Arc::new(logins)).build().unwrap();
    let error = client.resolve(&tag(&host)).await.unwrap_err();
    assert!(matches!(&error, Error::Certificate { message, .. } if message.contains("certificate")), "{error:?}");
    assert_eq!(connections.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn https_never_becomes_plain_http() {
    let plain = crate::fake::Fake::start(|_, _| crate::fake::reply(200).manifest(&image("plain"))).await;
    let client = quick().extra_ca(AUTHORITY).tls_hosts([plain.host.as_str()]).build().unwrap();
    assert!(client.resolve(&plain.tag("v1")).await.is_err());
    assert_eq!(plain.asked().len(), 0);
}
