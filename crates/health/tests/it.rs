//! The rules as a caller sees them, and the figures they were chosen by.

#![allow(missing_docs, clippy::unwrap_used, clippy::panic, reason = "tests")]

mod it {
    pub(crate) mod clocks;
    pub(crate) mod rules;
    pub(crate) mod support;
    pub(crate) mod tables;
}
