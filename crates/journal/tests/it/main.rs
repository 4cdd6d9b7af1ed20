//! The journal against a real registry on loopback: races, truncation, forks, forged entries, the git commit point.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod commit_points;
mod keys;
mod tampering;
mod world;
