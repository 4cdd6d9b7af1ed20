//! The figures a [`crate::Client`] works with. Defaults are policy; each says why.

use std::time::Duration;

/// How long things may take. All of them end in `Error::Unavailable`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Deadlines {
    /// To reach a host, TLS included. 10 s: longer than three lost SYN packets.
    pub connect: Duration,
    /// From a request (or the last piece of its body) to the answer's head. 60 s: registries on object storage move a large
    /// layer into place before they answer.
    pub answer: Duration,
    /// Between two pieces of an answer's body. 30 s.
    pub idle: Duration,
    /// For one request that moves no blob, with its login, redirects and retries; for the pages of a listing together.
    /// 2 minutes: what a person waits for a step of a promotion.
    pub operation: Duration,
    /// For a whole blob, up or down, likewise. 1 hour: 10 GB at 3 MB/s. Also what ends a body that trickles just fast
    /// enough to be never idle.
    pub transfer: Duration,
}

impl Default for Deadlines {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(10),
            answer: Duration::from_secs(60),
            idle: Duration::from_secs(30),
            operation: Duration::from_secs(120),
            transfer: Duration::from_secs(3600),
        }
    }
}

/// When to try again, and how often. The budget is each call's own.
///
/// Tried again are: a host that cannot be reached, a broken or stalled connection, 429, 502, 503 and 504; for reads also 500
/// (docker-registry 2.8 answers 500 while a tag moves). A create-once write is tried again only if it surely did not arrive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RetryPolicy {
    /// Attempts in all, at least 1. 6.
    pub attempts: u32,
    /// The longest first wait; each further one may be twice as long. 200 ms.
    pub first: Duration,
    /// The longest wait that we choose. 8 s.
    pub longest: Duration,
    /// The longest sum of waits. A `Retry-After` beyond what is left ends the call at once. 60 s.
    pub budget: Duration,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self {
            attempts: 6,
            first: Duration::from_millis(200),
            longest: Duration::from_secs(8),
            budget: Duration::from_secs(60),
        }
    }
}

/// Bounds on what is read, and where a request is saved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Redirects followed for one blob. 5.
    pub redirects: u32,
    /// Pages read of one listing. 200: 200,000 tags where the registry gives 1,000 a page.
    pub pages: u32,
    /// Tags asked for at a time: 1,000. Registries give fewer as they like; more a page is fewer requests.
    pub tags_a_page: u32,
    /// Blobs smaller than this are uploaded without asking first whether they are there: 64 KiB. Small blobs are evidence,
    /// which is nearly always new; asking would cost a third request for each.
    pub head_from: u64,
    /// How often the fallback index is rewritten before its update is left to the evidence's own tag. 5.
    pub index_tries: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self { redirects: 5, pages: 200, tags_a_page: 1000, head_from: 64 << 10, index_tries: 5 }
    }
}
