//! The real binary, with a scrubbed environment and folders of its own.

mod config;
mod demo_app;
mod key;
mod registry;
mod ship;
mod support;
mod terminal;
mod usage;
