//! One request with everything around it: login, redirects, retries, deadlines, and the answer read whole or opened as a
//! stream.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use reqwest::{Certificate, Request, Response, Url};
use schleuse_model::{Clock, Repository, Timestamp};
use schleuse_oci::Error;
use schleuse_oci::access::RegistryTime;
use tokio::time::Instant;

use crate::address::{Addresses, Endpoint, Refused, authority, same_origin};
use crate::answer::{Answer, MESSAGE_LIMIT};
use crate::auth::{Auth, Scope, Wire};
use crate::body::Incoming;
use crate::builder::ClientBuilder;
use crate::payload::{Payload, Progress};
use crate::referrers::Support;
use crate::retry::{Failure, Jitter, Tries};
use crate::settings::{Deadlines, Limits, RetryPolicy};
use crate::transport::Transport;

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

    pub(crate) fn assemble(builder: ClientBuilder, addresses: Addresses, certificates: Vec<Certificate>) -> Self {
        Self(Arc::new(Inner {
            addresses,
            transport: Transport::new(certificates, builder.deadlines),
            auth: Auth::new(builder.credentials),
            clock: builder.clock,
            jitter: builder.jitter,
            deadlines: builder.deadlines,
            retry: builder.retry,
            limits: builder.limits,
            time: Mutex::default(),
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

    /// Blobs may lie elsewhere; manifests, tags and uploads may not.
    fn may_be_redirected(&self) -> bool {
        matches!(self.method, Method::GET | Method::HEAD) && self.url.path().contains("/blobs/")
    }
}

/// An answer whose body has not been read.
#[derive(Debug)]
pub(crate) struct Head {
    pub(crate) body: Incoming,
    pub(crate) foreign: bool,
}

impl Head {
    pub(crate) fn status(&self) -> StatusCode {
        self.body.response.status()
    }

    /// The answer with its body: whole and at most `limit` bytes of a success, the start of anything else.
    pub(crate) async fn read(self, limit: usize) -> Result<Answer, Error> {
        let (host, what) = (self.body.host.clone(), self.body.what.clone());
        let (status, headers) = (self.status(), self.body.response.headers().clone());
        let body =
            if status.is_success() { self.body.whole(limit).await? } else { self.body.start(MESSAGE_LIMIT).await };
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
    pub(crate) fn tries(&self, deadline: Instant) -> Tries<'_> {
        Tries::new(self.retry, &*self.jitter, deadline)
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
                    Ok(answer) => return Ok(answer),
                    Err(error @ Error::Unavailable { .. }) if call.repeat != Repeat::Once => {
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

    /// One attempt, with at most one login and some redirects.
    pub(crate) async fn attempt(&self, endpoint: &Endpoint, call: &Call, deadline: Instant) -> Result<Head, Failure> {
        let mut url = call.url.clone();
        let mut hops = 0;
        let mut logged_in = false;
        let wire = Wire { transport: &self.transport, addresses: &self.addresses, deadlines: self.deadlines, deadline };
        loop {
            // Credentials are for the registry itself: not for where a redirect or an upload's `Location` leads.
            let home = same_origin(&url, &endpoint.base);
            let login = if home { self.auth.header(endpoint, &call.scope, wire).await? } else { None };
            if logged_in && home && login.is_none() {
                return Err(unauthorized(endpoint, call).into());
            }
            let response = self.send(endpoint, call, &url, login.as_ref(), deadline).await?;
            if home {
                self.note_time(response.headers());
            }
            let status = response.status();
            if status == StatusCode::UNAUTHORIZED && home && !logged_in {
                logged_in = true;
                if !self.auth.learn(endpoint, response.headers(), login.as_ref()).await {
                    return Err(unauthorized(endpoint, call).into());
                }
                self.head(endpoint, call, response, &url, deadline).body.start(MESSAGE_LIMIT).await;
                continue;
            }
            let redirect = matches!(status.as_u16(), 301 | 302 | 303 | 307 | 308);
            if redirect && call.may_be_redirected() && hops < self.limits.redirects {
                hops += 1;
                let next = self.redirected(endpoint, &url, response.headers())?;
                if let Some(next) = next {
                    self.head(endpoint, call, response, &url, deadline).body.start(MESSAGE_LIMIT).await;
                    url = next;
                    continue;
                }
            }
            return self.judged(endpoint, call, self.head(endpoint, call, response, &url, deadline)).await;
        }
    }

    async fn send(
        &self,
        endpoint: &Endpoint,
        call: &Call,
        url: &Url,
        login: Option<&HeaderValue>,
        deadline: Instant,
    ) -> Result<Response, Failure> {
        let mut request = Request::new(call.method.clone(), url.clone());
        *request.headers_mut() = call.headers.clone();
        if let Some(login) = login {
            request.headers_mut().insert(header::AUTHORIZATION, login.clone());
        }
        let progress = Progress::default();
        *request.body_mut() = call.payload.open(&progress).await?;
        // Registries on object storage refuse bodies of unannounced length.
        if let Some(length) = call.payload.length() {
            request.headers_mut().insert(header::CONTENT_LENGTH, length.into());
        } else if call.method == Method::POST {
            request.headers_mut().insert(header::CONTENT_LENGTH, HeaderValue::from_static("0"));
        }
        self.transport.send(request, &progress, deadline).await.map_err(|failed| {
            let error = Error::Unavailable {
                host: endpoint.host().to_owned(),
                what: call.what.clone(),
                message: failed.message,
            };
            if failed.hopeless || (call.repeat == Repeat::Once && !failed.unsent) {
                Failure::Final(error)
            } else {
                Failure::Again { error, after: None }
            }
        })
    }

    fn head(&self, endpoint: &Endpoint, call: &Call, response: Response, url: &Url, deadline: Instant) -> Head {
        let foreign = !same_origin(url, &endpoint.base);
        let host = if foreign { authority(url) } else { endpoint.host().to_owned() };
        let body = Incoming { response, host, what: call.what.clone(), idle: self.deadlines.idle, deadline };
        Head { body, foreign }
    }

    /// Sorts out the answers that mean the same everywhere.
    async fn judged(&self, endpoint: &Endpoint, call: &Call, head: Head) -> Result<Head, Failure> {
        let status = head.status();
        if !matches!(status.as_u16(), 401 | 403 | 429 | 500..=599) {
            return Ok(head);
        }
        let after = retry_after(head.body.response.headers(), self.clock.now());
        let answer = head.read(MESSAGE_LIMIT).await?;
        let unavailable = || Error::Unavailable {
            host: answer.host.clone(),
            what: answer.what.clone(),
            message: format!("{}: {}", status.as_u16(), answer.message()),
        };
        Err(match (status.as_u16(), call.repeat) {
            (401, _) if !answer.foreign => unauthorized(endpoint, call).into(),
            (403, _) if !answer.foreign => Failure::Final(Error::Denied {
                host: answer.host.clone(),
                what: answer.what.clone(),
                message: answer.message(),
            }),
            (429, _) | (502..=504, Repeat::Read | Repeat::Write) | (500, Repeat::Read) => {
                Failure::Again { error: unavailable(), after }
            }
            (500 | 502..=504, _) => Failure::Final(unavailable()),
            _ => Failure::Final(answer.unexpected()),
        })
    }

    /// Where a redirect leads; `None`: it says nowhere.
    fn redirected(&self, endpoint: &Endpoint, from: &Url, headers: &HeaderMap) -> Result<Option<Url>, Error> {
        let Some(location) = headers.get(header::LOCATION).and_then(|value| value.to_str().ok()) else {
            return Ok(None);
        };
        match self.addresses.follow(from, location) {
            Ok(url) => Ok(Some(url)),
            Err(Refused::Plain(host)) => Err(Error::Insecure { host }),
            Err(Refused::Malformed) => Err(Error::Unexpected {
                host: endpoint.host().to_owned(),
                what: "a redirect".to_owned(),
                status: 307,
                message: "it leads to no usable address".to_owned(),
            }),
        }
    }

    fn note_time(&self, headers: &HeaderMap) {
        let said = headers.get(header::DATE).and_then(|value| value.to_str().ok()).and_then(http_date);
        if let Some(registry) = said {
            let time = RegistryTime { registry, local: self.clock.now() };
            *self.time.lock().unwrap_or_else(PoisonError::into_inner) = Some(time);
        }
    }
}

fn unauthorized(endpoint: &Endpoint, call: &Call) -> Error {
    Error::Unauthorized { host: endpoint.host().to_owned(), what: call.what.clone() }
}

/// RFC 9110 §5.6.7, in the one form that is still written.
fn http_date(text: &str) -> Option<Timestamp> {
    let parsed = jiff::fmt::rfc2822::DateTimeParser::new().parse_timestamp(text).ok()?;
    Some(Timestamp::from_millis(parsed.as_millisecond()))
}

/// RFC 9110 §10.2.3: seconds or a date.
fn retry_after(headers: &HeaderMap, now: Timestamp) -> Option<Duration> {
    let text = headers.get(header::RETRY_AFTER)?.to_str().ok()?.trim();
    match text.parse::<u64>() {
        Ok(seconds) => Some(Duration::from_secs(seconds)),
        Err(_) => http_date(text).map(|at| at.since(now)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_and_waits() {
        assert_eq!(http_date("Sun, 06 Nov 1994 08:49:37 GMT"), Some(Timestamp::from_seconds(784_111_777)));
        assert_eq!(http_date("yesterday"), None);
        let wait = |text: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::RETRY_AFTER, text.parse().unwrap());
            retry_after(&headers, Timestamp::from_seconds(784_111_770))
        };
        assert_eq!(wait("3"), Some(Duration::from_secs(3)));
        assert_eq!(wait("Sun, 06 Nov 1994 08:49:37 GMT"), Some(Duration::from_secs(7)));
        assert_eq!(wait("Sun, 06 Nov 1994 08:49:30 GMT"), Some(Duration::ZERO));
        assert_eq!(wait("soon"), None);
    }
}
