//! The client against real registries, and against servers that answer what no registry should.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod deletes;
mod fake;
mod helpers;
mod hostile;
mod login;
mod proxies;
mod real;
mod redirects;
mod referrers;
mod resume;
mod retries;
mod table;
mod tls;
mod writes;
