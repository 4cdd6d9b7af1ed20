//! What goes wrong, when, and for which request.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use hyper::StatusCode;

/// For which requests a fault is meant.
#[derive(Clone)]
pub enum Match {
    /// The n-th request since the start or the last reset, counted from 1.
    Nth(usize),
    /// This and every later one.
    From(usize),
    /// Every request for which this is true.
    Each(Arc<dyn Fn(&Record) -> bool + Send + Sync>),
}

impl Match {
    /// Every request with this method whose path (with its query) contains `part`.
    pub fn path(method: &'static str, part: impl Into<String>) -> Self {
        let part = part.into();
        Self::Each(Arc::new(move |record| record.method == method && record.path.contains(&part)))
    }

    pub(super) fn covers(&self, record: &Record) -> bool {
        match self {
            Self::Nth(number) => record.number == *number,
            Self::From(number) => record.number >= *number,
            Self::Each(matches) => matches(record),
        }
    }
}

impl fmt::Debug for Match {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nth(number) => write!(f, "request {number}"),
            Self::From(number) => write!(f, "request {number} and later"),
            Self::Each(_) => f.write_str("requests by a rule"),
        }
    }
}

/// On which side of the upstream's work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    /// The request's header has arrived; the upstream knows nothing of it.
    Before,
    /// The upstream has answered; the client knows nothing of it.
    After,
}

/// What goes wrong.
#[derive(Clone)]
pub enum Fault {
    /// The connection is closed without an answer.
    Drop,
    /// This is called, and when it returns the connection is closed without an answer. For killing the client.
    Run(Arc<dyn Fn() + Send + Sync>),
    /// It takes that long, then goes on as usual.
    Delay(Duration),
    /// This is called, and when it returns all goes on as usual. For holding one client back until others are done.
    Hold(Arc<dyn Fn() + Send + Sync>),
    /// The answer is sent with its full header, but its body breaks off after so many bytes. [`When::After`] only.
    Truncate(usize),
    /// Another answer instead.
    Answer {
        /// Its status.
        status: StatusCode,
        /// Its headers.
        headers: Vec<(&'static str, String)>,
        /// Its body.
        body: Bytes,
    },
}

impl Fault {
    /// Calls `act` and closes the connection.
    pub fn run(act: impl Fn() + Send + Sync + 'static) -> Self {
        Self::Run(Arc::new(act))
    }

    /// Goes on when `until` returns.
    pub fn hold(until: impl Fn() + Send + Sync + 'static) -> Self {
        Self::Hold(Arc::new(until))
    }

    /// Answers with `status` and `body` (JSON).
    ///
    /// # Panics
    /// If `status` is no HTTP status.
    pub fn status(status: u16, body: impl Into<Bytes>) -> Self {
        Self::answer(status, vec![("content-type", "application/json".to_owned())], body)
    }

    /// Answers with this.
    ///
    /// # Panics
    /// If `status` is no HTTP status.
    pub fn answer(status: u16, headers: Vec<(&'static str, String)>, body: impl Into<Bytes>) -> Self {
        let status = StatusCode::from_u16(status).expect("an HTTP status");
        Self::Answer { status, headers, body: body.into() }
    }

    /// What a hotel's network answers to everything: 200 and a login page.
    pub fn captive_portal() -> Self {
        Self::page(200)
    }

    /// A web page with this status, as a portal or a proxy on the way answers.
    ///
    /// # Panics
    /// If `status` is no HTTP status.
    pub fn page(status: u16) -> Self {
        let body = "<!DOCTYPE html><html><title>Welcome</title><body>Please accept our terms.</body></html>";
        Self::answer(status, vec![("content-type", "text/html".to_owned())], body)
    }
}

impl fmt::Debug for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Drop => f.write_str("Drop"),
            Self::Run(_) => f.write_str("Run"),
            Self::Delay(duration) => write!(f, "Delay({duration:?})"),
            Self::Hold(_) => f.write_str("Hold"),
            Self::Truncate(bytes) => write!(f, "Truncate({bytes})"),
            Self::Answer { status, .. } => write!(f, "Answer({status})"),
        }
    }
}

/// One request that came by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Its number, from 1.
    pub number: usize,
    /// Its method.
    pub method: String,
    /// Its path with its query.
    pub path: String,
    /// What the client was answered, or the upstream answered when the client was cut off; `None` if neither (yet).
    pub status: Option<u16>,
}

impl fmt::Display for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {} -> ", self.number, self.method, self.path)?;
        match self.status {
            Some(status) => write!(f, "{status}"),
            None => f.write_str("no answer"),
        }
    }
}
