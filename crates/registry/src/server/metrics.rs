//! The page that Prometheus reads, on an address of its own: it needs no login, so it does not stand where clients come from.

use std::convert::Infallible;
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{self, HeaderValue};
use http::{Method, Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::ACCEPT_PAUSE;
use crate::log::AccessLog;
use crate::registry::Registry;

/// Who reads metrics does so by one connection, or two.
const CONNECTIONS: usize = 16;

/// How long one may take, from accepting it to its end; a scrape takes milliseconds. Readers connect anew after it.
const CONNECTION: Duration = Duration::from_secs(60);

impl Registry {
    /// Serves `GET /metrics` on `listener` until `shutdown` is ready, to whoever asks: keep it from whom it does not concern.
    pub async fn serve_metrics(self, listener: TcpListener, shutdown: impl Future<Output = ()> + Send) {
        let slots = Arc::new(Semaphore::new(CONNECTIONS));
        let mut connections = JoinSet::new();
        let mut shutdown = pin!(shutdown);
        loop {
            let accept = async {
                // Never closed, so never an error.
                let slot = slots.clone().acquire_owned().await.ok();
                (slot, listener.accept().await)
            };
            let (slot, stream) = tokio::select! {
                () = &mut shutdown => return,
                Some(_) = connections.join_next() => continue,
                (slot, accepted) = accept => match accepted {
                    Ok((stream, _)) => (slot, stream),
                    Err(_) => {
                        tokio::time::sleep(ACCEPT_PAUSE).await;
                        continue;
                    }
                },
            };
            let registry = self.clone();
            let service = service_fn(move |request| {
                let page = registry.metrics_page(&request);
                async move { Ok::<_, Infallible>(page) }
            });
            let connection = http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(self.limits.header_wait)
                .serve_connection(TokioIo::new(stream), service);
            connections.spawn(async move {
                let _ = tokio::time::timeout(CONNECTION, connection).await;
                drop(slot);
            });
        }
    }

    fn metrics_page(&self, request: &Request<Incoming>) -> Response<Full<Bytes>> {
        let known = request.uri().path() == "/metrics" && matches!(*request.method(), Method::GET | Method::HEAD);
        if !known {
            let mut answer = Response::new(Full::new(Bytes::from_static(b"GET /metrics\n")));
            *answer.status_mut() = StatusCode::NOT_FOUND;
            return answer;
        }
        let lost = self.observer.log.as_ref().map_or(0, AccessLog::lost);
        let page = self.observer.metrics.render(self.shared.uploads.len(), lost);
        let mut answer = Response::new(Full::new(page.into()));
        let media_type = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
        answer.headers_mut().insert(header::CONTENT_TYPE, media_type);
        answer
    }
}
