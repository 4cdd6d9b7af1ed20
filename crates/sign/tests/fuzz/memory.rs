//! How much memory something takes at most.

use std::sync::{Mutex, MutexGuard, PoisonError};

use peak_alloc::PeakAlloc;

#[global_allocator]
static COUNTED: PeakAlloc = PeakAlloc;

/// Held by a test while it runs: allocations of others would be counted as its own.
pub(crate) fn alone() -> MutexGuard<'static, ()> {
    static ONE: Mutex<()> = Mutex::new(());
    ONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Runs it and answers what it gave, and the most bytes that were allocated meanwhile beyond what was before.
pub(crate) fn peak<T>(run: impl FnOnce() -> T) -> (T, usize) {
    let before = COUNTED.current_usage();
    COUNTED.reset_peak_usage();
    let result = run();
    (result, COUNTED.peak_usage().saturating_sub(before))
}

/// What is allowed beside a multiple of the document: tables of curves, error texts, and a statement's subjects up to their limit.
pub(crate) const BESIDE: usize = 1 << 20;
/// Bytes allocated for each byte of a document, at most.
pub(crate) const FACTOR: usize = 16;

/// Runs it on a document of `size` bytes and sees that it does not take more than it may.
pub(crate) fn bounded<T>(what: &str, size: usize, run: impl FnOnce() -> T) -> T {
    let (result, peak) = peak(run);
    assert!(peak <= FACTOR * size + BESIDE, "{what}: {peak} bytes allocated for a document of {size}");
    result
}
