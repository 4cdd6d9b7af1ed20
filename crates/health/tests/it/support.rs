use std::time::Duration;

use schleuse_health::{Analysis, Outcome, ProbeFailure, Sample, Settings};
use schleuse_model::Timestamp;

pub(crate) const GOOD: Outcome = Outcome::Good { latency: Duration::from_millis(12) };
pub(crate) const BAD: Outcome = Outcome::Failed(ProbeFailure::Status(500));

pub(crate) fn at(seconds: i64) -> Timestamp {
    Timestamp::from_seconds(seconds)
}

pub(crate) fn fresh() -> Analysis {
    Analysis::new(Settings::default(), at(0))
}

/// Probes every 5 s from `from` on, one for each letter: `g`ood, `f`ailed, `b`roken.
pub(crate) fn probe(analysis: &mut Analysis, from: i64, probes: &str) {
    for (index, letter) in (0i64..).zip(probes.chars()) {
        let outcome = match letter {
            'g' => GOOD,
            'f' => BAD,
            _ => Outcome::Broken(schleuse_health::Measurement::PathDown),
        };
        analysis.observe(Sample { at: at(from + 5 * index), outcome });
    }
}

/// xorshift64, as in the research: fixed seed, the same numbers everywhere.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn below(&mut self, probability: f64) -> bool {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        ((self.0 >> 11) as f64) / ((1u64 << 53) as f64) < probability
    }
}
