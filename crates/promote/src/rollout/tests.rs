//! What the machine does, as the names of its steps.

use proptest::prelude::*;
use proptest::test_runner::RngSeed;
use schleuse_health::{Measurement, ProbeFailure};
use schleuse_journal::{Placed, RunId, Standing};
use schleuse_model::{Digest, Release};

use super::*;

/// What the world does to the machine.
#[derive(Clone, Debug)]
struct Script {
    /// One letter a probe: `+` good, `-` bad, `?` broken, `x` the process ended. The last one goes on.
    probes: &'static str,
    /// At these steps the target has trouble.
    trouble: &'static [&'static str],
    /// Whether the restored release answers.
    restored_answers: bool,
    /// Whether the rollout is a way back.
    rollback: bool,
    /// Whether something ran before.
    before: bool,
    /// Every step takes so long, in seconds.
    slow: i64,
}

const USUAL: Script =
    Script { probes: "+", trouble: &[], restored_answers: true, rollback: false, before: true, slow: 0 };

fn settings() -> Settings {
    let seconds = Duration::from_secs;
    let settings = Settings {
        interval: seconds(5),
        window: seconds(18),
        grace: seconds(5),
        failures_in_a_row: 2,
        span: seconds(4),
        good_at_the_end: 2,
        extension: seconds(15),
        blind: seconds(15),
        ..Settings::default()
    };
    settings.validate().unwrap();
    settings
}

const START: Timestamp = Timestamp::from_seconds(1_795_000_000);

fn deadline() -> Timestamp {
    START.plus(Duration::from_secs(153))
}

fn rollout(script: &Script, phase: Phase) -> Rollout {
    let release = Release { digest: Digest::sha256(b"before"), commit: None, version: None };
    let before = Placed { release, sequence: 1, standing: Standing::Healthy, since: START };
    let before = script.before.then_some(before);
    Rollout { run: RunId::new([1; 16]), rollback: script.rollback, phase, before, displaced: None }
}

fn from_the_start(script: &Script) -> RolloutMachine {
    RolloutMachine::from_journal(&rollout(script, Phase::Admitted), settings(), deadline(), 7)
}

/// Plays the script; the steps' names, probes of one kind counted.
fn walk(machine: RolloutMachine, script: &Script) -> String {
    let steps = steps(machine, script);
    let mut line: Vec<(String, u32)> = Vec::new();
    for step in steps {
        match line.last_mut() {
            Some((last, count)) if *last == step => *count += 1,
            _ => line.push((step, 1)),
        }
    }
    let words = line.into_iter().map(|(step, count)| if count > 1 { format!("{count}×{step}") } else { step });
    words.collect::<Vec<_>>().join(" ")
}

fn steps(mut machine: RolloutMachine, script: &Script) -> Vec<String> {
    let (mut now, mut probes, mut steps) = (START, script.probes.chars(), Vec::new());
    let mut letter = '+';
    for _ in 0..200 {
        let step = machine.next(now);
        if let Step::Probe { at } = &step {
            now = now.max(*at);
            letter = probes.next().unwrap_or(letter);
        }
        steps.push(name(&step, letter));
        if matches!(step, Step::Done(_)) {
            return steps;
        }
        now = now.plus(Duration::from_secs(u64::try_from(script.slow).unwrap()));
        let fact = if script.trouble.contains(&name(&step, letter).as_str()) {
            Fact::TargetFailed("no space left".to_owned())
        } else {
            fact(&step, letter, now, script)
        };
        machine.record(fact, now);
    }
    panic!("it goes round in circles: {steps:?}")
}

fn name(step: &Step, letter: char) -> String {
    match step {
        Step::Prepare => "prepare".to_owned(),
        Step::Record(event) => format!("[{}]", event.name()),
        Step::Apply => "apply".to_owned(),
        Step::Switch => "switch".to_owned(),
        Step::Probe { .. } => letter.to_string(),
        Step::Intend { .. } => "intend".to_owned(),
        Step::Restore => "restore".to_owned(),
        Step::ProbeRestored => "probe-restored".to_owned(),
        Step::Settle => "settle".to_owned(),
        Step::Done(ending) => {
            let word = match ending {
                Ending::Healthy => "healthy",
                Ending::Held(_) => "held",
                Ending::RolledBack(_) => "back",
                Ending::Failed(_) => "failed",
                Ending::Aborted(_) => "aborted",
            };
            format!("=> {word}")
        }
    }
}

