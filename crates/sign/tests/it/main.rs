//! Signatures in registries: ours and others', read by us and by others.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod attacks;
mod interop;
mod keys;
mod meddler;
mod peers;
mod storage;
mod world;
