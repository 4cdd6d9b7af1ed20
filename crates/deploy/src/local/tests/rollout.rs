//! The steps, interrupted and repeated.

use super::world::{World, get, until};
use crate::failure::Failure;
use crate::target::{Claimed, Target, TargetError};

#[tokio::test]
async fn preparing_changes_nothing_visible() {
    let world = World::with_door();
    world.switched("one", 1).await;
    let receipt = world.prepare("two", 2).await.unwrap();
    assert_eq!(receipt.previous_release().unwrap().version.as_deref(), Some("one"));
    assert_eq!(world.get("/").await.as_deref(), Some("one"));
    assert_eq!(world.prepare("two", 2).await.unwrap(), receipt, "the same again");
}

#[tokio::test]
async fn the_next_run_finds_what_a_killed_one_started() {
    let world = World::with_door();
    let receipt = world.applied("one", 1).await;
    let before = world.running(&receipt);
    let next = world.next_run();
    next.apply(&receipt).await.unwrap();
    assert_eq!(world.running(&receipt), before);
    next.switch(&receipt).await.unwrap();
    next.switch(&receipt).await.unwrap();
    next.apply(&receipt).await.unwrap();
    assert_eq!(world.get("/").await.as_deref(), Some("one"));
    next.settle(&receipt).await.unwrap();
    next.settle(&receipt).await.unwrap();
    assert_eq!(world.running(&receipt), before);
}

#[tokio::test]
async fn two_starters_of_one_instance_start_one() {
    let world = World::with_door();
    let receipt = world.prepare("one", 1).await.unwrap();
    let (first, second) = (world.next_run(), world.next_run());
    let both = tokio::join!(first.apply(&receipt), second.apply(&receipt));
    assert!(both.0.is_ok() || both.1.is_ok(), "{both:?}");
    until("one", async || get(world.address_of(&receipt).await, "/").await.is_some()).await;
    let supervisors = || {
        let lines = std::fs::read_dir("/proc").unwrap().flatten().map(|entry| {
            let line = std::fs::read(entry.path().join("cmdline")).unwrap_or_default();
            String::from_utf8_lossy(&line).into_owned()
        });
        let folder = world.folder().display().to_string();
        lines.filter(|line| line.contains("--spec") && line.contains(&folder)).count()
    };
    until("the other supervisor's end", async || supervisors() == 1).await;
    assert_eq!(first.observe(&receipt).await.unwrap(), second.observe(&receipt).await.unwrap());
}

#[tokio::test]
async fn what_outlives_the_tool_lets_go_of_its_callers_files() {
    // As a shell's or a CI system's pipe, whose other end waits for everybody to close it.
    let (_reader, writer) = nix::unistd::pipe().unwrap();
    let pipe = std::fs::read_link(format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&writer))).unwrap();
    let world = World::with_door();
    let receipt = world.switched("one", 1).await;
    let running = world.running(&receipt);
    for process in [running.supervisor, running.init, world.door_process()] {
        // A user may not look into the init, which has closed itself off; as root the test does.
        let files = match std::fs::read_dir(format!("/proc/{}/fd", process.pid)) {
            Ok(files) => files.flatten(),
            Err(error) => {
                assert!(!nix::unistd::geteuid().is_root() && process == running.init, "{error}");
                continue;
            }
        };
        let mut targets = files.filter_map(|file| std::fs::read_link(file.path()).ok());
        assert!(!targets.any(|target| target == pipe), "{process:?}");
    }
    for leader in [running.supervisor, world.door_process()] {
        let pid = nix::unistd::Pid::from_raw(leader.pid);
        assert_eq!(nix::unistd::getsid(Some(pid)), Ok(pid));
    }
}

#[tokio::test]
async fn what_a_dead_run_left_is_cleared_away() {
    let world = World::with_door();
    world.switched("one", 1).await;
    let left = world.applied("two", 2).await;
    let process = world.running(&left).init;
    world.prepare("three", 3).await.unwrap();
    assert!(!process.alive());
    assert_eq!(world.get("/").await.as_deref(), Some("one"));
}

