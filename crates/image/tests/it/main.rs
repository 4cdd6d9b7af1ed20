//! Images on disk: built, kept, moved, unpacked; and images that attack.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod archive;
mod attack;
mod copy;
mod escape;
mod layers;
mod layout;
mod support;
mod unpack;
