//! Documents that somebody else has written: valid ones mutated, and heaps of bytes. Nothing panics, nothing is taken for a
//! signature that it is not, and nothing makes a reader allocate more than a few times what it was given.
//!
//! A binary of its own, since allocations are counted for the whole process; [`memory::alone`] lets one test run at a time.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod bombs;
mod documents;
mod key_files;
mod memory;
mod mutation;
mod signatures;

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
