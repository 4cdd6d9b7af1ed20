//! The process dies before, within and after every single call; whoever comes next ends where an uninterrupted run would have.

use std::sync::Arc;

use rand_core::RngCore as _;
use schleuse_promote::Outcome;

use crate::gate::Gate;
use crate::scene::{Command, End, Numbers, PRODUCTION, STAGING, Scene};
use crate::target::Health;

/// How often a run dies before one is left alone.
const DEATHS: usize = 2;
/// More points than any run has: a run that passes so many goes round in circles.
const MANY: usize = 2000;

/// A person asks for `goal` in `environment`; the run dies at every point in turn.
async fn every_point(scene: &Scene, environment: &str, goal: Command) -> End {
    let calm = scene.fork();
    let gate = Arc::new(Gate::open());
    calm.run(environment, goal, gate.clone()).await.unwrap().unwrap();
    let expected = calm.stands(environment).await;

    assert!(gate.passed() < MANY);
    for point in 0..gate.passed() {
        let world = scene.fork();
        let died = world.run(environment, goal, Arc::new(Gate::kill(point))).await;
        assert!(died.is_none(), "point {point} was never reached");
        let mut numbers = Numbers(u64::try_from(point).unwrap());
        let mut tale = vec![format!("{goal:?} died at {point}")];
        for _ in 0..numbers.next_u32() % u32::try_from(DEATHS).unwrap() {
            let at = usize::try_from(numbers.next_u32()).unwrap() % gate.passed();
            let command = again(&world, environment, goal, numbers.next_u32().is_multiple_of(2)).await;
            let outcome = world.run(environment, command, Arc::new(Gate::kill(at))).await;
            tale.push(format!("{command:?} died at {at}, or ended: {outcome:?}"));
        }
        // Whoever comes last: `resume` first in every other case, then always what was asked for.
        if point.is_multiple_of(2) {
            tale.push(format!("resume: {:?}", world.now(environment, Command::Resume).await));
        }
        let command = again(&world, environment, goal, false).await;
        tale.push(format!("{command:?}: {:?}", world.now(environment, command).await));
        let (end, broken) = world.look(environment).await;
        assert_eq!((end, broken), (expected.clone(), Vec::new()), "{tale:#?}");
    }
    expected
}

/// What a person types after a crash: the same command, or `resume`. A way back that is recorded as asked for is not asked for
/// twice: that would go back two releases.
async fn again(world: &Scene, environment: &str, goal: Command, resume: bool) -> Command {
    let goes_back = matches!(goal, Command::Rollback | Command::BreakGlass);
    let healthy_again = || async {
        let ended = world.stands(environment).await;
        ended.events.contains(&"rollback") && !ended.unfinished
    };
    if resume || goes_back && healthy_again().await { Command::Resume } else { goal }
}

#[tokio::test(start_paused = true)]
async fn without_a_target() {
    let scene = Scene::new().await;
    let first = every_point(&scene, STAGING, Command::Promote(0)).await;
    assert_eq!((first.tag, first.events), (Some("r0".to_owned()), vec!["promoted"]));
    scene.now(STAGING, Command::Promote(0)).await.unwrap();
    let second = every_point(&scene, STAGING, Command::Promote(1)).await;
    assert_eq!((second.tag.as_deref(), second.good), (Some("r1"), vec!["r0".to_owned(), "r1".to_owned()]));
}

#[tokio::test(start_paused = true)]
async fn the_first_release() {
    let end = every_point(&Scene::new().await, PRODUCTION, Command::Promote(0)).await;
    assert_eq!(end.events, ["promoted", "rollout-started", "healthy"]);
    assert_eq!((end.tag.as_deref(), end.traffic.as_deref(), end.intent), (Some("r0"), Some("r0"), false));
}

#[tokio::test(start_paused = true)]
async fn a_second_release() {
    let scene = Scene::new().await;
    scene.production(Command::Promote(0)).await.unwrap();
    let end = every_point(&scene, PRODUCTION, Command::Promote(1)).await;
    assert_eq!(end.events, ["promoted", "rollout-started", "healthy", "promoted", "rollout-started", "healthy"]);
    assert_eq!((end.tag.as_deref(), end.running), (Some("r1"), vec!["r1".to_owned()]));
}

