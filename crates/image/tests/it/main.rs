//! Images on disk: built, kept, moved, unpacked; and images that attack.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod archive;
mod attack;
mod bombs;
mod copy;
mod layers;
mod layout;
#[allow(dead_code, reason = "the tools of the other test binary too")]
mod support;
mod unpack;
