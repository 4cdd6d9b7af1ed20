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

/// What a server is known by.
pub(crate) fn identity(certificate: &[u8], key: &[u8]) -> (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>) {
    (vec![CertificateDer::from_pem_slice(certificate).unwrap()], PrivateKeyDer::from_pem_slice(key).unwrap())
}

pub(crate) fn server_config() -> rustls::ConfigBuilder<rustls::ServerConfig, rustls::WantsVerifier> {
    rustls::ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
}

fn serve() -> (String, Arc<AtomicUsize>) {
    let (certificates, key) = identity(CERTIFICATE, KEY);
    serve_as(server_config().with_no_client_auth().with_single_cert(certificates, key).unwrap())
}

/// An HTTPS server that answers everything with one image; its host, and how many connections came.
pub(crate) fn serve_as(config: rustls::ServerConfig) -> (String, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let host = listener.local_addr().unwrap().to_string();
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

/// `tls/mutual/` holds another authority, whose key is destroyed too, a server's certificate of it, and what a client is known by,
/// named as in a registry's folder.
mod by_folder {
    use std::path::Path;

    use schleuse_model::Explain as _;

    use super::*;

    pub(crate) const MUTUAL: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/tls/mutual");

    fn fixture(name: &str) -> Vec<u8> {
        std::fs::read(Path::new(MUTUAL).join(name)).unwrap()
    }

    /// A server that wants to know who is there.
    fn serve_known() -> String {
        let mut roots = rustls::RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(&fixture("ca.crt")).unwrap()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let verifier =
            rustls::server::WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build().unwrap();
        let (certificates, key) = identity(&fixture("server.pem"), &fixture("server.key"));
        serve_as(server_config().with_client_cert_verifier(verifier).with_single_cert(certificates, key).unwrap()).0
    }

    /// A folder of folders with those files for `host`.
    fn folder(host: &str, names: &[&str]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join(host)).unwrap();
        for name in names {
            std::fs::write(folder.path().join(host).join(name), fixture(name)).unwrap();
        }
        folder
    }

    async fn asked(host: &str, folders: &[&Path]) -> Result<bool, Error> {
        let client = quick().tls_hosts([host]).certificate_folders(folders.iter().copied()).build().unwrap();
        client.resolve(&tag(host)).await.map(|found| found.is_some())
    }

    fn certificate(result: Result<bool, Error>, expected: &str) {
        let Err(error @ Error::Certificate { .. }) = result else { panic!("{result:?}") };
        assert!(error.to_string().contains(expected), "{error}");
        let hints = error.hints().join(" ");
        assert!(hints.contains("SSL_CERT_FILE") && hints.contains("/etc/docker/certs.d/127.0.0.1:"), "{hints}");
    }

    #[tokio::test]
    async fn a_registry_s_own_authority_and_our_own_certificate() {
        let host = serve_known();
        let all = folder(&host, &["ca.crt", "client.cert", "client.key"]);
        assert!(asked(&host, &[Path::new("/nonexistent"), all.path()]).await.unwrap());
        // The first folder that has something for the registry counts.
        let empty = folder(&host, &[]);
        certificate(asked(&host, &[empty.path(), all.path()]).await, "UnknownIssuer");
    }

    #[tokio::test]
    async fn what_is_missing_is_named() {
        let host = serve_known();
        certificate(asked(&host, &[]).await, "UnknownIssuer");
        let unknown = folder(&host, &["ca.crt"]);
        certificate(asked(&host, &[unknown.path()]).await, "CertificateRequired");
        let no_certificate = folder(&host, &["ca.crt", "client.key"]);
        certificate(asked(&host, &[no_certificate.path()]).await, "client.key has no certificate beside it");
        let no_key = folder(&host, &["ca.crt", "client.cert"]);
        certificate(asked(&host, &[no_key.path()]).await, "client.key");
        let broken = folder(&host, &["ca.crt"]);
        std::fs::write(broken.path().join(&host).join("client.cert"), "secret nonsense").unwrap();
        std::fs::write(broken.path().join(&host).join("client.key"), "secret nonsense").unwrap();
        let result = asked(&host, &[broken.path()]).await;
        assert!(!format!("{result:?}").contains("secret"));
        certificate(result, "are not a certificate and its key");
        std::fs::write(broken.path().join(&host).join("ca.crt"), "no PEM").unwrap();
        certificate(asked(&host, &[broken.path()]).await, "ca.crt is not a PEM file");
    }

    #[tokio::test]
    async fn what_one_registry_is_shown_is_not_for_another() {
        let (one, other) = (serve_known(), serve_known());
        let all = folder(&one, &["ca.crt", "client.cert", "client.key"]);
        let client = quick().tls_hosts([&one, &other]).certificate_folders([all.path()]).build().unwrap();
        assert!(client.resolve(&tag(&one)).await.is_ok());
        assert!(matches!(client.resolve(&tag(&other)).await, Err(Error::Certificate { .. })));
    }
}
pub(crate) use by_folder::MUTUAL;
