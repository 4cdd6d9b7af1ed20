//! The way back.

use std::sync::atomic::Ordering;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::time::Instant;

use super::world::{World, eventually, until};
use crate::failure::Failure;
use crate::target::{Target, TargetError};

#[tokio::test]
async fn the_old_release_answers_within_a_second_and_was_never_stopped() {
    let world = World::with_door();
    let one = world.switched("one", 1).await;
    let process = world.running(&one);
    // One that does not listen when it is asked to stop must not hold the way back up.
    let two = world.switched_with("two", 2, &["APP_TERM=ignore"]).await;
    assert_eq!(world.get("/").await.as_deref(), Some("two"));
    world.registry.down.store(true, Ordering::SeqCst);
    let asked = Instant::now();
    world.target.restore(&two).await.unwrap();
    assert_eq!(world.get("/").await.as_deref(), Some("one"));
    assert!(asked.elapsed() < Duration::from_secs(1), "{:?}", asked.elapsed());
    assert_eq!(world.running(&one), process);
    assert_eq!(world.target.restored_address(&two).await.unwrap(), world.settings.listen);
    until("the sick one's end", async || !world.handle(&two).is_alive().unwrap()).await;
    // Again, as after a crash.
    world.next_run().restore(&two).await.unwrap();
    assert_eq!(world.get("/").await.as_deref(), Some("one"));
    assert_eq!(world.target.standing().await.unwrap().active.as_ref(), Some(one.instance()));
}

#[tokio::test]
async fn what_was_brought_back_cannot_go_forward() {
    let world = World::with_door();
    world.switched("one", 1).await;
    let two = world.switched("two", 2).await;
    world.target.restore(&two).await.unwrap();
    let refused = |result| matches!(result, Err(TargetError::Terminal(Failure::BroughtBack { sequence: 2 })));
    assert!(refused(world.target.apply(&two).await));
    assert!(refused(world.target.switch(&two).await));
    assert!(refused(world.target.settle(&two).await));
    assert_eq!(world.get("/").await.as_deref(), Some("one"));
}

#[tokio::test]
async fn an_old_release_that_has_died_is_started_again_without_a_registry() {
    let world = World::with_door();
    let one = world.switched("one", 1).await;
    let two = world.switched("two", 2).await;
    kill(Pid::from_raw(world.running(&one).init.pid), Signal::SIGKILL).unwrap();
    world.registry.down.store(true, Ordering::SeqCst);
    world.target.restore(&two).await.unwrap();
    assert_eq!(eventually(world.settings.listen.unwrap(), "/").await, "one");
}

#[tokio::test]
async fn there_is_a_way_back_also_after_settling() {
    let world = World::with_door();
    let one = world.switched("one", 1).await;
    world.target.settle(&one).await.unwrap();
    let two = world.switched("two", 2).await;
    world.target.settle(&two).await.unwrap();
    assert!(!world.handle(&one).is_alive().unwrap());
    world.registry.down.store(true, Ordering::SeqCst);
    world.target.restore(&two).await.unwrap();
    assert_eq!(world.get("/").await.as_deref(), Some("one"));
}

#[tokio::test]
async fn a_first_release_leaves_nothing_that_answers() {
    let world = World::with_door();
    let one = world.switched("one", 1).await;
    world.target.restore(&one).await.unwrap();
    assert_eq!(world.get("/").await, None);
    assert_eq!(world.target.restored_address(&one).await.unwrap(), None);
    until("its end", async || !world.handle(&one).is_alive().unwrap()).await;
    // And the next release is none the worse for it.
    world.switched("two", 2).await;
    assert_eq!(world.get("/").await.as_deref(), Some("two"));
}

#[tokio::test]
async fn a_way_back_whose_image_was_deleted_says_so() {
    let world = World::with_door();
    let one = world.switched("one", 1).await;
    world.target.settle(&one).await.unwrap();
    let two = world.switched("two", 2).await;
    world.handle(&one).stop().await.unwrap();
    let image = world.folder().join("images").join(one.image().digest().as_tag_stem());
    std::fs::remove_dir_all(image).unwrap();
    let refused = world.target.restore(&two).await;
    assert!(matches!(refused, Err(TargetError::Terminal(Failure::WayBackGone { .. }))), "{refused:?}");
    assert_eq!(world.get("/").await.as_deref(), Some("two"), "better a sick release than none");
}

#[tokio::test]
async fn without_a_front_door_old_and_new_take_turns() {
    let world = World::without_door();
    let one = world.switched("one", 1).await;
    assert_eq!(world.get("/").await.as_deref(), Some("one"));
    let two = world.switched("two", 2).await;
    assert_eq!(world.get("/").await.as_deref(), Some("two"));
    assert!(!world.handle(&one).is_alive().unwrap());
    world.target.restore(&two).await.unwrap();
    assert_eq!(eventually(world.target.address().unwrap(), "/").await, "one");
    world.next_run().restore(&two).await.unwrap();
    assert_eq!(world.get("/").await.as_deref(), Some("one"));
    let three = world.switched("three", 3).await;
    world.target.settle(&three).await.unwrap();
    assert_eq!(world.get("/").await.as_deref(), Some("three"));
}
