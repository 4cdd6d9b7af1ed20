//! The registry goes down while a release is watched: the way back takes as long as ever, and the journal learns of it later.

use std::sync::Arc;
use std::time::Duration;

use schleuse_promote::{Error, Outcome};
use tokio::time::Instant;

use crate::gate::Gate;
use crate::scene::{Command, PRODUCTION, Scene};
use crate::target::Health;

/// `r0` healthy in production, `r1` sick from its second probe on, behind the switch.
pub(crate) async fn sick() -> Scene {
    let scene = Scene::new().await;
    scene.production(Command::Promote(0)).await.unwrap();
    scene.set_health(1, Health::SickFrom(1));
    scene
}

/// Promotes `r1`; after its first probe the registry is down if `outage`. Answers when `r0` had the traffic again.
pub(crate) async fn time_to_restore(scene: &Scene, outage: bool) -> (Duration, Outcome) {
    let started = Instant::now();
    let promotion = scene.production(Command::Promote(1));
    let watch = async {
        // `r1` has the traffic: it has had its good probe.
        while scene.target.state().traffic() != Some(&scene.releases[1]) {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        scene.registry.set_down(outage);
        while scene.target.state().traffic() != Some(&scene.releases[0]) {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        started.elapsed()
    };
    let (outcome, restored) = tokio::join!(promotion, watch);
    (restored, outcome.unwrap())
}

#[tokio::test(start_paused = true)]
async fn the_way_back_takes_as_long_and_is_recorded_later() {
    let calm = sick().await;
    let (with_registry, outcome) = time_to_restore(&calm, false).await;
    assert!(matches!(outcome, Outcome::RolledBack { unrecorded: false, .. }), "{outcome:?}");

    let scene = sick().await;
    let (without, outcome) = time_to_restore(&scene, true).await;
    assert!(matches!(outcome, Outcome::RolledBack { unrecorded: true, .. }), "{outcome:?}");
    assert_eq!(without, with_registry);
    assert!(scene.target.state().has_intent());

    // As long as the registry is down nobody is told that all is well.
    let early = scene.production(Command::Resume).await;
    assert!(matches!(early, Err(Error::Journal(_))), "{early:?}");
    scene.registry.set_down(false);
    let resumed = scene.production(Command::Resume).await.unwrap();
    assert!(matches!(resumed, Outcome::RolledBack { unrecorded: false, .. }), "{resumed:?}");
    assert_eq!(scene.stands(PRODUCTION).await, calm.stands(PRODUCTION).await);
    assert_eq!(scene.production(Command::Resume).await.unwrap(), Outcome::NothingToDo);
}

#[tokio::test(start_paused = true)]
async fn whoever_promotes_next_records_it_too() {
    let scene = sick().await;
    time_to_restore(&scene, true).await;
    scene.registry.set_down(false);
    let same = scene.fork().production(Command::Promote(1)).await.unwrap();
    assert!(matches!(same, Outcome::RolledBack { unrecorded: false, .. }), "{same:?}");
    assert_eq!(scene.production(Command::Promote(2)).await.unwrap(), Outcome::Promoted);
    let end = scene.stands(PRODUCTION).await;
    assert_eq!(
        end.events[3..],
        ["promoted", "rollout-started", "rolled-back", "promoted", "rollout-started", "healthy"]
    );
    assert_eq!((end.intent, end.tag.as_deref()), (false, Some("r2")));
}

/// The run dies at each point of a rollback that is made while the registry is down, or of the `resume` that records it.
#[tokio::test(start_paused = true)]
async fn a_person_goes_back_without_the_registry() {
    let scene = Scene::new().await;
    for release in [0, 1] {
        scene.production(Command::Promote(release)).await.unwrap();
    }
    scene.registry.set_down(true);
    let gate = Arc::new(Gate::open());
    let calm = scene.fork();
    calm.registry.set_down(true);
    assert_eq!(calm.run(PRODUCTION, Command::Rollback, gate.clone()).await.unwrap().unwrap(), Outcome::WentBack);
    assert_eq!(calm.target.state().traffic(), Some(&scene.releases[0]));
    for point in 0..gate.passed() {
        let world = scene.fork();
        world.registry.set_down(true);
        world.run(PRODUCTION, Command::Rollback, Arc::new(Gate::kill(point))).await;
        // Asked again: it goes back once, not twice.
        assert_eq!(world.production(Command::Rollback).await.unwrap(), Outcome::WentBack, "died at {point}");
        assert_eq!(world.target.state().traffic(), Some(&scene.releases[0]));
        world.registry.set_down(false);
        let recording = Arc::new(Gate::kill(2 * point));
        world.run(PRODUCTION, Command::Resume, recording).await;
        world.production(Command::Resume).await.unwrap();
        let end = world.stands(PRODUCTION).await;
        assert_eq!(end.events[6..], ["rollback"], "died at {point}");
        assert_eq!((end.tag.as_deref(), end.traffic.as_deref(), end.intent), (Some("r0"), Some("r0"), false));
        assert_eq!(end.good, ["r0"]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_way_back_is_not_taken_back_without_the_registry() {
    let scene = Scene::new().await;
    for release in [0, 1] {
        scene.production(Command::Promote(release)).await.unwrap();
    }
    assert_eq!(scene.production(Command::Rollback).await.unwrap(), Outcome::WentBack);
    scene.registry.set_down(true);
    let again = scene.production(Command::Rollback).await;
    assert!(matches!(again, Err(Error::Journal(_))), "{again:?}");
    assert_eq!(scene.target.state().traffic(), Some(&scene.releases[0]));
    assert!(!scene.target.state().has_intent());
}

/// A rolled-back release is recorded; then the registry goes down and a person asks to go back. The target has nothing older.
#[tokio::test(start_paused = true)]
async fn back_already_is_not_called_going_back() {
    let scene = sick().await;
    time_to_restore(&scene, false).await;
    scene.registry.set_down(true);
    let asked = scene.production(Command::Rollback).await;
    assert!(matches!(asked, Err(Error::Journal(_))), "{asked:?}");
    assert!(!scene.target.state().has_intent());
}

/// After a way back that failed the target still serves what was left. A release that fails on top of that returns there: no
/// success, and not recorded as one.
#[tokio::test(start_paused = true)]
async fn returning_to_what_was_left_is_no_success() {
    let scene = Scene::new().await;
    for release in [0, 1] {
        scene.production(Command::Promote(release)).await.unwrap();
    }
    scene.set_health(0, Health::WontStart);
    scene.set_health(2, Health::SickFrom(1));
    let failed = scene.production(Command::Rollback).await.unwrap();
    assert!(matches!(failed, Outcome::RollbackFailed { .. }), "{failed:?}");
    let outcome = scene.production(Command::Promote(2)).await.unwrap();
    assert!(
        matches!(&outcome, Outcome::RollbackFailed { reason, .. } if reason.contains("the journal at")),
        "{outcome:?}"
    );
    assert_eq!(scene.stands(PRODUCTION).await.traffic.as_deref(), Some("r1"));
}

/// The journal has a promotion that the target does not have: a machine that was set up anew.
#[tokio::test(start_paused = true)]
async fn a_lost_target_is_filled_again() {
    let scene = Scene::new().await;
    scene.production(Command::Promote(0)).await.unwrap();
    assert_eq!(scene.production(Command::Promote(0)).await.unwrap(), Outcome::Already);
    scene.target.lose_everything();
    assert_eq!(scene.production(Command::Promote(0)).await.unwrap(), Outcome::Promoted);
    assert_eq!(scene.stands(PRODUCTION).await.traffic.as_deref(), Some("r0"));
}

/// The journal has a promotion whose processes are gone: a machine that was started anew.
#[tokio::test(start_paused = true)]
async fn a_target_whose_processes_are_gone_is_filled_again() {
    let scene = Scene::new().await;
    scene.production(Command::Promote(0)).await.unwrap();
    scene.target.start_anew();
    assert_eq!(scene.production(Command::Promote(0)).await.unwrap(), Outcome::Promoted);
    assert_eq!(scene.stands(PRODUCTION).await.traffic.as_deref(), Some("r0"));
}

/// Without the journal the target knows one release to go back to. Another one that was asked for is not silently replaced by it.
#[tokio::test(start_paused = true)]
async fn a_release_that_is_asked_for_is_that_one_or_none() {
    let scene = Scene::new().await;
    for release in [0, 1] {
        scene.production(Command::Promote(release)).await.unwrap();
    }
    scene.registry.set_down(true);
    let other = scene.production(Command::RollbackTo(2)).await;
    assert!(matches!(other, Err(Error::Journal(_))), "{other:?}");
    assert_eq!(scene.target.state().traffic(), Some(&scene.releases[1]));
    assert!(!scene.target.state().has_intent());
    assert_eq!(scene.production(Command::RollbackTo(0)).await.unwrap(), Outcome::WentBack);
    assert_eq!(scene.target.state().traffic(), Some(&scene.releases[0]));
}

/// What was returned to does not answer: no success, with or without the journal, and nothing is recorded as healthy unseen.
#[tokio::test(start_paused = true)]
async fn a_way_back_that_does_not_answer_is_no_success() {
    let scene = Scene::new().await;
    for release in [0, 1] {
        scene.production(Command::Promote(release)).await.unwrap();
    }
    scene.set_health(0, Health::SickFrom(0));
    scene.registry.set_down(true);
    for _ in 0..2 {
        let failed = scene.production(Command::Rollback).await.unwrap();
        assert!(matches!(failed, Outcome::RollbackFailed { unrecorded: true, .. }), "{failed:?}");
    }
    scene.registry.set_down(false);
    let unseen = scene.production(Command::Resume).await.unwrap();
    assert!(matches!(unseen, Outcome::RollbackFailed { unrecorded: true, .. }), "{unseen:?}");
    assert_eq!(scene.stands(PRODUCTION).await.events.len(), 6);
    scene.set_health(0, Health::Good);
    assert_eq!(scene.production(Command::Resume).await.unwrap(), Outcome::WentBack);
    let end = scene.stands(PRODUCTION).await;
    assert_eq!((end.events[6..].to_vec(), end.tag.as_deref(), end.intent), (vec!["rollback"], Some("r0"), false));
}
