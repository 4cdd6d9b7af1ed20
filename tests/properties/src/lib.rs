//! What must hold for any bytes at all, one function each: it panics where the property is broken.
//!
//! **For**: `make test` calls them with documents that proptest makes and mutates (`tests/it.rs`); `make soak` with what libFuzzer
//! finds by watching which code it reaches (`fuzz/`). The same functions, so that a crash that one finds is a test of the other.
//!
//! **Start reading** at [`TARGETS`].
//!
//! **Must not depend on** anything that is not public in the product: no doors for tests.
#![allow(
    clippy::disallowed_methods,
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a broken property is a panic"
)]

pub mod documents;
pub mod tarballs;
pub mod wire;

/// A name and its property.
pub type Target = (&'static str, fn(&[u8]));

/// All of them.
pub const TARGETS: [Target; 7] = [
    ("reference", documents::reference),
    ("manifest", documents::manifest),
    ("index", documents::index),
    ("layer", tarballs::layer),
    ("archive", tarballs::archive),
    ("headers", wire::headers),
    ("challenge", wire::challenge),
];
