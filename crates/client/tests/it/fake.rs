//! A hand-made server: each test says what it answers.

use std::convert::Infallible;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use futures_util::{StreamExt as _, stream};
use http::{HeaderMap, Method, Request, Response, StatusCode};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt as _, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use schleuse_client::{Client, ClientBuilder, NoJitter};
use schleuse_model::{Digest, PinnedRef, Repository, TagRef};
use schleuse_oci::{Credential, Descriptor, ImageManifest, Manifest};
use tokio::net::TcpListener;

/// A request that came.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    pub(crate) method: Method,
    /// Path and query.
    pub(crate) target: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Asked {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }

    /// `GET /v2/…`.
    pub(crate) fn line(&self) -> String {
        format!("{} {}", self.method, self.target)
    }
}

/// How a body ends.
#[derive(Clone, Debug)]
enum End {
    Well,
    /// The connection breaks.
    Cut,
    /// Nothing more comes, ever.
    Stall,
    /// One byte more every so often, for ever.
    Trickle(std::time::Duration),
}

/// An answer.
#[derive(Clone, Debug)]
pub(crate) struct Reply {
    status: u16,
    headers: Vec<(String, String)>,
    body: Bytes,
    end: End,
}

pub(crate) fn reply(status: u16) -> Reply {
    Reply { status, headers: Vec::new(), body: Bytes::new(), end: End::Well }
}

impl Reply {
    pub(crate) fn header(mut self, name: &str, value: impl Into<String>) -> Self {
        self.headers.push((name.to_owned(), value.into()));
        self
    }

    pub(crate) fn body(mut self, kind: &str, body: impl Into<Bytes>) -> Self {
        self.body = body.into();
        self.header("content-type", kind)
    }

    /// An OCI error envelope.
    pub(crate) fn error(self, code: &str) -> Self {
        self.body("application/json", format!(r#"{{"errors":[{{"code":"{code}","message":"says the test"}}]}}"#))
    }

    pub(crate) fn manifest(self, manifest: &Manifest) -> Self {
        self.body(manifest.media_type(), manifest.bytes().clone())
            .header("docker-content-digest", manifest.digest().to_string())
    }

    pub(crate) fn then_cut(mut self) -> Self {
        self.end = End::Cut;
        self
    }

    pub(crate) fn then_stall(mut self) -> Self {
        self.end = End::Stall;
        self
    }

    pub(crate) fn then_trickle(mut self, every: std::time::Duration) -> Self {
        self.end = End::Trickle(every);
        self
    }

    fn into_response(self) -> Response<BoxBody<Bytes, std::io::Error>> {
        let mut response = Response::builder().status(StatusCode::from_u16(self.status).unwrap());
        for (name, value) in &self.headers {
            response = response.header(name, value);
        }
        let start = stream::iter([Ok(Frame::data(self.body.clone()))]);
        let frames: Frames = match self.end {
            // Of known length, as servers do.
            End::Well => {
                return response.body(http_body_util::Full::new(self.body).map_err(|e| match e {}).boxed()).unwrap();
            }
            // Not at once: what was written first should arrive.
            End::Cut => Box::pin(start.chain(stream::once(async {
                tokio::time::sleep(std::time::Duration::from_millis(20)).await;
                Err(std::io::Error::other("cut"))
            }))),
            End::Stall => Box::pin(start.chain(stream::pending())),
            End::Trickle(every) => Box::pin(start.chain(stream::unfold((), move |()| async move {
                tokio::time::sleep(every).await;
                Some((Ok(Frame::data(Bytes::from_static(b"x"))), ()))
            }))),
        };
        let body = http_body_util::BodyExt::boxed(StreamBody::new(Synced(Mutex::new(frames))));
        response.body(body).unwrap()
    }
}

type Frames = std::pin::Pin<Box<dyn futures_util::Stream<Item = Result<Frame<Bytes>, std::io::Error>> + Send>>;

/// `BoxBody` must be `Sync`, which a sleeping stream is not.
struct Synced(Mutex<Frames>);

impl futures_util::Stream for Synced {
    type Item = Result<Frame<Bytes>, std::io::Error>;
    fn poll_next(
        self: std::pin::Pin<&mut Self>,
        context: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Self::Item>> {
        self.0.lock().unwrap().as_mut().poll_next(context)
    }
}

/// A server on a free loopback port; it ends with the test's runtime.
#[derive(Clone)]
pub(crate) struct Fake {
    pub(crate) host: String,
    asked: Arc<Mutex<Vec<Asked>>>,
}

impl Fake {
    /// Answers by `handler`, which is told how many requests came before.
    pub(crate) async fn start(handler: impl Fn(usize, &Asked) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        Self::on(listener, handler)
    }

    /// The same on a listener, whose port other servers' answers may have to name.
    pub(crate) fn on(listener: TcpListener, handler: impl Fn(usize, &Asked) -> Reply + Send + Sync + 'static) -> Self {
        let host = listener.local_addr().unwrap().to_string();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let (record, handler) = (asked.clone(), Arc::new(handler));
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                stream.set_nodelay(true).unwrap();
                let (record, handler) = (record.clone(), handler.clone());
                tokio::spawn(async move {
                    let service = service_fn(move |request: Request<Incoming>| {
                        let (record, handler) = (record.clone(), handler.clone());
                        async move {
                            let (parts, body) = request.into_parts();
                            let body = body.collect().await.map(|body| body.to_bytes()).unwrap_or_default();
                            let asked = Asked {
                                method: parts.method,
                                target: parts.uri.to_string(),
                                headers: parts.headers,
                                body,
                            };
                            let before = {
                                let mut record = record.lock().unwrap();
                                record.push(asked.clone());
                                record.len() - 1
                            };
                            Ok::<_, Infallible>(handler(before, &asked).into_response())
                        }
                    });
                    let _ = hyper::server::conn::http1::Builder::new()
                        .serve_connection(TokioIo::new(stream), service)
                        .await;
                });
            }
        });
        Self { host, asked }
    }

