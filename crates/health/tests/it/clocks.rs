//! A clock that jumps must not make a release healthy.

use proptest::prelude::*;
use schleuse_health::{Analysis, Inconclusive, Outcome, Sample, Settings, Verdict};
use schleuse_model::Timestamp;

use super::support::{BAD, GOOD, at, fresh, probe};

#[test]
fn a_jump_forwards_does_not_complete_the_window() {
    let mut analysis = fresh();
    probe(&mut analysis, 0, "gggggggggg");
    for now in [300, 359, 360, 3600, 1 << 40] {
        assert!(matches!(analysis.verdict(at(now)), Verdict::Inconclusive(_)), "{now}");
    }
    probe(&mut analysis, 290, "gggggg");
    assert!(matches!(analysis.verdict(at(316)), Verdict::Wait { .. }));
}

#[test]
fn a_jump_forwards_does_not_end_the_grace() {
    let mut analysis = fresh();
    probe(&mut analysis, 0, "ff");
    probe(&mut analysis, 58, "fff");
    assert!(matches!(analysis.verdict(at(70)), Verdict::Wait { .. }));
}

#[test]
fn a_jump_back_is_inconclusive() {
    let mut analysis = fresh();
    probe(&mut analysis, 0, &"g".repeat(60));
    let back = Verdict::Inconclusive(Inconclusive::ClockWentBack { seconds: 95 });
    assert_eq!(analysis.verdict(at(200)), back);
    analysis.observe(Sample { at: at(200), outcome: GOOD });
    assert_eq!(analysis.verdict(at(300)), back, "it stands");
    let mut before_the_start = fresh();
    before_the_start.observe(Sample { at: at(-3600), outcome: GOOD });
    assert!(matches!(before_the_start.verdict(at(1)), Verdict::Inconclusive(_)));
}

#[derive(Debug, Clone)]
struct Step {
    /// Real milliseconds until this probe: around the interval.
    real: i64,
    /// How far the clock jumps before it, in milliseconds.
    jump: i64,
    outcome: u8,
}

fn step() -> impl Strategy<Value = Step> {
    let jump = prop_oneof![
        // Rare enough that a good part of the runs reaches the end of the window: a property that is never reached holds too.
        200 => Just(0i64),
        8 => -4_000i64..50_000,
        1 => -400_000i64..400_000,
        1 => prop_oneof![Just(i64::MAX / 4), Just(i64::MIN / 4)],
    ];
    let outcome = prop_oneof![120 => Just(0u8), 1 => Just(1), 2 => Just(2)];
    (4_500i64..5_500, jump, outcome).prop_map(|(real, jump, outcome)| Step { real, jump, outcome })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever the clock does: no release is healthy that was not really watched for four fifths of the window (each probe vouches
    /// for at most 1¼ intervals; without jumps, for the whole of it), or whose last five probes were not all good; and there is an
    /// end to waiting.
    #[test]
    fn healthy_is_earned(steps in prop::collection::vec(step(), 40..90), ask_jump in prop_oneof![3 => Just(0i64), 1 => any::<i64>()]) {
        let settings = Settings::default();
        let mut analysis = Analysis::new(settings.clone(), at(0));
        let (mut real, mut wall, mut jumps) = (0i64, 0i64, 0u32);
        let mut outcomes = Vec::new();
        for step in &steps {
            real += step.real;
            wall = wall.saturating_add(step.real).saturating_add(step.jump);
            jumps += u32::from(step.jump != 0);
            let outcome = match step.outcome {
                0 => GOOD,
                1 => BAD,
                _ => Outcome::Broken(schleuse_health::Measurement::Prober),
            };
            outcomes.push(step.outcome);
            analysis.observe(Sample { at: Timestamp::from_millis(wall), outcome });
            let now = Timestamp::from_millis(wall.saturating_add(ask_jump));
            match analysis.verdict(now) {
                Verdict::Healthy => {
                    let window = i64::try_from(settings.window.as_millis()).unwrap();
                    let interval = 5_000;
                    prop_assert!(real >= window * 4 / 5 - interval, "{real} ms, {jumps} jumps");
                    // Asked one interval late at most, without jumps.
                    if jumps == 0 {
                        prop_assert!(real >= window - interval, "{real} ms");
                    }
                    prop_assert!(outcomes.len() >= 5 && outcomes[outcomes.len() - 5..].iter().all(|outcome| *outcome == 0));
                    return Ok(());
                }
                Verdict::Wait { until } => {
                    prop_assert!(until > now, "{until} is not after {now}");
                    let waits = matches!(analysis.verdict(until), Verdict::Wait { .. });
                    prop_assert!(!waits, "still waiting at {}", until);
                }
                Verdict::Unhealthy(_) | Verdict::Inconclusive(_) => return Ok(()),
            }
        }
    }
}
