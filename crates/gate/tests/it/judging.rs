use std::path::Path;
use std::time::Duration;

use schleuse_gate::{ALWAYS, CheckId, CommandCheck, Decision, Evidence, Gate, GateError, StandingVerdict};
use schleuse_model::{Digest, Explain};

use super::support::{at, command, facts, findings, gate, image};

fn always() -> Gate {
    gate([])
}

#[test]
fn open_when_everything_passes() {
    let result = always().judge(&facts(), at(2000));
    assert_eq!(result.decision(), Decision::Open);
    assert_eq!(result.rows.iter().map(|(id, _)| id.as_str()).collect::<Vec<_>>(), ALWAYS);
}

#[test]
fn what_is_always_there_can_neither_be_listed_nor_doubled() {
    for id in ALWAYS {
        let check = command(id, Path::new("/"), &["true"]).into_check();
        let error = Gate::new(Duration::ZERO, [check]).unwrap_err();
        assert_eq!(error.hints(), [format!("remove `{id}` from the list, or give your check another name")]);
    }
    let twice = ["smoke", "smoke"].map(|id| CommandCheck::into_check(command(id, Path::new("/"), &["true"])));
    assert!(matches!(Gate::new(Duration::ZERO, twice), Err(GateError::Twice(_))));
    for bad in ["", "Smoke", "1st", "a b", "a/b", "\u{1b}[2J"] {
        assert!(bad.parse::<CheckId>().is_err(), "{bad:?}");
    }
}

#[test]
fn no_signature_or_one_of_another_image_blocks() {
    let mut unsigned = facts();
    unsigned.signature = None;
    let short = image().short().to_owned();
    assert_eq!(
        findings(&always().judge(&unsigned, at(2000))),
        [format!("signature: {short} has no trusted signature")]
    );
    let mut other = facts();
    other.signature.as_mut().unwrap().image = Digest::sha256(b"another");
    assert_eq!(findings(&always().judge(&other, at(2000))).len(), 1);
}

#[test]
fn the_ladder_asks_for_health_in_the_rung_before() {
    let short = image().short().to_owned();
    let mut facts = facts();
    for (verdict, expected) in [
        (StandingVerdict::NotJudged, vec![format!("ladder: {short} is in staging and not judged yet")]),
        (StandingVerdict::Failed, vec![format!("ladder: {short} failed in staging")]),
        (StandingVerdict::NoTarget, Vec::new()),
        (StandingVerdict::Healthy, Vec::new()),
    ] {
        facts.source.as_mut().unwrap().standing.as_mut().unwrap().verdict = verdict;
        assert_eq!(findings(&always().judge(&facts, at(2000))), expected, "{verdict:?}");
    }
    let never = vec![format!("ladder: {short} has not been healthy in staging")];
    let standing = &mut facts.source.as_mut().unwrap().standing;
    standing.as_mut().unwrap().digest = Digest::sha256(b"another release, healthy there");
    assert_eq!(findings(&always().judge(&facts, at(2000))), never);
    facts.source.as_mut().unwrap().standing = None;
    assert_eq!(findings(&always().judge(&facts, at(2000))), never);
    facts.source = None;
    assert_eq!(findings(&always().judge(&facts, at(2000))), Vec::<String>::new(), "the first rung");
}

#[test]
fn the_soak_counts_from_the_verdict_and_says_when_it_is_over() {
    let gate = Gate::new(Duration::from_secs(1800), []).unwrap();
    let early = gate.judge(&facts(), at(1000 + 600));
    assert_eq!(findings(&early), ["ladder: healthy in staging for 10m00s of 30m00s"]);
    assert!(matches!(early.decision(), Decision::Blocked { clears_at: Some(when), .. } if when == at(2800)));
    assert_eq!(gate.judge(&facts(), at(2800)).decision(), Decision::Open);
    // A clock set back to before the verdict does not shorten it.
    assert_eq!(findings(&gate.judge(&facts(), at(0))), ["ladder: healthy in staging for 0.0s of 30m00s"]);
}

#[test]
fn waiting_does_not_help_when_something_else_blocks() {
    let gate = Gate::new(Duration::from_secs(1800), []).unwrap();
    let mut facts = facts();
    facts.signature = None;
    let decision = gate.judge(&facts, at(1600)).decision();
    assert!(
        matches!(&decision, Decision::Blocked { findings, clears_at: None, .. } if findings.len() == 2),
        "{decision:?}"
    );
}

#[test]
fn a_clock_that_is_wrong_or_unknown_blocks() {
    let mut facts = facts();
    for (skew, expected) in [
        (Some(300), None),
        (Some(-300), None),
        (Some(301), Some("clock: this machine's clock is 5m01s ahead of the registry's")),
        (Some(-7200), Some("clock: this machine's clock is 2h00m behind the registry's")),
        (Some(i64::MIN), Some("")),
        (None, Some("clock: the registry did not say what time it is")),
    ] {
        facts.registry_clock_skew = skew;
        let found = findings(&always().judge(&facts, at(2000)));
        assert_eq!(found.len(), usize::from(expected.is_some()), "{skew:?}");
        if let Some(expected) = expected {
            assert!(found[0].starts_with(expected), "{found:?}");
        }
    }
}

#[test]
fn absent_blocks_and_unreadable_is_no_answer_and_a_no_outranks_it() {
    let gate = gate([command("smoke", Path::new("/"), &["true"])]);
    assert_eq!(findings(&gate.judge(&facts(), at(2000))), ["smoke: has not been run"]);
    let mut unreadable = facts();
    unreadable.test_results.insert("smoke".parse().unwrap(), Evidence::Unreadable("not JSON".to_owned()));
    let result = gate.judge(&unreadable, at(2000));
    assert!(matches!(result.decision(), Decision::NoAnswer(_)));
    assert_eq!(findings(&result), ["no answer: smoke: its evidence cannot be read: not JSON"]);
    unreadable.signature = None;
    let decision = gate.judge(&unreadable, at(2000)).decision();
    assert!(matches!(&decision, Decision::Blocked { unanswered, .. } if unanswered.len() == 1), "{decision:?}");
    // Before anything is run only the judges that need nothing are asked.
    assert_eq!(gate.judge_before_producing(&facts(), at(2000)).decision(), Decision::Open);
}
