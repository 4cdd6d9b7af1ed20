//! The service itself: HTTP/1.1 on a loopback port.

use std::convert::Infallible;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode, header};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use schleuse_model::{Explain, json};
use serde::Serialize;
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{Instant, sleep, timeout};

use super::Fault;

/// How long requests in flight may take after SIGTERM. Less than the 10 s after which targets kill.
const GRACE: Duration = Duration::from_secs(8);

/// How long `/slow` takes: long enough to be in flight while something is switched.
const SLOW: Duration = Duration::from_millis(500);

/// What the service answers about itself.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    /// `APP_VERSION`.
    pub(crate) version: String,
    /// `SCHLEUSE_DIGEST`: set by the target, so that who asks knows which release answers.
    pub(crate) digest: Option<String>,
    /// `APP_FAULT`.
    pub(crate) fault: Fault,
}

/// The service, listening.
#[derive(Debug)]
pub(crate) struct Service {
    listener: TcpListener,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    answer: Answer,
    started: Instant,
    requests: AtomicU64,
}

/// The service did not start, or ended by its fault.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ServiceError {
    /// The port cannot be had.
    #[error("cannot listen on 127.0.0.1:{port}")]
    Listen {
        /// Which.
        port: u16,
        /// Why.
        source: std::io::Error,
    },
    /// As APP_FAULT demands.
    #[error("crashed, as APP_FAULT demands")]
    Crashed,
}

impl Explain for ServiceError {}

#[derive(Serialize)]
struct Health<'a> {
    status: &'static str,
    version: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    digest: Option<&'a str>,
    uptime_s: u64,
}

impl Service {
    /// Listens on 127.0.0.1.
    ///
    /// # Errors
    /// If the port is taken, or the fault is to crash at the start.
    pub(crate) async fn start(port: u16, answer: Answer) -> Result<Self, ServiceError> {
        if answer.fault == Fault::CrashAtStart {
            return Err(ServiceError::Crashed);
        }
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port))
            .await
            .map_err(|source| ServiceError::Listen { port, source })?;
        Ok(Self { listener, shared: Arc::new(Shared { answer, started: Instant::now(), requests: AtomicU64::new(0) }) })
    }

    /// Where it listens.
    ///
    /// # Errors
    /// If the operating system cannot say.
    pub(crate) fn address(&self) -> std::io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Serves until `stop`, then finishes what is in flight.
    ///
    /// # Errors
    /// [`ServiceError::Crashed`], if that is the fault.
    pub(crate) async fn serve(self, stop: impl Future<Output = ()>) -> Result<(), ServiceError> {
        let graceful = GracefulShutdown::new();
        let crash = async {
            match self.shared.answer.fault {
                Fault::CrashAfter(after) => sleep(after).await,
                _ => std::future::pending().await,
            }
        };
        tokio::pin!(stop, crash);
        loop {
            tokio::select! {
                () = &mut stop => break,
                () = &mut crash => return Err(ServiceError::Crashed),
                // A connection that is gone before it was taken is the peer's business; out of file handles passes too.
                taken = self.listener.accept() => match taken {
                    Ok((stream, _)) => self.connection(stream, &graceful),
                    Err(_) => sleep(Duration::from_millis(10)).await,
                },
            }
        }
        drop(self.listener);
        // Whoever does not get an answer by then (`hang`) never would.
        let _ = timeout(GRACE, graceful.shutdown()).await;
        Ok(())
    }

    fn connection(&self, stream: TcpStream, graceful: &GracefulShutdown) {
        let shared = Arc::clone(&self.shared);
        let service = service_fn(move |request| {
            let shared = Arc::clone(&shared);
            async move { Ok::<_, Infallible>(shared.answer(&request).await) }
        });
        let connection = http1::Builder::new().timer(TokioTimer::new()).serve_connection(TokioIo::new(stream), service);
        tokio::spawn(graceful.watch(connection));
    }
}

impl Shared {
    async fn answer(&self, request: &Request<Incoming>) -> Response<Full<Bytes>> {
        let answer = &self.answer;
        if answer.fault == Fault::Hang {
            std::future::pending::<()>().await;
        }
        let number = self.requests.fetch_add(1, Ordering::Relaxed);
        let health = request.uri().path() == "/api/health";
        let fails = answer.fault.fails(number, health, self.started.elapsed());
        let status = if fails { StatusCode::INTERNAL_SERVER_ERROR } else { StatusCode::OK };
        match (request.method(), request.uri().path()) {
            (&Method::GET, "/api/health") => {
                let health = Health {
                    status: if fails { "failing" } else { "ok" },
                    version: &answer.version,
                    digest: answer.digest.as_deref(),
                    uptime_s: self.started.elapsed().as_secs(),
                };
                response(status, "application/json", json::to_bytes(&health))
            }
            (&Method::GET, "/" | "/slow") if fails => response(status, "text/plain", b"internal error\n".to_vec()),
            (&Method::GET, path @ ("/" | "/slow")) => {
                if path == "/slow" {
                    sleep(SLOW).await;
                }
                response(status, "text/plain", format!("billing {}\n", answer.version).into_bytes())
            }
            _ => response(StatusCode::NOT_FOUND, "text/plain", b"not found\n".to_vec()),
        }
    }
}

fn response(status: StatusCode, content_type: &'static str, body: Vec<u8>) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body.into()));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, header::HeaderValue::from_static(content_type));
    response.headers_mut().insert(header::CACHE_CONTROL, header::HeaderValue::from_static("no-store"));
    response
}
