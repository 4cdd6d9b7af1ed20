//! One request through the proxy.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full};
use hyper::body::{Frame, Incoming};
use hyper::header::{CONNECTION, EXPECT, HeaderMap, HeaderName, HeaderValue, TRANSFER_ENCODING, UPGRADE};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{Instant, Sleep};

use super::broken;
use super::fault::{Fault, Match, Record, When};

type Answer = Response<UnsyncBoxBody<Bytes, io::Error>>;

/// What the proxy knows, shared between its thread and the test.
#[derive(Debug)]
pub(super) struct Shared(Mutex<State>);

#[derive(Debug)]
pub(super) struct State {
    pub(super) upstream: SocketAddr,
    pub(super) faults: Vec<(Match, When, Fault)>,
    pub(super) records: Vec<Record>,
    pub(super) refusing: bool,
}

impl Shared {
    pub(super) fn new(upstream: SocketAddr) -> Self {
        Self(Mutex::new(State { upstream, faults: Vec::new(), records: Vec::new(), refusing: false }))
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// `None`: the upstream is down.
    fn record(&self, request: &Request<Incoming>) -> Option<Record> {
        let mut state = self.state();
        if state.refusing {
            return None;
        }
        let path = request.uri().path_and_query().map_or_else(String::new, ToString::to_string);
        let (number, method) = (state.records.len() + 1, request.method().to_string());
        let record = Record { number, method, path, status: None };
        state.records.push(record.clone());
        Some(record)
    }

    fn answered(&self, record: &Record, status: u16) {
        // After a reset the number belongs to another request, or to none.
        if let Some(entry) = self.state().records.get_mut(record.number - 1)
            && (&entry.method, &entry.path) == (&record.method, &record.path)
        {
            entry.status = Some(status);
        }
    }

    fn fault(&self, record: &Record, when: When) -> Option<Fault> {
        let state = self.state();
        let matches = |entry: &&(Match, When, Fault)| entry.1 == when && entry.0.covers(record);
        state.faults.iter().find(matches).map(|entry| entry.2.clone())
    }
}

pub(super) async fn serve(listener: TcpListener, shared: Arc<Shared>) {
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            tokio::time::sleep(Duration::from_millis(20)).await;
            continue;
        };
        if shared.state().refusing {
            continue;
        }
        // Without it small answers wait for acknowledgements; that would distort measurements, not results.
        let _ = stream.set_nodelay(true);
        let shared = shared.clone();
        let service = service_fn(move |request| exchange(request, shared.clone()));
        let connection = http1::Builder::new().timer(TokioTimer::new()).serve_connection(TokioIo::new(stream), service);
        tokio::spawn(async move {
            // Broken on purpose, or by a client that was killed.
            let _ = connection.await;
        });
    }
}

/// An error closes the connection to the client without an answer.
async fn exchange(request: Request<Incoming>, shared: Arc<Shared>) -> Result<Answer, io::Error> {
    let record = shared.record(&request).ok_or_else(broken)?;
    if let Some(fault) = shared.fault(&record, When::Before) {
        match carry_out(fault).await? {
            Outcome::GoOn => {}
            Outcome::Truncate(_) => return Err(broken()),
            Outcome::Answer(answer) => {
                shared.answered(&record, answer.status().as_u16());
                return Ok(answer);
            }
        }
    }
    let upstream = shared.state().upstream;
    let answer = forward(request, upstream).await?;
    shared.answered(&record, answer.status().as_u16());
    let fault = shared.fault(&record, When::After);
    let outcome = match fault {
        Some(fault) => carry_out(fault).await?,
        None => Outcome::GoOn,
    };
    if shared.state().refusing {
        return Err(broken());
    }
    Ok(match outcome {
        Outcome::GoOn => answer.map(|body| body.map_err(io::Error::other).boxed_unsync()),
        Outcome::Truncate(limit) => answer.map(|body| truncated(body, limit)),
        Outcome::Answer(other) => {
            shared.answered(&record, other.status().as_u16());
            other
        }
    })
}

enum Outcome {
    GoOn,
    Truncate(usize),
    Answer(Answer),
}

async fn carry_out(fault: Fault) -> Result<Outcome, io::Error> {
    match fault {
        Fault::Drop => Err(broken()),
        Fault::Run(act) => {
            // It may block: waiting for a killed process, for instance.
            let ran = tokio::task::spawn_blocking(move || act()).await;
            ran.map_err(io::Error::other)?;
            Err(broken())
        }
        Fault::Delay(duration) => {
            tokio::time::sleep(duration).await;
            Ok(Outcome::GoOn)
        }
        Fault::Hold(until) => {
            tokio::task::spawn_blocking(move || until()).await.map_err(io::Error::other)?;
            Ok(Outcome::GoOn)
        }
        Fault::Truncate(limit) => Ok(Outcome::Truncate(limit)),
        Fault::Answer { status, headers, body } => {
            let mut answer = Response::new(Full::new(body).map_err(|never| match never {}).boxed_unsync());
            *answer.status_mut() = status;
            for (name, value) in headers {
                let value = HeaderValue::from_str(&value).map_err(io::Error::other)?;
                answer.headers_mut().append(HeaderName::from_static(name), value);
            }
            Ok(Outcome::Answer(answer))
        }
    }
}

async fn forward(mut request: Request<Incoming>, upstream: SocketAddr) -> Result<Response<Incoming>, io::Error> {
    strip_hop_by_hop(request.headers_mut());
    request.headers_mut().remove(EXPECT);
    let stream = TcpStream::connect(upstream).await?;
    stream.set_nodelay(true)?;
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(io::Error::other)?;
    // Ends with the answer's body, or when the client's connection ends and with it this request.
    tokio::spawn(connection);
    let mut answer = sender.send_request(request).await.map_err(io::Error::other)?;
    strip_hop_by_hop(answer.headers_mut());
    Ok(answer)
}

/// RFC 9110, section 7.6.1: these speak about one connection, and ours are two. Framing is hyper's on each.
fn strip_hop_by_hop(headers: &mut HeaderMap) {
    for name in [CONNECTION, TRANSFER_ENCODING, UPGRADE, HeaderName::from_static("keep-alive")] {
        headers.remove(name);
    }
}

/// Passes `limit` bytes on and then fails, which closes the connection in the middle of the body.
fn truncated(body: Incoming, limit: usize) -> UnsyncBoxBody<Bytes, io::Error> {
    BreakOff { body, left: limit, flush: Box::pin(tokio::time::sleep(FLUSH)) }.boxed_unsync()
}

/// hyper throws away what it has not sent when a body fails; while it waits for more, it sends.
const FLUSH: Duration = Duration::from_millis(20);

struct BreakOff {
    body: Incoming,
    left: usize,
    flush: Pin<Box<Sleep>>,
}

impl hyper::body::Body for BreakOff {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        if self.left == 0 {
            ready!(self.flush.as_mut().poll(context));
            return Poll::Ready(Some(Err(broken())));
        }
        let frame = ready!(Pin::new(&mut self.body).poll_frame(context));
        let left = &mut self.left;
        Poll::Ready(
            frame
                .map(|frame| {
                    Ok(frame.map_err(io::Error::other)?.map_data(|mut bytes| {
                        bytes.truncate(*left);
                        *left -= bytes.len();
                        bytes
                    }))
                })
                .inspect(|_| {
                    self.flush.as_mut().reset(Instant::now() + FLUSH);
                }),
        )
    }
}
