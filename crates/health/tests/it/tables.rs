//! The figures of the simulations by which the rules were chosen, reproduced within sampling error.
//!
//! Expected are the exact values (both rules are Markov chains, so they can be computed); the simulation is held to them within
//! four standard errors of 20,000 runs. A rate of a half has a standard error of 0.0035, one of 0.0003 of 0.00012.

use schleuse_health::sprt::Sprt;
use schleuse_health::{Settings, Verdict};

use super::support::{Random, at, fresh, probe};

const RUNS: u32 = 20_000;
const PROBES: u32 = 120;

#[derive(Default)]
struct Tally {
    hits: u32,
    probes: u64,
}

impl Tally {
    fn add(&mut self, at: Option<u32>) {
        if let Some(at) = at {
            self.hits += 1;
            self.probes += u64::from(at);
        }
    }
    fn rate(&self) -> f64 {
        f64::from(self.hits) / f64::from(RUNS)
    }
    fn mean(&self) -> f64 {
        self.probes as f64 / f64::from(self.hits.max(1))
    }
}

/// Wald's test to its first decision, any failure, and three in a row, over the same probes.
fn simulate(failure_rate: f64) -> [Tally; 3] {
    let mut random = Random(88_172_645_463_325_252);
    let mut tallies: [Tally; 3] = Default::default();
    for _ in 0..RUNS {
        let (mut sprt, mut decided, mut row) = (Sprt::new(&Settings::default()), false, 0);
        let mut first: [Option<u32>; 3] = [None; 3];
        for probe in 1..=PROBES {
            let failed = random.below(failure_rate);
            if !decided {
                sprt.observe(failed);
                first[0] = sprt.says_sick().then_some(probe);
                decided = sprt.says_sick() || sprt.says_healthy();
            }
            row = if failed { row + 1 } else { 0 };
            if failed {
                first[1] = first[1].or(Some(probe));
            }
            if row >= 3 {
                first[2] = first[2].or(Some(probe));
            }
        }
        tallies.iter_mut().zip(first).for_each(|(tally, at)| tally.add(at));
    }
    tallies
}

fn near(what: &str, got: f64, expected: f64) {
    let error = 4.0 * (expected * (1.0 - expected) / f64::from(RUNS)).sqrt();
    assert!((got - expected).abs() <= error, "{what}: {got}, expected {expected} ± {error}");
}

#[test]
fn the_table_of_the_research() {
    // True failure rate; SPRT: rate, mean probes; any failure: rate; three in a row: rate, mean probes.
    for (rate, sprt, mean, any, three, three_mean) in [
        (0.01, 0.000_27, None, 0.7006, 0.000_12, None),
        (0.10, 0.4375, Some(32.3), 1.0, 0.1011, Some(60.4)),
        (0.30, 0.9922, Some(10.9), 1.0, 0.9093, Some(39.7)),
        (1.00, 1.0, Some(3.0), 1.0, 1.0, Some(3.0)),
    ] {
        let [wald, single, row] = simulate(rate);
        near(&format!("SPRT at {rate}"), wald.rate(), sprt);
        near(&format!("any failure at {rate}"), (single.rate() * 1e4).round() / 1e4, any);
        near(&format!("three in a row at {rate}"), row.rate(), three);
        for (what, mean, tally) in [("SPRT", mean, &wald), ("three", three_mean, &row)] {
            if let Some(mean) = mean {
                assert!((tally.mean() - mean).abs() <= 0.04 * mean, "{what} at {rate}: {} probes", tally.mean());
            }
        }
    }
}

/// How often a release is called unhealthy within the default window by all rules together, floor included.
fn rolled_back(failure_rate: f64) -> f64 {
    let mut random = Random(88_172_645_463_325_252);
    let mut count = 0;
    for _ in 0..RUNS {
        let mut analysis = fresh();
        let letters: String = (0..60).map(|_| if random.below(failure_rate) { 'f' } else { 'g' }).collect();
        probe(&mut analysis, 0, &letters);
        count += u32::from(matches!(analysis.verdict(at(300)), Verdict::Unhealthy(_)));
    }
    f64::from(count) / f64::from(RUNS)
}

#[test]
fn all_rules_together_over_the_default_window() {
    let healthy = rolled_back(0.01);
    assert!(healthy <= 0.001, "{healthy}: more false alarms than α, floor or not");
    let sick = rolled_back(0.30);
    assert!(sick >= 0.995, "{sick}");
}

#[test]
fn three_straight_failures_stop_and_fourteen_good_ones_accept() {
    let mut sprt = Sprt::new(&Settings::default());
    sprt.observe(true);
    sprt.observe(true);
    assert!(!sprt.says_sick());
    sprt.observe(true);
    assert!(sprt.says_sick());
    let mut sprt = Sprt::new(&Settings::default());
    (0..13).for_each(|_| sprt.observe(false));
    assert!(!sprt.says_healthy());
    sprt.observe(false);
    assert!(sprt.says_healthy());
}

#[test]
fn however_long_it_was_well_four_straight_failures_stop() {
    let mut sprt = Sprt::new(&Settings::default());
    (0..100_000).for_each(|_| sprt.observe(false));
    (0..3).for_each(|_| sprt.observe(true));
    assert!(!sprt.says_sick());
    sprt.observe(true);
    assert!(sprt.says_sick());
}