#[tokio::test(start_paused = true)]
async fn a_sick_release() {
    let scene = Scene::new().await;
    scene.production(Command::Promote(0)).await.unwrap();
    for health in [Health::SickFrom(0), Health::SickFrom(1), Health::ExitsAt(1)] {
        scene.set_health(1, health);
        let end = every_point(&scene, PRODUCTION, Command::Promote(1)).await;
        assert_eq!(end.events[3..], ["promoted", "rollout-started", "rolled-back"]);
        assert_eq!((end.tag.as_deref(), end.running), (Some("r0"), vec!["r0".to_owned()]));
        assert_eq!((end.failed, end.intent, end.unfinished), (vec!["r1".to_owned()], false, false));
    }
}

#[tokio::test(start_paused = true)]
async fn the_first_release_is_sick() {
    let scene = Scene::new().await;
    scene.set_health(0, Health::SickFrom(1));
    let end = every_point(&scene, PRODUCTION, Command::Promote(0)).await;
    assert_eq!(end.events, ["promoted", "rollout-started", "rolled-back"]);
    // Nothing ran before, and nothing runs now. The tag stays: registries of the field cannot delete one.
    assert_eq!((end.current, end.traffic, end.tag.as_deref()), (None, None, Some("r0")));
}

#[tokio::test(start_paused = true)]
async fn a_release_that_does_not_start() {
    let scene = Scene::new().await;
    scene.production(Command::Promote(0)).await.unwrap();
    scene.set_health(1, Health::WontStart);
    let end = every_point_until_aborted(&scene).await;
    assert_eq!((end.tag.as_deref(), end.traffic.as_deref(), end.unfinished), (Some("r0"), Some("r0"), false));
}

/// An aborted promotion leaves no mark, so the same command tries it again: what is compared is where it ends, not how often it
/// was tried.
async fn every_point_until_aborted(scene: &Scene) -> End {
    let calm = scene.fork();
    let gate = Arc::new(Gate::open());
    let outcome = calm.run(PRODUCTION, Command::Promote(1), gate.clone()).await.unwrap().unwrap();
    assert!(matches!(outcome, Outcome::Aborted { .. }), "{outcome:?}");
    let mut expected = calm.stands(PRODUCTION).await;
    expected.events.clear();
    for point in 0..gate.passed() {
        let world = scene.fork();
        assert!(world.run(PRODUCTION, Command::Promote(1), Arc::new(Gate::kill(point))).await.is_none());
        world.production(Command::Resume).await.unwrap();
        world.production(Command::Promote(1)).await.unwrap();
        let mut end = world.stands(PRODUCTION).await;
        end.events.clear();
        assert_eq!(end, expected, "died at {point}");
    }
    expected
}

#[tokio::test(start_paused = true)]
async fn a_manual_rollback() {
    let scene = Scene::new().await;
    for release in [0, 1] {
        scene.production(Command::Promote(release)).await.unwrap();
    }
    let end = every_point(&scene, PRODUCTION, Command::Rollback).await;
    assert_eq!(end.events[6..], ["rollback", "rollout-started", "healthy"]);
    assert_eq!(
        (end.tag.as_deref(), &end.running, &end.good),
        (Some("r0"), &vec!["r0".to_owned()], &vec!["r0".to_owned()])
    );
    // With the key that may do nothing else it ends the same; whoever comes next may have that key, or the CI's.
    assert_eq!(every_point(&scene, PRODUCTION, Command::BreakGlass).await.events[6..], end.events[6..]);
}

#[tokio::test(start_paused = true)]
async fn a_manual_rollback_without_a_target() {
    let scene = Scene::new().await;
    for release in [0, 1] {
        scene.now(STAGING, Command::Promote(release)).await.unwrap();
    }
    let end = every_point(&scene, STAGING, Command::Rollback).await;
    assert_eq!((end.tag.as_deref(), end.good), (Some("r0"), vec!["r0".to_owned()]));
}

#[tokio::test(start_paused = true)]
async fn a_held_rollout_is_resumed() {
    let scene = Scene::new().await;
    scene.production(Command::Promote(0)).await.unwrap();
    scene.set_health(1, Health::Unseen);
    let held = scene.production(Command::Promote(1)).await.unwrap();
    assert!(matches!(held, Outcome::Held { .. }), "{held:?}");
    scene.set_health(1, Health::Good);
    let end = every_point(&scene, PRODUCTION, Command::Resume).await;
    assert_eq!(end.events[3..], ["promoted", "rollout-started", "held", "healthy"]);
    assert_eq!((end.tag.as_deref(), end.running), (Some("r1"), vec!["r1".to_owned()]));

    scene.set_health(1, Health::SickFrom(0));
    let end = every_point(&scene, PRODUCTION, Command::Resume).await;
    assert_eq!(end.events[3..], ["promoted", "rollout-started", "held", "rolled-back"]);
}
