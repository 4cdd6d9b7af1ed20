//! The real binary, with a scrubbed environment and folders of its own.

mod support;
mod usage;
