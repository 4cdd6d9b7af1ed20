//! Whole-product scenarios on the real binary: a registry, a project, releases of a real service, and what must never happen.
//!
//! `SCHLEUSE_SOAK=1` (`make soak`) runs the long forms.
#![allow(
    clippy::disallowed_methods,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    clippy::unwrap_used,
    reason = "a test's helpers fail as tests do, and start the program under test"
)]

mod attest;
mod binary;
mod crash;
mod http;
mod image;
mod interop;
mod keys;
mod line;
mod outage;
mod processes;
mod project;
mod races;
mod registry;
mod retention;
mod run;