fn fact(step: &Step, letter: char, now: Timestamp, script: &Script) -> Fact {
    let sample = |outcome| Fact::Probed(Sample { at: now, outcome });
    match (step, letter) {
        (Step::Prepare, _) => Fact::Prepared(serde_json::json!({})),
        (Step::Record(_) | Step::Done(_), _) => Fact::Recorded,
        (Step::Apply, _) => Fact::Applied,
        (Step::Switch, _) => Fact::Switched,
        (Step::Probe { .. }, '+') => sample(Seen::Good { latency: Duration::from_millis(20) }),
        (Step::Probe { .. }, '-') => sample(Seen::Failed(ProbeFailure::Status(500))),
        (Step::Probe { .. }, '?') => sample(Seen::Broken(Measurement::PathDown)),
        (Step::Probe { .. }, _) => Fact::Exited { at: now, how: ProcessEnd::Code(1) },
        (Step::Intend { .. }, _) => Fact::Intended,
        (Step::Restore, _) => Fact::Restored,
        (Step::ProbeRestored, _) if script.restored_answers => Fact::RestoredAnswers(Ok(())),
        (Step::ProbeRestored, _) => Fact::RestoredAnswers(Err("connection refused".to_owned())),
        (Step::Settle, _) => Fact::Settled,
    }
}

#[test]
fn the_order_of_steps() {
    let table = [
        (USUAL, "prepare [rollout-started] apply + switch 4×+ [healthy] settle => healthy"),
        (
            Script { trouble: &["settle"], ..USUAL },
            "prepare [rollout-started] apply + switch 4×+ [healthy] settle => healthy",
        ),
        // Nothing is switched before a good probe.
        (
            Script { probes: "-", ..USUAL },
            "prepare [rollout-started] apply 2×- intend restore probe-restored [rolled-back] => back",
        ),
        (
            Script { probes: "x", ..USUAL },
            "prepare [rollout-started] apply x intend restore probe-restored [rolled-back] => back",
        ),
        (Script { probes: "?", ..USUAL }, "prepare [rollout-started] apply 4×? [held] => held"),
        (
            Script { probes: "-+", ..USUAL },
            "prepare [rollout-started] apply - + switch 3×+ [healthy] settle => healthy",
        ),
        // Sick behind the switch. One bad probe is no sickness.
        (
            Script { probes: "++-", ..USUAL },
            "prepare [rollout-started] apply + switch + 2×- intend restore probe-restored [rolled-back] => back",
        ),
        (
            Script { probes: "++-+", ..USUAL },
            "prepare [rollout-started] apply + switch + - 2×+ [healthy] settle => healthy",
        ),
        (
            Script { probes: "++x", ..USUAL },
            "prepare [rollout-started] apply + switch + x intend restore probe-restored [rolled-back] => back",
        ),
        (Script { probes: "+?", ..USUAL }, "prepare [rollout-started] apply + switch 3×? [held] => held"),
        // The first release has nothing to return to, and is taken away all the same.
        (
            Script { probes: "+-", before: false, ..USUAL },
            "prepare [rollout-started] apply + switch 2×- intend restore [rolled-back] => back",
        ),
        // The way back does not work.
        (
            Script { probes: "+-", restored_answers: false, ..USUAL },
            "prepare [rollout-started] apply + switch 2×- intend restore probe-restored [rollback-failed] => failed",
        ),
        (
            Script { probes: "+-", trouble: &["restore"], ..USUAL },
            "prepare [rollout-started] apply + switch 2×- intend restore [rollback-failed] => failed",
        ),
        // The target's own trouble is not the release's fault.
        (Script { trouble: &["prepare"], ..USUAL }, "prepare [aborted] => aborted"),
        (Script { trouble: &["apply"], ..USUAL }, "prepare [rollout-started] apply restore [aborted] => aborted"),
        (
            Script { trouble: &["switch"], ..USUAL },
            "prepare [rollout-started] apply + switch restore [aborted] => aborted",
        ),
        (
            Script { trouble: &["apply", "restore"], ..USUAL },
            "prepare [rollout-started] apply restore [rollback-failed] => failed",
        ),
    ];
    for (script, expected) in table {
        assert_eq!(walk(from_the_start(&script), &script), expected, "{script:?}");
    }
}

