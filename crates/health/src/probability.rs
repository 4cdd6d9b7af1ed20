//! Probabilities that can be stored, compared and hashed.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A probability in parts per million. An integer, because settings are part of a plan's hash and are compared for equality:
/// neither is a good place for a floating point number. Written as that integer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Probability(u32);

impl Probability {
    /// From parts per million. More than a million is not a probability, and [`Settings::validate`](crate::Settings::validate)
    /// refuses it.
    pub const fn per_million(parts: u32) -> Self {
        Self(parts)
    }

    /// From whole per cent.
    pub const fn percent(percent: u32) -> Self {
        Self(percent.saturating_mul(10_000))
    }

    /// Parts per million.
    pub const fn as_per_million(self) -> u32 {
        self.0
    }

    /// The number, 0 to 1, for arithmetic.
    pub fn value(self) -> f64 {
        f64::from(self.0) / 1e6
    }

    /// Whether it is neither impossible nor certain: what a likelihood ratio can be made of.
    pub const fn is_open(self) -> bool {
        self.0 > 0 && self.0 < 1_000_000
    }
}

impl fmt::Display for Probability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} %", f64::from(self.0) / 1e4)
    }
}
