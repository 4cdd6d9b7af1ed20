//! The registry over real connections, both stores.
#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stdout, reason = "a test's helpers fail the test")]

mod it {
    pub(crate) mod access;
    pub(crate) mod blobs;
    pub(crate) mod check;
    pub(crate) mod crash;
    pub(crate) mod gc;
    pub(crate) mod harness;
    pub(crate) mod hostile;
    pub(crate) mod http;
    pub(crate) mod limits;
    pub(crate) mod manifests;
    pub(crate) mod races;
    pub(crate) mod tls;
}
