use std::time::Duration;

use schleuse_health::{Analysis, Inconclusive, Outcome, ProcessEnd, Sample, Settings, Unhealthy, Verdict};

use super::support::{BAD, GOOD, at, fresh, probe};

fn reason(verdict: &Verdict) -> String {
    match verdict {
        Verdict::Unhealthy(reason) => format!("unhealthy: {reason}"),
        Verdict::Inconclusive(reason) => format!("inconclusive: {reason}"),
        Verdict::Healthy => "healthy".to_owned(),
        Verdict::Wait { until } => format!("wait until {until}"),
    }
}

fn after(probes: &str, now: i64) -> String {
    let mut analysis = fresh();
    probe(&mut analysis, 0, probes);
    reason(&analysis.verdict(at(now)))
}

fn wait(seconds: i64) -> String {
    format!("wait until {}", at(seconds))
}

#[test]
fn healthy_takes_the_whole_window_and_not_less() {
    let good = "g".repeat(60);
    assert_eq!(after(&good, 300), "healthy");
    assert_eq!(after(&good, 299), wait(300));
    assert_eq!(after(&good[..59], 290), wait(350));
    // The window is over and its last probe is missing: one probe more, or blind.
    assert_eq!(after(&good[..59], 300), wait(350));
}

#[test]
fn one_failed_probe_never_rolls_back() {
    for position in 0..60 {
        let mut probes = "g".repeat(66);
        probes.replace_range(position..=position, "f");
        assert_eq!(after(&probes, 330), "healthy", "failure at {position}");
    }
}

#[test]
fn the_end_must_be_good() {
    let almost = format!("{}f{}", "g".repeat(56), "g".repeat(3));
    assert_eq!(after(&almost, 300), wait(355), "the extension runs");
    assert_eq!(after(&format!("{almost}gg"), 306), "healthy", "it ends well in the extension");
    let unsteady = format!("{}{}", "g".repeat(56), "gggf".repeat(4));
    assert_eq!(after(&unsteady, 360), "inconclusive: not steady at the end of the window: 0 good in a row, 5 needed");
}

#[test]
fn failures_in_a_row_must_span() {
    assert_eq!(after(&format!("{}fff", "g".repeat(20)), 115), "unhealthy: 3 failures in a row over 10.0s: HTTP 500");
    let mut analysis = fresh();
    probe(&mut analysis, 0, &"g".repeat(20));
    for second in 100..103 {
        analysis.observe(Sample { at: at(second), outcome: BAD });
    }
    assert!(matches!(analysis.verdict(at(103)), Verdict::Wait { .. }), "three in two seconds are one hiccup");
}

#[test]
fn failing_now_and_then_is_found_by_the_sequential_test() {
    let verdict = after("ggfgfggf", 40);
    assert_eq!(verdict, "unhealthy: 3 of 8 probes failed, too many for a healthy release: HTTP 500");
}

#[test]
fn grace_forgives_failures_until_the_first_success() {
    assert_eq!(after(&format!("{}{}", "f".repeat(12), "g".repeat(48)), 300), "healthy");
    assert_eq!(after(&"f".repeat(12), 56), wait(115), "grace is not over");
    assert_eq!(after(&"f".repeat(13), 60), "unhealthy: not one good answer in 1m00s: HTTP 500");
    // The first success ends it, although the minute is not over.
    assert_eq!(after("ffgfff", 30), "unhealthy: 3 failures in a row over 10.0s: HTTP 500");
}

#[test]
fn without_grace_one_probe_still_does_not_decide() {
    let mut analysis = Analysis::new(Settings { grace: Duration::ZERO, ..Settings::default() }, at(0));
    probe(&mut analysis, 0, "ff");
    assert!(matches!(analysis.verdict(at(6)), Verdict::Wait { .. }));
    probe(&mut analysis, 10, "f");
    assert!(matches!(analysis.verdict(at(11)), Verdict::Unhealthy(Unhealthy::NeverHealthy { .. })));
}

#[test]
fn an_exit_counts_during_grace() {
    let mut analysis = fresh();
    probe(&mut analysis, 0, "ff");
    analysis.process_exited(at(7), ProcessEnd::Code(1));
    probe(&mut analysis, 10, &"g".repeat(58));
    assert_eq!(reason(&analysis.verdict(at(300))), "unhealthy: the process ended 7.0s after its start: exit code 1");
}

#[test]
fn a_broken_measurement_is_not_the_releases_fault() {
    let broken = format!("{}{}", "g".repeat(20), "b".repeat(11));
    let mut analysis = fresh();
    probe(&mut analysis, 0, &broken);
    let until = at(95 + 60);
    assert_eq!(analysis.verdict(at(154)), Verdict::Wait { until });
    assert_eq!(
        reason(&analysis.verdict(until)),
        "inconclusive: nothing was seen of the release for 60 s: the way to the target is down"
    );
    // Nothing at all is the same.
    assert_eq!(
        reason(&fresh().verdict(at(60))),
        "inconclusive: nothing was seen of the release for 60 s: no probe reported"
    );
    // It is no failure either, and it does not wipe out one.
    assert_eq!(after("gggggfbfbf", 50), "unhealthy: 3 failures in a row over 10.0s: HTTP 500");
}

#[test]
fn half_a_window_of_measurements_is_not_a_window() {
    let verdict = after(&"gb".repeat(36), 360);
    assert_eq!(verdict, "inconclusive: too few probes to judge: 36 of 60");
}

#[test]
fn the_deadline_comes_before_everything_but_a_verdict_that_stands() {
    let good = "g".repeat(70);
    assert_eq!(after(&good, 360), "inconclusive: the window was over before the release was judged");
    let mut analysis = fresh();
    probe(&mut analysis, 0, "gggfff");
    assert!(matches!(analysis.verdict(at(10_000)), Verdict::Unhealthy(_)));
    // What comes after the deadline is not looked at.
    let mut analysis = fresh();
    probe(&mut analysis, 0, &good);
    probe(&mut analysis, 360, "fff");
    assert_eq!(analysis.verdict(at(371)), Verdict::Inconclusive(Inconclusive::AskedTooLate));
}

#[test]
fn the_summary_says_what_was_seen() {
    let mut analysis = fresh();
    probe(&mut analysis, 0, "ffgbgf");
    let latency = Duration::from_millis(30);
    analysis.observe(Sample { at: at(30), outcome: Outcome::Good { latency } });
    let summary = analysis.summary();
    assert_eq!((summary.good, summary.failed, summary.forgiven, summary.broken), (3, 1, 2, 1));
    assert_eq!(summary.p50, Some(Duration::from_millis(12)));
    assert_eq!(GOOD, Outcome::Good { latency: Duration::from_millis(12) });
}
