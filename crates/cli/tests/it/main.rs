//! The real binary, with a scrubbed environment and folders of its own.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "helpers of tests fail as tests do")]

mod config;
mod demo;
mod demo_app;
mod dockerfile;
mod evidence;
mod image;
mod image_peers;
mod interrupt;
mod key;
mod registry;
mod rotation;
mod ship;
mod support;
mod terminal;
mod usage;