/// A way back is short, and there is none from it.
#[test]
fn a_rollback_never_restores() {
    let table = [
        ("+", &[][..], "prepare [rollout-started] apply + switch + [healthy] settle => healthy"),
        ("-", &[], "prepare [rollout-started] apply 2×- [rollback-failed] => failed"),
        ("x", &[], "prepare [rollout-started] apply x [rollback-failed] => failed"),
        ("+-", &[], "prepare [rollout-started] apply + switch 2×- [rollback-failed] => failed"),
        ("?", &[], "prepare [rollout-started] apply 4×? [held] => held"),
        ("+", &["prepare"], "prepare [rollback-failed] => failed"),
        ("+", &["apply"], "prepare [rollout-started] apply [rollback-failed] => failed"),
        ("+", &["switch"], "prepare [rollout-started] apply + switch [rollback-failed] => failed"),
    ];
    for (probes, trouble, expected) in table {
        let script = Script { probes, trouble, rollback: true, ..USUAL };
        assert_eq!(walk(from_the_start(&script), &script), expected, "{script:?}");
    }
}

#[test]
fn a_run_that_takes_over_goes_on_where_the_journal_stands() {
    let started = Phase::Started { receipt: serde_json::json!({}), deadline: deadline() };
    let machine = RolloutMachine::from_journal(&rollout(&USUAL, started.clone()), settings(), START, 7);
    assert_eq!(walk(machine, &USUAL), "apply + switch 4×+ [healthy] settle => healthy");
    let held = Phase::Held { receipt: serde_json::json!({}) };
    let machine = RolloutMachine::from_journal(&rollout(&USUAL, held), settings(), START, 7);
    assert_eq!(walk(machine, &USUAL), "=> held");
    // An intent was found: nothing is watched any more.
    let going = RolloutMachine::going_back(&rollout(&USUAL, started), settings(), "sick".to_owned(), START);
    assert!(going.is_going_back());
    assert_eq!(walk(going, &USUAL), "restore probe-restored [rolled-back] => back");
}

/// The deadline is looked at before the probes: also when they are all good, and when the clock has jumped.
#[test]
fn the_deadline_ends_the_watch() {
    let started = Phase::Started { receipt: serde_json::json!({}), deadline: START };
    let late = RolloutMachine::from_journal(&rollout(&USUAL, started), settings(), deadline(), 7);
    assert_eq!(walk(late, &USUAL), "apply [held] => held");
    // So slow that the deadline comes before the verdict.
    for (slow, expected) in [
        (50, "prepare [rollout-started] apply + switch [held] => held"),
        (60, "prepare [rollout-started] apply [held] => held"),
    ] {
        let slow = Script { slow, ..USUAL };
        assert_eq!(walk(from_the_start(&slow), &slow), expected);
    }
}

#[test]
fn a_clock_that_goes_back_is_no_verdict() {
    let mut machine = from_the_start(&USUAL);
    for fact in [Fact::Prepared(serde_json::json!({})), Fact::Recorded, Fact::Applied] {
        machine.next(START);
        machine.record(fact, START);
    }
    assert!(matches!(machine.next(START), Step::Probe { .. }));
    let earlier = Timestamp::from_seconds(START.as_seconds() - 7200);
    assert!(matches!(machine.next(earlier), Step::Record(Event::Held { .. })));
}

