//! A small HTTP client and the registries to point it at.

use std::net::SocketAddr;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::{Request, StatusCode};
use hyper_util::rt::TokioIo;
use schleuse_model::Digest;
use schleuse_oci::{Descriptor, ImageManifest, Manifest, media_type};
use schleuse_registry::{Registry, Running};
use tempfile::TempDir;

pub(crate) fn loopback() -> SocketAddr {
    ([127, 0, 0, 1], 0).into()
}

/// A memory and a disk registry, each served, with the folder that must outlive it.
pub(crate) async fn both() -> Vec<(Running, Option<TempDir>)> {
    let folder = tempfile::tempdir().unwrap();
    let disk = Registry::disk(folder.path()).unwrap().spawn(loopback()).await.unwrap();
    vec![(Registry::memory().spawn(loopback()).await.unwrap(), None), (disk, Some(folder))]
}

pub(crate) struct Client(SendRequest<Full<Bytes>>);

#[derive(Debug)]
pub(crate) struct Got {
    pub(crate) status: StatusCode,
    pub(crate) headers: hyper::HeaderMap,
    pub(crate) body: Bytes,
}

impl Got {
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    pub(crate) fn code(&self) -> String {
        let error: serde_json::Value = schleuse_model::json::from_untrusted(&self.body, 1 << 16).unwrap();
        error["errors"][0]["code"].as_str().unwrap().to_owned()
    }

    pub(crate) fn json(&self) -> serde_json::Value {
        schleuse_model::json::from_untrusted(&self.body, 8 << 20).unwrap()
    }
}

impl Client {
    pub(crate) async fn new(address: SocketAddr) -> Self {
        Self::try_new(address).await.unwrap()
    }

    /// `None`: nobody answers.
    pub(crate) async fn try_new(address: SocketAddr) -> Option<Self> {
        let stream = tokio::net::TcpStream::connect(address).await.ok()?;
        stream.set_nodelay(true).ok()?;
        let (sender, connection) = handshake(TokioIo::new(stream)).await.ok()?;
        tokio::spawn(connection);
        Some(Self(sender))
    }

    pub(crate) async fn send(
        &mut self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: impl Into<Bytes>,
    ) -> Got {
        self.try_send(method, path, headers, body.into()).await.unwrap()
    }

    /// `None`: the connection broke.
    pub(crate) async fn try_send(
        &mut self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: Bytes,
    ) -> Option<Got> {
        let mut request = Request::builder().method(method).uri(path).header("host", "test");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        self.0.ready().await.ok()?;
        let answer = self.0.send_request(request.body(Full::new(body)).unwrap()).await.ok()?;
        let (head, body) = answer.into_parts();
        Some(Got { status: head.status, headers: head.headers, body: body.collect().await.ok()?.to_bytes() })
    }

    pub(crate) async fn get(&mut self, path: &str) -> Got {
        self.send("GET", path, &[], "").await
    }

    /// Pushes a blob in one request.
    pub(crate) async fn blob(&mut self, name: &str, content: &[u8]) -> Descriptor {
        self.try_blob(name, content).await.unwrap()
    }

    async fn try_blob(&mut self, name: &str, content: &[u8]) -> Option<Descriptor> {
        let descriptor = Descriptor::of(media_type::LAYER_TAR, content);
        let path = format!("/v2/{name}/blobs/uploads/?digest={}", descriptor.digest);
        let got = self.try_send("POST", &path, &[], content.to_vec().into()).await?;
        assert_eq!(got.status, StatusCode::CREATED, "{got:?}");
        Some(descriptor)
    }

    /// A manifest whose one layer is `content`; its blobs are pushed, it is not.
    pub(crate) async fn image(&mut self, name: &str, content: &[u8]) -> ImageManifest {
        self.try_image(name, content).await.unwrap()
    }

    pub(crate) async fn try_image(&mut self, name: &str, content: &[u8]) -> Option<ImageManifest> {
        let mut config = self.try_blob(name, b"{}").await?;
        config.media_type = media_type::EMPTY.to_owned();
        let layer = self.try_blob(name, content).await?;
        Some(ImageManifest::new(config, vec![layer]))
    }

    pub(crate) async fn put(
        &mut self,
        name: &str,
        reference: &str,
        manifest: &Manifest,
        headers: &[(&str, &str)],
    ) -> Got {
        let mut all = vec![("content-type", manifest.media_type())];
        all.extend_from_slice(headers);
        self.send("PUT", &format!("/v2/{name}/manifests/{reference}"), &all, manifest.bytes().clone()).await
    }

    pub(crate) async fn try_put(&mut self, name: &str, reference: &str, manifest: &Manifest) -> Option<StatusCode> {
        let (path, headers) = (format!("/v2/{name}/manifests/{reference}"), [("content-type", manifest.media_type())]);
        Some(self.try_send("PUT", &path, &headers, manifest.bytes().clone()).await?.status)
    }
}

/// The same sizeable bytes every time.
pub(crate) fn noise(length: usize) -> Vec<u8> {
    let mut state = 1_u32;
    let next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        state.to_le_bytes()[3]
    };
    std::iter::repeat_with(next).take(length).collect()
}

pub(crate) fn sha512(bytes: &[u8]) -> Digest {
    let mut hasher = schleuse_model::Hasher::new(schleuse_model::digest::Algorithm::Sha512);
    hasher.update(bytes);
    hasher.finish()
}
