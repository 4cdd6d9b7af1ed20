use proptest::prelude::*;
use schleuse_model::Digest;

use super::*;

fn release(n: u8) -> Release {
    Release { digest: Digest::sha256(&[n]), commit: None, version: Some(format!("1.{n}.0")) }
}

fn run(n: u8) -> RunId {
    RunId::new([n; 16])
}

struct Line {
    state: State,
    sequence: u64,
}

impl Line {
    fn new() -> Self {
        Self { state: State::default(), sequence: 0 }
    }

    fn step(&mut self, event: Event, of: u8, by: u8) -> Result<(), IllegalTransition> {
        let at = Timestamp::from_seconds(i64::try_from(self.sequence).unwrap());
        let (release, run) = (release(of), run(by));
        let step = Step { event: &event, release: &release, run: &run, sequence: self.sequence + 1, at };
        self.state = self.state.after(step)?;
        self.sequence += 1;
        Ok(())
    }

    fn healthy(&mut self, of: u8) {
        self.step(promoted(true), of, 1).unwrap();
        self.step(started(), of, 1).unwrap();
        self.step(Event::Healthy { probes: 5, good: 5 }, of, 1).unwrap();
    }

    fn current(&self) -> Option<Digest> {
        self.state.current.as_ref().map(|placed| placed.release.digest.clone())
    }
}

fn promoted(rollout: bool) -> Event {
    Event::Promoted { from: None, rollout }
}

fn started() -> Event {
    Event::RolloutStarted { receipt: serde_json::json!({"n": 1}), deadline: Timestamp::from_seconds(99) }
}

fn rolled_back() -> Event {
    Event::RolledBack { reason: "sick".to_owned(), done: Timestamp::UNIX_EPOCH }
}

#[test]
fn a_sick_release_leaves_what_was_there_and_a_mark() {
    let mut line = Line::new();
    line.healthy(1);
    line.step(promoted(true), 2, 1).unwrap();
    assert_eq!(line.state.way_back().unwrap().release, release(1));
    line.step(started(), 2, 1).unwrap();
    line.step(rolled_back(), 2, 1).unwrap();
    assert_eq!(line.current(), Some(release(1).digest));
    assert!(line.state.current.as_ref().unwrap().is_healthy());
    assert_eq!(line.state.failed_mark(&release(2)).unwrap().reason, "sick");
    assert!(line.state.rollout.is_none() && line.state.way_back().is_none());
    // Trying again is allowed; success lifts the mark.
    line.healthy(2);
    assert!(line.state.failed_mark(&release(2)).is_none());
}

#[test]
fn going_back_twice_goes_further_back() {
    let mut line = Line::new();
    for n in 1..=3 {
        line.healthy(n);
    }
    for n in [2, 1] {
        assert_eq!(line.state.way_back().unwrap().release, release(n));
        line.step(Event::Rollback { reason: None, rollout: false }, n, 1).unwrap();
        assert_eq!(line.current(), Some(release(n).digest));
    }
    assert!(line.state.way_back().is_none());
}

#[test]
fn a_rollback_is_never_rolled_back() {
    let mut line = Line::new();
    line.healthy(1);
    line.healthy(2);
    line.step(Event::Rollback { reason: None, rollout: true }, 1, 1).unwrap();
    line.step(started(), 1, 1).unwrap();
    let refused = line.step(rolled_back(), 1, 1).unwrap_err();
    assert_eq!(refused.to_string(), "`rolled-back` cannot follow here: a rollback is never rolled back");
    line.step(Event::RollbackFailed { reason: "dead".to_owned() }, 1, 1).unwrap();
    assert!(line.state.failed.is_empty(), "the proven release is not to blame");
}

#[test]
fn only_proven_releases_are_ways_back() {
    let mut line = Line::new();
    line.healthy(1);
    let refused = line.step(Event::Rollback { reason: None, rollout: true }, 9, 1).unwrap_err();
    assert_eq!(refused.why, "the release has no healthy verdict in this environment");
}