/// A fact that does not fit, or comes twice, changes nothing.
#[test]
fn facts_that_do_not_fit() {
    let facts = [Fact::Switched, Fact::Settled, Fact::Recorded, Fact::Restored, Fact::Intended, Fact::Applied];
    let mut machine = from_the_start(&USUAL);
    for fact in facts {
        machine.record(fact, START);
        assert_eq!(machine.next(START), Step::Prepare);
    }
}

/// Probes do not fall into step with each other, and stay within ±10 %.
#[test]
fn intervals_are_spread() {
    let mut machine = from_the_start(&USUAL);
    let intervals: Vec<_> = (0..50)
        .map(|probe| {
            machine.probes = probe;
            machine.spread_interval().as_millis()
        })
        .collect();
    assert!(intervals.iter().all(|interval| (4500..=5500).contains(interval)), "{intervals:?}");
    assert!(intervals.iter().collect::<std::collections::BTreeSet<_>>().len() > 10, "{intervals:?}");
}

fn any_fact() -> impl Strategy<Value = (Fact, i64)> {
    let sample = |outcome| Fact::Probed(Sample { at: START, outcome });
    let why = || "no space left".to_owned();
    let fact = prop_oneof![
        1 => Just(Fact::Prepared(serde_json::json!({}))),
        3 => Just(Fact::Recorded),
        1 => Just(Fact::Applied),
        1 => Just(Fact::Switched),
        2 => Just(sample(Seen::Good { latency: Duration::from_millis(20) })),
        4 => Just(sample(Seen::Failed(ProbeFailure::Timeout))),
        1 => Just(sample(Seen::Broken(Measurement::Prober))),
        1 => Just(Fact::Exited { at: START, how: ProcessEnd::Gone }),
        2 => Just(Fact::Intended),
        2 => Just(Fact::Restored),
        1 => Just(Fact::RestoredAnswers(Ok(()))),
        1 => Just(Fact::RestoredAnswers(Err(why()))),
        1 => Just(Fact::Settled),
        1 => Just(Fact::TargetFailed(why())),
    ];
    (fact, prop_oneof![9 => 0..6_i64, 1 => Just(-7200), 1 => Just(3 * 86_400)])
}

proptest! {
    #![proptest_config(ProptestConfig {
        failure_persistence: None,
        rng_seed: RngSeed::Fixed(20_261_123),
        ..ProptestConfig::default()
    })]

    /// Whatever it is told, in whatever order, whatever the clock does: nothing is switched before a good probe, nothing goes
    /// forward again after the way back was begun, and a rollback never goes back.
    #[test]
    fn no_order_of_facts_breaks_a_rule(
        facts in proptest::collection::vec(any_fact(), 1..60),
        rollback: bool,
        before: bool,
    ) {
        let mut machine = from_the_start(&Script { rollback, before, ..USUAL });
        let (mut now, mut good, mut back) = (START, false, false);
        for (fact, seconds) in facts {
            now = Timestamp::from_seconds(now.as_seconds() + seconds);
            let step = machine.next(now);
            match &step {
                Step::Switch => prop_assert!(good),
                Step::Intend { .. } => prop_assert!(!rollback),
                Step::Restore => {
                    prop_assert!(!rollback);
                    back = true;
                }
                Step::Record(Event::RolledBack { .. } | Event::Aborted { .. }) => prop_assert!(!rollback),
                _ => {}
            }
            let forward = matches!(
                step,
                Step::Prepare
                    | Step::Apply
                    | Step::Switch
                    | Step::Probe { .. }
                    | Step::Settle
                    | Step::Record(Event::Healthy { .. } | Event::Held { .. } | Event::RolloutStarted { .. })
            );
            prop_assert!(!(back && forward), "{step:?} after the way back was begun");
            let fact = match fact {
                Fact::Probed(sample) => Fact::Probed(Sample { at: now, ..sample }),
                Fact::Exited { how, .. } => Fact::Exited { at: now, how },
                other => other,
            };
            good |= matches!(step, Step::Probe { .. })
                && matches!(&fact, Fact::Probed(sample) if matches!(sample.outcome, Seen::Good { .. }));
            machine.record(fact, now);
        }
    }
}
