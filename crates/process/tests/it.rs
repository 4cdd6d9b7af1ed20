//! Real programs: what they leave behind, how they are stopped, what is kept of what they say.

#![allow(missing_docs, clippy::unwrap_used, clippy::panic, reason = "tests")]

mod it {
    pub(crate) mod detach;
    pub(crate) mod ending;
    pub(crate) mod output;
    pub(crate) mod support;
}
