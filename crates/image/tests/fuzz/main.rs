//! What somebody else has written: references, documents, archives. Valid ones damaged, and heaps of bytes. Nothing panics, nothing is
//! written outside a root, nothing exceeds a limit, and what is read has the digest it was asked for by.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod archive;
mod documents;
mod escape;
#[path = "../it/support.rs"]
#[allow(dead_code, reason = "the other test binary's tools, of which this one needs some")]
mod support;

/// So many random cases; a hundred times as many with `SCHLEUSE_SOAK=1`.
fn cases(usual: u32) -> proptest::test_runner::Config {
    #[allow(clippy::disallowed_methods, reason = "a switch for tests, like `make soak`'s others")]
    let soak = std::env::var_os("SCHLEUSE_SOAK").is_some_and(|value| value == "1");
    proptest::test_runner::Config {
        cases: if soak { usual * 100 } else { usual },
        // A case that fails is printed whole; it becomes a test by hand.
        failure_persistence: None,
        ..Default::default()
    }
}
