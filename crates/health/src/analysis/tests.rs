//! What needs the inside: the floor under the sequential test taken away. The rules as seen from outside are in `tests/it`.

use super::*;

/// xorshift64: fixed seed, the same numbers everywhere.
struct Random(u64);

impl Random {
    fn below(&mut self, probability: f64) -> bool {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        ((self.0 >> 11) as f64) / ((1u64 << 53) as f64) < probability
    }
}

/// How many of `runs` releases that are well for 30 probes and then fail 30 % are called unhealthy within the default window.
fn caught(runs: u32, floor: bool) -> f64 {
    let mut random = Random(88_172_645_463_325_252);
    let mut caught = 0;
    for _ in 0..runs {
        let mut analysis = Analysis::new(Settings::default(), Timestamp::UNIX_EPOCH);
        if !floor {
            analysis.sprt = analysis.sprt.without_floor();
        }
        for probe in 0..60 {
            let failed = probe >= 30 && random.below(0.3);
            let outcome = if failed {
                Outcome::Failed(ProbeFailure::Status(500))
            } else {
                Outcome::Good { latency: Duration::from_millis(12) }
            };
            analysis.observe(Sample { at: Timestamp::from_seconds(5 * probe), outcome });
        }
        caught += u32::from(matches!(analysis.verdict(Timestamp::from_seconds(300)), Verdict::Unhealthy(_)));
    }
    f64::from(caught) / f64::from(runs)
}

#[test]
fn old_good_news_does_not_hide_new_sickness() {
    let with_floor = caught(20_000, true);
    assert!(with_floor >= 0.93, "{with_floor}");
}

#[test]
fn without_the_floor_it_does() {
    let without = caught(20_000, false);
    assert!(without < 0.93, "{without}: the floor is not what the test above tests");
}
