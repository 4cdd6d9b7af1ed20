//! Following a request from its header to the last byte of its answer, for the metrics and the access log.

use std::io;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{Method, Request, header};
use http_body_util::BodyExt;
use hyper::body::{Body, Frame, SizeHint};
use schleuse_model::Clock;
use tokio::time::Instant;

use crate::access::Caller;
use crate::answer::Answer;
use crate::log::{self, AccessLog, Line};
use crate::metrics::{Metrics, Sample};
use crate::route::Kind;
use crate::server::seats::Busy;

/// Who watches. Cloning gives another handle.
#[derive(Clone, Debug, Default)]
pub(crate) struct Observer {
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) log: Option<AccessLog>,
}

/// One request and its answer. Recorded when dropped: that is when the answer has left, or when the client has gone.
#[derive(Debug)]
pub(crate) struct Exchange {
    observer: Observer,
    clock: Arc<dyn Clock>,
    id: String,
    remote: Option<IpAddr>,
    method: Method,
    path: String,
    began: Instant,
    pub(crate) kind: Kind,
    pub(crate) caller: Caller,
    /// Counted where the body is read.
    pub(crate) received: Arc<AtomicU64>,
    sent: u64,
    status: Option<u16>,
    whole: bool,
    /// Its connection is not idle meanwhile.
    _busy: Busy,
}

/// Random once a process, then a number: unique, and it says in which order they came.
fn next_id() -> String {
    static START: std::sync::OnceLock<u32> = std::sync::OnceLock::new();
    static NUMBER: AtomicU64 = AtomicU64::new(1);
    let start = START.get_or_init(|| {
        let mut bytes = [0; 4];
        // Without randomness two runs may share ids, which harms nobody.
        let _ = getrandom::getrandom(&mut bytes);
        u32::from_be_bytes(bytes)
    });
    format!("{start:08x}-{}", NUMBER.fetch_add(1, Relaxed))
}

impl Exchange {
    pub(crate) fn begin<B>(
        observer: &Observer,
        request: &Request<B>,
        remote: Option<IpAddr>,
        clock: Arc<dyn Clock>,
        busy: Busy,
    ) -> Self {
        observer.metrics.in_flight.fetch_add(1, Relaxed);
        Self {
            observer: observer.clone(),
            clock,
            id: next_id(),
            remote,
            method: request.method().clone(),
            path: if observer.log.is_some() { log::shown(request.uri().path()) } else { String::new() },
            began: Instant::now(),
            kind: Kind::Other,
            caller: Caller::Anyone,
            received: Arc::default(),
            sent: 0,
            status: None,
            whole: false,
            _busy: busy,
        }
    }

    pub(crate) fn id(&self) -> &str {
        &self.id
    }

    /// The answer, whose body keeps this exchange until it has left.
    pub(crate) fn attach(mut self, answer: Answer) -> Answer {
        self.status = Some(answer.status().as_u16());
        let length = answer.headers().get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse().ok());
        // What has no body has left with its header.
        self.whole = self.method == Method::HEAD || answer.body().is_end_stream() || length == Some(0);
        answer.map(|body| Observed { body: Box::pin(body), length, exchange: self }.boxed_unsync())
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        let (metrics, took) = (&self.observer.metrics, self.began.elapsed());
        metrics.in_flight.fetch_sub(1, Relaxed);
        let status = self.status.filter(|_| self.whole);
        let received = self.received.load(Relaxed);
        metrics.record(&Sample { kind: self.kind, method: &self.method, status, received, sent: self.sent, took });
        if let Some(log) = &self.observer.log {
            log.write(&Line {
                time: self.clock.now().to_string(),
                id: &self.id,
                remote: self.remote,
                user: match &self.caller {
                    Caller::Anyone => None,
                    Caller::User(user) => Some(log::shown(user)),
                },
                method: self.method.as_str().get(..16).unwrap_or(self.method.as_str()),
                path: std::mem::take(&mut self.path),
                status: status.unwrap_or(499),
                received,
                sent: self.sent,
                seconds: log::seconds(took),
            });
        }
    }
}

/// A body that tells how much of it has left.
struct Observed<B> {
    body: Pin<Box<B>>,
    length: Option<u64>,
    exchange: Exchange,
}

impl<B: Body<Data = Bytes, Error = io::Error>> Body for Observed<B> {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        let polled = self.body.as_mut().poll_frame(context);
        match &polled {
            Poll::Ready(Some(Ok(frame))) => {
                self.exchange.sent += frame.data_ref().map_or(0, |bytes| bytes.len() as u64);
                // hyper does not ask again once it has as much as was announced.
                self.exchange.whole |= self.length == Some(self.exchange.sent);
            }
            Poll::Ready(None) => self.exchange.whole = true,
            Poll::Ready(Some(Err(_))) | Poll::Pending => {}
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