    pub(crate) fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }

    pub(crate) fn lines(&self) -> Vec<String> {
        self.asked().iter().map(Asked::line).collect()
    }

    pub(crate) fn repository(&self) -> Repository {
        format!("{}/a/b", self.host).parse().unwrap()
    }

    pub(crate) fn tag(&self, tag: &str) -> TagRef {
        self.repository().tag(tag.parse().unwrap())
    }

    pub(crate) fn pin(&self, bytes: &[u8]) -> PinnedRef {
        self.repository().pin(Digest::sha256(bytes))
    }
}

/// A client whose retries do not slow the tests down.
pub(crate) fn client() -> Client {
    quick().build().unwrap()
}

pub(crate) fn quick() -> ClientBuilder {
    let retry = schleuse_client::RetryPolicy {
        attempts: 3,
        first: std::time::Duration::from_millis(5),
        ..schleuse_client::RetryPolicy::default()
    };
    Client::builder().retry(retry).jitter(Arc::new(NoJitter))
}

pub(crate) fn password(username: &str, password: &str) -> Credential {
    Credential::Basic { username: username.to_owned(), password: password.to_owned().into() }
}

/// A small image manifest.
pub(crate) fn image(remark: &str) -> Manifest {
    let mut manifest = ImageManifest::new(Descriptor::empty(), vec![]);
    manifest.annotations.insert("remark".to_owned(), remark.to_owned());
    manifest.to_manifest()
}

/// A piece of evidence about `subject`.
pub(crate) fn evidence(subject: &Manifest, remark: &str) -> Manifest {
    let mut manifest = ImageManifest::new(Descriptor::empty(), vec![Descriptor::empty()]);
    manifest.artifact_type = Some("application/vnd.example.evidence".to_owned());
    manifest.annotations.insert("remark".to_owned(), remark.to_owned());
    manifest.subject = Some(subject.descriptor());
    manifest.to_manifest()
}
