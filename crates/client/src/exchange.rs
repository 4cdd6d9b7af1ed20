//! One request with everything around it: login, redirects, retries, deadlines, and the answer read whole or opened as a
//! stream. `attempt` is one try of it.

mod attempt;

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use reqwest::Url;
use schleuse_model::{Clock, Digest, Repository};
use schleuse_oci::Error;
use schleuse_oci::access::RegistryTime;
use tokio::time::Instant;

use crate::address::{Addresses, Endpoint};
use crate::answer::{Answer, MESSAGE_LIMIT, is_html};
use crate::auth::{Auth, Scope};
use crate::body::Incoming;
use crate::builder::ClientBuilder;
use crate::payload::Payload;
use crate::referrers::Support;
use crate::retry::{Failure, Jitter, Tries};
use crate::settings::{Deadlines, Limits, RetryPolicy};
use crate::transport::{Transport, Wiring};
use crate::upload::Opened;

/// A client for OCI registries. Cheap to clone; clones share connections, tokens and what they know about registries.
///
/// ```
/// let client = schleuse_client::Client::builder().insecure_hosts(["registry.lan:5000"]).build()?;
/// # Ok::<(), schleuse_client::BuildError>(())
/// ```
#[derive(Clone)]
pub struct Client(pub(crate) Arc<Inner>);

impl Client {
    /// What to set before [`ClientBuilder::build`].
    pub fn builder() -> ClientBuilder {
        ClientBuilder::default()
    }

    pub(crate) fn assemble(builder: ClientBuilder, addresses: Addresses, wiring: Wiring) -> Self {
        Self(Arc::new(Inner {
            addresses,
            transport: Transport::new(wiring),
            auth: Auth::new(builder.credentials),
            clock: builder.clock,
            jitter: builder.jitter,
            deadlines: builder.deadlines,
            retry: builder.retry,
            limits: builder.limits,
            time: Mutex::default(),
            opened: Opened::default(),
            support: Mutex::default(),
        }))
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Client")
    }
}

/// What the clones share.
pub(crate) struct Inner {
    pub(crate) addresses: Addresses,
    pub(crate) transport: Transport,
    pub(crate) auth: Auth,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) jitter: Arc<dyn Jitter>,
    pub(crate) deadlines: Deadlines,
    pub(crate) retry: RetryPolicy,
    pub(crate) limits: Limits,
    pub(crate) time: Mutex<Option<RegistryTime>>,
    pub(crate) opened: Opened,
    pub(crate) support: Mutex<HashMap<Repository, Support>>,
}

/// Which failures are worth another attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Repeat {
    /// Reading: any.
    Read,
    /// Writing what can be written twice: any but 500, which may be the registry's opinion of the content.
    Write,
    /// Writing once: only what surely did not arrive. After anything else a repetition could meet its own first success and
    /// report it as somebody else's.
    Once,
}

/// A request, sendable several times.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    pub(crate) method: Method,
    pub(crate) url: Url,
    pub(crate) headers: HeaderMap,
    pub(crate) payload: Payload,
    pub(crate) scope: Scope,
    pub(crate) repeat: Repeat,
    /// Whether redirects are followed: blobs may lie elsewhere; manifests, tags and uploads may not.
    pub(crate) redirects: bool,
    /// For messages: what this is about.
    pub(crate) what: String,
}

impl Call {
    /// A GET.
    pub(crate) fn get(url: Url, scope: Scope, what: impl Into<String>) -> Self {
        Self {
            method: Method::GET,
            url,
            headers: HeaderMap::new(),
            payload: Payload::Empty,
            scope,
            repeat: Repeat::Read,
            redirects: false,
            what: what.into(),
        }
    }

    /// Another method.
    pub(crate) fn method(mut self, method: Method, repeat: Repeat) -> Self {
        self.method = method;
        self.repeat = repeat;
        self
    }