#[tokio::test]
async fn a_run_that_was_taken_over_can_do_nothing() {
    let world = World::with_door();
    let old = world.switched("one", 1).await;
    world.target.settle(&old).await.unwrap();
    world.switched("two", 2).await;
    let target = &world.target;
    let fenced = |result: Result<(), TargetError>| matches!(result, Err(TargetError::Fenced { have: 2, got: 1 }));
    assert!(fenced(target.apply(&old).await));
    assert!(fenced(target.switch(&old).await));
    assert!(fenced(target.restore(&old).await));
    assert!(fenced(target.settle(&old).await));
    assert!(fenced(target.observe(&old).await.map(drop)));
    assert!(fenced(target.restored_address(&old).await.map(drop)));
    assert!(fenced(world.prepare("one", 1).await.map(drop)));
    assert_eq!(world.get("/").await.as_deref(), Some("two"));
}

#[tokio::test]
async fn one_run_at_a_time() {
    let world = World::with_door();
    let Claimed::Yes(claim) = world.target.claim().await.unwrap() else { panic!("busy") };
    assert!(matches!(world.next_run().claim().await.unwrap(), Claimed::Busy));
    drop(claim);
    assert!(matches!(world.next_run().claim().await.unwrap(), Claimed::Yes(_)));
}

#[tokio::test]
async fn traffic_goes_to_nothing_that_does_not_run() {
    let world = World::with_door();
    world.switched("one", 1).await;
    let receipt = world.prepare("two", 2).await.unwrap();
    let refused = world.target.switch(&receipt).await;
    assert!(matches!(refused, Err(TargetError::Terminal(Failure::NotRunning { .. }))));
    assert_eq!(world.get("/").await.as_deref(), Some("one"));
}

#[tokio::test]
async fn settling_needs_the_traffic_and_keeps_the_way_back() {
    let world = World::with_door();
    let names: Vec<String> = ["one", "two", "three"].iter().map(|name| (*name).to_owned()).collect();
    for (sequence, name) in (1..).zip(&names) {
        let receipt = world.applied(name, sequence).await;
        let refused = world.target.settle(&receipt).await;
        assert!(matches!(refused, Err(TargetError::Terminal(Failure::NotSwitched { .. }))));
        world.target.switch(&receipt).await.unwrap();
        world.target.settle(&receipt).await.unwrap();
    }
    let count = |folder: &str| std::fs::read_dir(world.folder().join(folder)).unwrap().count();
    assert_eq!((count("instances"), count("images")), (2, 2));
}

#[tokio::test]
async fn a_damaged_record_is_not_taken_for_none() {
    let world = World::with_door();
    let receipt = world.switched("one", 1).await;
    let path = world.folder().join("state.json");
    let good = std::fs::read(&path).unwrap();
    std::fs::write(&path, b"{").unwrap();
    assert!(matches!(world.target.standing().await, Err(TargetError::Terminal(Failure::Damaged { .. }))));
    assert!(world.target.apply(&receipt).await.is_err());
    std::fs::write(&path, good).unwrap();
    let standing = world.target.standing().await.unwrap();
    assert!(standing.alive && standing.unsettled);
    assert_eq!((standing.sequence, standing.receipt), (1, Some(receipt)));
}

#[tokio::test]
async fn an_intent_is_kept_until_it_is_dropped() {
    let world = World::with_door();
    assert_eq!(world.target.read_intent().await.unwrap(), None);
    world.target.write_intent(b"back").await.unwrap();
    assert_eq!(world.next_run().read_intent().await.unwrap().as_deref(), Some(&b"back"[..]));
    world.target.clear_intent().await.unwrap();
    world.target.clear_intent().await.unwrap();
    assert_eq!(world.target.read_intent().await.unwrap(), None);
    let huge = world.target.write_intent(&vec![0; 1 << 20]).await;
    assert!(matches!(huge, Err(TargetError::Terminal(Failure::IntentTooLarge { .. }))));
}

#[tokio::test]
async fn removing_leaves_nothing() {
    let world = World::with_door();
    let receipt = world.switched("one", 1).await;
    let process = world.running(&receipt).init;
    world.target.remove().await.unwrap();
    assert!(!process.alive());
    assert!(!world.folder().exists());
    assert_eq!(world.get("/").await, None);
}
