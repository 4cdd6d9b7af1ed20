//! Each rule of `rules.rs` is broken once, on purpose, and seen: a check that cannot fail is none.

use std::sync::Arc;

use crate::gate::Gate;
use crate::rules::{self, Deeds};
use crate::scene::{Command, PRODUCTION, STAGING, Scene};
use crate::target::{FakeTarget, Health};

async fn broken(scene: &Scene, environment: &str) -> String {
    scene.look(environment).await.1.join("; ")
}

#[tokio::test(start_paused = true)]
async fn a_tag_that_moves_before_its_entry() {
    let scene = Scene::new().await;
    scene.now(STAGING, Command::Promote(0)).await.unwrap();
    let early = scene.fork();
    // The tag first, the entry after: at the end both say the same, and still it was wrong.
    early.registry.move_tag(&early.tag(STAGING), &early.releases[1]);
    early.now(STAGING, Command::Promote(1)).await.unwrap();
    assert!(broken(&early, STAGING).await.contains("without an entry"));
    scene.now(STAGING, Command::Promote(1)).await.unwrap();
    assert_eq!(broken(&scene, STAGING).await, "");
}

#[tokio::test(start_paused = true)]
async fn a_target_that_is_handed_what_nobody_signed_or_admitted() {
    let scene = Scene::new().await;
    scene.production(Command::Promote(0)).await.unwrap();
    let journal = scene.entries(PRODUCTION).await;
    let mut target = scene.target.state();
    let written = scene.registry.content().written;
    let check = |target: &crate::target::State| {
        let deeds = Deeds {
            journal: &journal,
            tags: Vec::new(),
            written: &written,
            target: Some(target),
            signed: scene.signed(),
        };
        rules::broken(&deeds).join("; ")
    };
    assert_eq!(check(&target), "");
    target.handed.push((1, scene.releases[3].clone()));
    let found = check(&target);
    assert!(found.contains("does not admit") && found.contains("nobody signed"), "{found}");
}

/// A run loses its lease without knowing, is overtaken, and wakes up: it acts with its old sequence.
async fn a_woken_run(fencing: bool) -> Scene {
    let scene = Arc::new(Scene::with_target(FakeTarget::new(PRODUCTION.parse().unwrap(), fencing)).await);
    scene.production(Command::Promote(0)).await.unwrap();
    let (arrives, mut arrived) = tokio::sync::mpsc::unbounded_channel();
    let gate = Arc::new(Gate::stepped(0, arrives));
    let sleeper = tokio::spawn({
        let (scene, gate) = (scene.clone(), gate.clone());
        async move { scene.run(PRODUCTION, Command::Promote(1), gate).await }
    });
    // Let it on until the rollout is journaled as started: next it would start its instance.
    arrived.recv().await;
    while !scene.registry.content().written.iter().any(|write| write.tag == "j-production-0000000005") {
        gate.step();
        arrived.recv().await;
    }
    scene.target.break_lease();
    scene.set_health(1, Health::SickFrom(1));
    scene.production(Command::Resume).await.unwrap();
    drop(arrived);
    gate.step();
    let _ = sleeper.await.unwrap();
    Arc::try_unwrap(scene).unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_target_without_fencing() {
    assert_eq!(broken(&a_woken_run(true).await, PRODUCTION).await, "");
    let found = broken(&a_woken_run(false).await, PRODUCTION).await;
    assert!(found.contains("the target accepted entry #"), "{found}");
}

#[tokio::test(start_paused = true)]
async fn a_rollback_that_is_brought_back() {
    let scene = Scene::new().await;
    for release in [0, 1] {
        scene.production(Command::Promote(release)).await.unwrap();
    }
    scene.production(Command::Rollback).await.unwrap();
    assert_eq!(broken(&scene, PRODUCTION).await, "");
    // As the target would be asked by a run that takes a way back for any other rollout.
    scene.target.bring_back().await;
    assert!(broken(&scene, PRODUCTION).await.contains("was brought back on the target"));
}

#[tokio::test(start_paused = true)]
async fn a_release_that_is_named_before_it_is_pinned() {
    let scene = Scene::new().await;
    scene.production(Command::Promote(0)).await.unwrap();
    scene.production(Command::Promote(1)).await.unwrap();
    assert_eq!(broken(&scene, PRODUCTION).await, "");
    scene.registry.forget_writes("keep-");
    assert!(broken(&scene, PRODUCTION).await.contains("before it was pinned"));
}
