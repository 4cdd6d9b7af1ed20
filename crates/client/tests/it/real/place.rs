//! Where the scenarios run: docker-registry 2.8 and ours, each open, with a login, over HTTPS, and with both.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use schleuse_client::credentials::StaticCredentials;
use schleuse_client::{Client, ClientBuilder, Limits};
use schleuse_model::Repository;
use schleuse_registry::{Registry, Running, Tls, Users};
use schleuse_testkit::DockerRegistry;
use schleuse_testkit::docker_registry::{HTPASSWD, PASSWORD, Setup, USERNAME};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use crate::fake::password;
use crate::tls::MUTUAL;

const CERTIFICATE: &[u8] = include_bytes!("../tls/mutual/server.pem");
const KEY: &[u8] = include_bytes!("../tls/mutual/server.key");
const AUTHORITY: &[u8] = include_bytes!("../tls/mutual/ca.crt");

/// A registry and how it is spoken to.
pub(crate) struct Place {
    pub(crate) host: String,
    /// Whether it deletes single tags.
    pub(crate) deletes_tags: bool,
    login: bool,
    tls: bool,
    _registry: Kept,
}

/// Stopped when dropped.
enum Kept {
    Docker { _registry: DockerRegistry },
    Ours { _registry: Running, _files: tempfile::TempDir },
}

impl Place {
    pub(crate) async fn docker_registry(login: bool, tls: bool) -> Self {
        let setup = Setup { delete: true, login, tls: tls.then_some((CERTIFICATE, KEY)) };
        let registry = tokio::task::spawn_blocking(move || DockerRegistry::start_as(setup)).await.unwrap();
        let host = registry.address().to_string();
        Self { host, deletes_tags: false, login, tls, _registry: Kept::Docker { _registry: registry } }
    }

    pub(crate) async fn ours(login: bool, tls: bool) -> Self {
        let files = tempfile::tempdir().unwrap();
        let mut registry = Registry::disk(files.path().join("data")).unwrap();
        if login {
            std::fs::write(files.path().join("htpasswd"), HTPASSWD).unwrap();
            registry = registry.with_users(&Users::open(files.path().join("htpasswd")).unwrap());
        }
        if tls {
            registry =
                registry.with_tls(&Tls::open(format!("{MUTUAL}/server.pem"), format!("{MUTUAL}/server.key")).unwrap());
        }
        let running = registry.spawn(([127, 0, 0, 1], 0).into()).await.unwrap();
        let host = running.addr().to_string();
        Self { host, deletes_tags: true, login, tls, _registry: Kept::Ours { _registry: running, _files: files } }
    }

    pub(crate) fn repository(&self, path: &str) -> Repository {
        format!("{}/{path}", self.host).parse().unwrap()
    }

    pub(crate) fn client(&self) -> Client {
        self.client_at(&self.host)
    }

    /// A client that reaches this place under another name.
    pub(crate) fn client_at(&self, host: &str) -> Client {
        self.builder(host).build().unwrap()
    }

    fn builder(&self, host: &str) -> ClientBuilder {
        let mut builder = Client::builder().limits(Limits { tags_a_page: 2, ..Limits::default() });
        if self.login {
            let logins = StaticCredentials::new().with(host, password(USERNAME, PASSWORD));
            builder = builder.credentials(Arc::new(logins));
        }
        if self.tls {
            builder = builder.tls_hosts([host]).extra_ca(AUTHORITY);
        }
        builder
    }

    /// A client without a login.
    pub(crate) fn stranger(&self) -> Option<Client> {
        let builder = Client::builder();
        let builder = if self.tls { builder.tls_hosts([&self.host]).extra_ca(AUTHORITY) } else { builder };
        self.login.then(|| builder.build().unwrap())
    }
}

/// A bad line to `to`: each of the first `breaks` connections ends once `bytes` came back over it. Its address, and how many
/// connections there were.
pub(crate) async fn bad_line(to: &str, breaks: usize, bytes: usize) -> (String, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (host, to) = (listener.local_addr().unwrap().to_string(), to.to_owned());
    let count = Arc::new(AtomicUsize::new(0));
    let counted = count.clone();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let breaks = counted.fetch_add(1, Ordering::SeqCst) < breaks;
            let to = to.clone();
            tokio::spawn(async move {
                let there = TcpStream::connect(to).await.unwrap();
                let (mut from_client, mut to_client) = stream.into_split();
                let (mut from_server, mut to_server) = there.into_split();
                let up = tokio::spawn(async move { tokio::io::copy(&mut from_client, &mut to_server).await });
                let mut left = if breaks { bytes } else { usize::MAX };
                let mut buffer = vec![0; 64 << 10];
                while left > 0 {
                    let most = left.min(buffer.len());
                    match from_server.read(&mut buffer[..most]).await {
                        Ok(read) if read > 0 && to_client.write_all(&buffer[..read]).await.is_ok() => left -= read,
                        _ => break,
                    }
                }
                up.abort();
            });
        }
    });
    (host, count)
}
