//! Gates as `promote` sees them, with real commands.

#![allow(missing_docs, clippy::unwrap_used, clippy::panic, reason = "tests")]

mod it {
    pub(crate) mod command;
    pub(crate) mod judging;
    pub(crate) mod support;
}