    /// With a header.
    pub(crate) fn header(mut self, name: header::HeaderName, value: HeaderValue) -> Self {
        self.headers.append(name, value);
        self
    }

    /// With a body.
    pub(crate) fn payload(mut self, payload: Payload) -> Self {
        self.payload = payload;
        self
    }

    fn puts_manifest(&self) -> bool {
        self.method == Method::PUT && self.url.path().contains("/manifests/")
    }

    /// Reading the blob `digest`.
    pub(crate) fn blob(endpoint: &Endpoint, digest: &Digest) -> Self {
        let what = format!("blob {}@{digest}", endpoint.repository);
        let scope = Scope::pull(&endpoint.repository);
        Self { redirects: true, ..Self::get(endpoint.blob(digest), scope, what) }
    }
}

/// An answer whose body has not been read.
#[derive(Debug)]
pub(crate) struct Head {
    pub(crate) body: Incoming,
    pub(crate) foreign: bool,
    /// Whether it answers a HEAD: it has no body, though over HTTP/2 its length is announced as if it had.
    pub(crate) bodyless: bool,
}

impl Head {
    pub(crate) fn status(&self) -> StatusCode {
        self.body.response.status()
    }

    /// Whether its headers announce a web page.
    pub(crate) fn is_web_page(&self) -> bool {
        is_html(self.body.response.headers())
    }

    /// The answer with its body: whole and at most `limit` bytes of a success, the start of anything else.
    pub(crate) async fn read(self, limit: usize) -> Result<Answer, Error> {
        let (host, what) = (self.body.host.clone(), self.body.what.clone());
        let (status, headers) = (self.status(), self.body.response.headers().clone());
        let body = match status.is_success() {
            _ if self.bodyless => Bytes::new(),
            true => self.body.whole(limit).await?,
            false => self.body.start(MESSAGE_LIMIT).await,
        };
        Ok(Answer { host, what, status, headers, body, foreign: self.foreign })
    }
}

impl Inner {
    /// When a call that starts now and moves no blob is over.
    pub(crate) fn operation(&self) -> Instant {
        Instant::now() + self.deadlines.operation
    }

    /// When a call that starts now and moves a blob is over.
    pub(crate) fn transfer(&self) -> Instant {
        Instant::now() + self.deadlines.transfer
    }

    /// The attempts of one call.
    pub(crate) fn tries(&self, deadline: Instant) -> Tries {
        Tries::new(self.retry, self.jitter.clone(), deadline)
    }

    /// Makes the call and reads its answer whole; attempts cover the body too. The answer is a success, or a refusal that the
    /// caller has to judge (never 401, 403, 429 or 5xx).
    pub(crate) async fn fetch(
        &self,
        endpoint: &Endpoint,
        call: &Call,
        limit: usize,
        deadline: Instant,
    ) -> Result<Answer, Error> {
        let mut tries = self.tries(deadline);
        loop {
            let failure = match self.attempt(endpoint, call, deadline).await {
                Ok(head) => match head.read(limit).await {
                    // A refusal: nothing was written, so even what is written only once may be asked for again.
                    Ok(answer) if call.puts_manifest() && answer.says_half_written() => {
                        Failure::Again { error: answer.unexpected(), after: None }
                    }
                    Ok(answer) => return Ok(answer),
                    Err(error @ Error::Interrupted { .. }) if call.repeat != Repeat::Once => {
                        Failure::Again { error, after: None }
                    }
                    Err(error) => Failure::Final(error),
                },
                Err(failure) => failure,
            };
            tries.after(failure).await?;
        }
    }

    /// Makes the call until there is an answer's head.
    pub(crate) async fn open(&self, endpoint: &Endpoint, call: &Call, deadline: Instant) -> Result<Head, Error> {
        let mut tries = self.tries(deadline);
        loop {
            match self.attempt(endpoint, call, deadline).await {
                Ok(head) => return Ok(head),
                Err(failure) => tries.after(failure).await?,
            }
        }
    }
}