#[test]
fn a_run_that_was_taken_over_can_write_nothing_more() {
    let mut line = Line::new();
    line.step(promoted(true), 1, 1).unwrap();
    line.step(started(), 1, 1).unwrap();
    line.step(Event::TakenOver { from: run(1), deadline: Timestamp::from_seconds(200) }, 1, 2).unwrap();
    for event in [Event::Healthy { probes: 1, good: 1 }, rolled_back(), Event::Aborted { reason: String::new() }] {
        assert_eq!(line.step(event, 1, 1).unwrap_err().why, "another run has taken the rollout over");
    }
    line.step(Event::Healthy { probes: 1, good: 1 }, 1, 2).unwrap();
}

#[test]
fn a_rollout_that_is_given_up_does_not_heal_a_failed_way_back() {
    let mut line = Line::new();
    line.healthy(1);
    line.step(promoted(true), 2, 1).unwrap();
    line.step(started(), 2, 1).unwrap();
    line.step(Event::RollbackFailed { reason: "dead".to_owned() }, 2, 1).unwrap();
    line.step(promoted(true), 3, 1).unwrap();
    line.step(Event::Aborted { reason: "no disk".to_owned() }, 3, 1).unwrap();
    let current = line.state.current.as_ref().unwrap();
    assert_eq!(current.release, release(2));
    assert!(matches!(current.standing, Standing::RollbackFailed { .. }));
}

#[test]
fn one_unfinished_rollout_at_most() {
    let mut line = Line::new();
    line.step(promoted(true), 1, 1).unwrap();
    assert_eq!(line.step(promoted(true), 2, 1).unwrap_err().why, "a rollout is unfinished");
    line.step(Event::Aborted { reason: "no port".to_owned() }, 1, 1).unwrap();
    assert_eq!(line.current(), None);
    line.step(promoted(true), 2, 1).unwrap();
}

fn any_event() -> impl Strategy<Value = Event> {
    prop_oneof![
        any::<bool>().prop_map(promoted),
        any::<bool>().prop_map(|rollout| Event::Rollback { reason: None, rollout }),
        Just(started()),
        (0u8..3).prop_map(|n| Event::TakenOver { from: run(n), deadline: Timestamp::UNIX_EPOCH }),
        Just(Event::Healthy { probes: 1, good: 1 }),
        Just(Event::Held { reason: "?".to_owned() }),
        Just(rolled_back()),
        Just(Event::RollbackFailed { reason: "!".to_owned() }),
        Just(Event::Aborted { reason: "-".to_owned() }),
    ]
}

proptest! {
    /// Whatever is tried in whatever order, the state keeps its promises.
    #[test]
    fn invariants(tries in proptest::collection::vec((any_event(), 0u8..4, 0u8..3), 1..60)) {
        let mut line = Line::new();
        let mut proven: Vec<Digest> = Vec::new();
        for (event, of, by) in tries {
            let before = line.state.clone();
            let is_rollback = before.rollout.as_ref().is_some_and(|rollout| rollout.rollback);
            if line.step(event.clone(), of, by).is_err() {
                prop_assert_eq!(&line.state, &before);
                continue;
            }
            let state = &line.state;
            match &event {
                Event::Healthy { .. } | Event::Promoted { rollout: false, .. } => proven.push(release(of).digest),
                Event::Rollback { .. } => prop_assert!(proven.contains(&release(of).digest)),
                Event::RolledBack { .. } => {
                    prop_assert!(!is_rollback, "a rollback was rolled back");
                    prop_assert!(state.failed_mark(&release(of)).is_some());
                    if let Some(current) = &state.current {
                        prop_assert!(proven.contains(&current.release.digest), "went back to an unproven release");
                    }
                }
                _ => {}
            }
            if let Some(back) = state.way_back() {
                prop_assert!(proven.contains(&back.release.digest));
                prop_assert_ne!(Some(back.release.digest.clone()), line.current());
            }
            prop_assert!(state.rollout.is_none() || state.current.is_some());
            prop_assert!(state.good.len() <= GOOD_LIMIT && state.failed.len() <= FAILED_LIMIT);
            // What is written can be read again, and is the same.
            let bytes = schleuse_model::json::to_bytes(state);
            prop_assert_eq!(&schleuse_model::json::from_untrusted::<State>(&bytes, 1 << 20).unwrap(), state);
        }
    }
}
