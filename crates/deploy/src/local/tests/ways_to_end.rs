//! How instances end, and what is known of it.

use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::time::Instant;

use super::world::{World, until};
use crate::local::instance::Status;
use crate::local::paths::InstancePaths;
use crate::target::{Ended, Observation, Receipt, Target};

impl World {
    async fn end_of(&self, receipt: &Receipt) -> Ended {
        until("the end", async || matches!(self.target.observe(receipt).await.unwrap(), Observation::Exited { .. }))
            .await;
        match self.target.observe(receipt).await.unwrap() {
            Observation::Exited { how } => how,
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn the_request_to_stop_reaches_the_program_and_its_answer_is_recorded() {
    let world = World::with_door();
    let receipt = world.applied_with("one", 1, &["APP_TERM=graceful"]).await;
    world.handle(&receipt).stop().await.unwrap();
    assert_eq!(world.handle(&receipt).status().unwrap(), Status::Ended(Ended::Code { code: 7 }));
}

#[tokio::test]
async fn a_program_that_does_not_listen_is_killed_when_its_grace_is_over() {
    let world = World::with_door();
    let receipt = world.applied_with("one", 1, &["APP_TERM=ignore"]).await;
    let asked = Instant::now();
    world.handle(&receipt).stop().await.unwrap();
    assert!((Duration::from_millis(900)..Duration::from_secs(4)).contains(&asked.elapsed()), "{:?}", asked.elapsed());
    assert!(matches!(world.handle(&receipt).status().unwrap(), Status::Ended(Ended::Signal { signal: 9 })));
}

#[tokio::test]
async fn a_crash_is_recorded_and_not_covered_up() {
    let world = World::with_door();
    let receipt = world.applied("one", 1).await;
    assert_eq!(super::world::get(world.address_of(&receipt).await, "/crash").await, None);
    assert_eq!(world.end_of(&receipt).await, Ended::Code { code: 3 });
    // The same run, or the next one, does not give it a second chance: it is judged by its first.
    world.next_run().apply(&receipt).await.unwrap();
    assert_eq!(world.end_of(&receipt).await, Ended::Code { code: 3 });
}

#[tokio::test]
async fn a_program_that_ends_at_once_has_started() {
    let world = World::with_door();
    let receipt = world.prepare("crash-at-start", 1).await.unwrap();
    world.target.apply(&receipt).await.unwrap();
    assert_eq!(world.end_of(&receipt).await, Ended::Code { code: 9 });
    let last = world.target.logs(&receipt, 30).await.unwrap();
    assert_eq!(last, ["crash-at-start starts with the password [redacted]"]);
}

#[tokio::test]
async fn a_killed_program_is_recorded() {
    let world = World::with_door();
    let receipt = world.applied("one", 1).await;
    let init = world.running(&receipt).init.pid;
    let children = std::fs::read_to_string(format!("/proc/{init}/task/{init}/children")).unwrap();
    kill(Pid::from_raw(children.trim().parse().unwrap()), Signal::SIGKILL).unwrap();
    assert_eq!(world.end_of(&receipt).await, Ended::Signal { signal: 9 });
}

#[tokio::test]
async fn nothing_lives_on_when_the_supervisor_is_killed() {
    let world = World::with_door();
    let receipt = world.applied("one", 1).await;
    let init = world.running(&receipt).init;
    let address = world.address_of(&receipt).await;
    kill(Pid::from_raw(world.running(&receipt).supervisor.pid), Signal::SIGKILL).unwrap();
    until("the end of process 1", async || !init.alive()).await;
    assert_eq!(world.end_of(&receipt).await, Ended::Unseen);
    until("the end of the program", async || super::world::get(address, "/").await.is_none()).await;
    // Nobody saw it fail: it is started again.
    world.next_run().apply(&receipt).await.unwrap();
    assert_eq!(super::world::eventually(world.address_of(&receipt).await, "/").await, "one");
}

#[tokio::test]
async fn a_record_whose_process_id_was_used_again_is_not_believed() {
    let world = World::with_door();
    let receipt = world.applied("one", 1).await;
    let folder = world.folder().join("instances").join(&receipt.instance().name);
    world.handle(&receipt).stop().await.unwrap();
    // As after a restart of the machine: no end was written, and the process id is somebody else's by now: ours.
    let paths = InstancePaths::at(&folder);
    std::fs::remove_file(paths.exit()).unwrap();
    let record = std::fs::read_to_string(paths.running()).unwrap();
    let me = std::process::id().to_string();
    let impostors = record.split("\"pid\":").map(|part| match part.split_once(',') {
        Some((pid, rest)) if pid.parse::<u32>().is_ok() => format!("{me},{rest}"),
        _ => part.to_owned(),
    });
    std::fs::write(paths.running(), impostors.collect::<Vec<_>>().join("\"pid\":")).unwrap();
    assert!(std::fs::read_to_string(paths.running()).unwrap().matches(&me).count() >= 2);
    assert_eq!(world.handle(&receipt).status().unwrap(), Status::Ended(Ended::Unseen));
    world.handle(&receipt).stop().await.unwrap();
}
