//! Whole-product scenarios on the real binary: see `tests/`.
