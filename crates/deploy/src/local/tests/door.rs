//! The front door, before real instances.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep};

use super::world::{World, ask, free, get, until};
use crate::failure::Failure;
use crate::identity::{Holder, Identity, LifeLock};
use crate::target::{Target, TargetError};
use schleuse_model::Explain;

impl World {
    pub(super) fn door_process(&self) -> Identity {
        match LifeLock::at(&self.folder().join("front-door/life.lock")).holder().unwrap() {
            Holder::Alive(Some(door)) => door,
            other => panic!("{other:?}"),
        }
    }
}

/// Users who ask without pause.
struct Load {
    stop: Arc<AtomicBool>,
    users: Vec<tokio::task::JoinHandle<()>>,
    good: Arc<AtomicUsize>,
    lost: Arc<AtomicUsize>,
}

impl Load {
    fn on(address: std::net::SocketAddr, users: usize) -> Self {
        let (stop, good, lost) = (Arc::default(), Arc::default(), Arc::default());
        let users = (0..users).map(|_| {
            let (stop, good, lost) = (Arc::clone(&stop), Arc::clone(&good), Arc::clone(&lost));
            tokio::spawn(user(address, stop, good, lost))
        });
        Self { users: users.collect(), stop, good, lost }
    }

    async fn end(self) -> (usize, usize) {
        self.stop.store(true, Ordering::SeqCst);
        for user in self.users {
            user.await.unwrap();
        }
        (self.good.load(Ordering::SeqCst), self.lost.load(Ordering::SeqCst))
    }
}

async fn user(at: std::net::SocketAddr, stop: Arc<AtomicBool>, good: Arc<AtomicUsize>, lost: Arc<AtomicUsize>) {
    while !stop.load(Ordering::SeqCst) {
        let counter = if get(at, "/").await.is_some() { &good } else { &lost };
        counter.fetch_add(1, Ordering::SeqCst);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_request_is_lost_while_releases_come_and_go() {
    let world = World::with_door();
    let one = world.switched("one", 1).await;
    world.target.settle(&one).await.unwrap();
    let load = Load::on(world.settings.listen.unwrap(), 4);
    let slow = tokio::spawn(get(world.settings.listen.unwrap(), "/slow"));
    let two = world.switched("two", 2).await;
    assert_eq!(slow.await.unwrap().as_deref(), Some("one"), "begun before the switch, answered by whom it was asked");
    world.target.settle(&two).await.unwrap();
    let three = world.switched("three", 3).await;
    world.target.restore(&three).await.unwrap();
    assert_eq!(world.get("/").await.as_deref(), Some("two"));
    until("the end of the third", async || !world.handle(&three).is_alive().unwrap()).await;
    let (good, lost) = load.end().await;
    assert_eq!(lost, 0, "of {good}");
    assert!(good > 100, "{good}");
}

#[tokio::test]
async fn a_request_under_way_is_answered_before_its_instance_is_stopped() {
    let world = World::with_door();
    let one = world.switched("one", 1).await;
    let two = world.switched("two", 2).await;
    let door = world.target.door().unwrap();
    door.send_to(Some(world.running(&one).address)).unwrap();
    let slow = tokio::spawn(get(world.settings.listen.unwrap(), "/slow"));
    sleep(Duration::from_millis(100)).await;
    door.send_to(Some(world.address_of(&two).await)).unwrap();
    world.target.settle(&two).await.unwrap();
    assert!(!world.handle(&one).is_alive().unwrap());
    assert_eq!(slow.await.unwrap().as_deref(), Some("one"));
}

#[tokio::test]
async fn an_idle_connection_does_not_hold_a_settlement_up() {
    let world = World::with_door();
    world.switched("one", 1).await;
    let mut kept = TcpStream::connect(world.settings.listen.unwrap()).await.unwrap();
    assert_eq!(ask(&mut kept, "/").await.as_deref(), Some("one"));
    let two = world.switched("two", 2).await;
    assert_eq!(ask(&mut kept, "/").await.as_deref(), Some("one"), "an open connection is never moved");
    let asked = Instant::now();
    world.target.settle(&two).await.unwrap();
    assert!(asked.elapsed() < Duration::from_secs(2), "{:?}", asked.elapsed());
    assert_eq!(kept.read(&mut [0; 1]).await.unwrap(), 0, "closed, not reset");
}

#[tokio::test]
async fn a_settlement_does_not_wait_for_ever() {
    let world = World::new(|settings| {
        settings.listen = Some(free());
        settings.drain = Duration::from_millis(400);
    });
    world.switched("one", 1).await;
    let busy = Arc::new(AtomicBool::new(false));
    let (listen, stop) = (world.settings.listen.unwrap(), Arc::clone(&busy));
    let mut kept = TcpStream::connect(listen).await.unwrap();
    assert_eq!(ask(&mut kept, "/").await.as_deref(), Some("one"));
    let talker = tokio::spawn(async move {
        while !stop.load(Ordering::SeqCst) && ask(&mut kept, "/").await.is_some() {
            sleep(Duration::from_millis(20)).await;
        }
    });
    let two = world.switched("two", 2).await;
    let asked = Instant::now();
    world.target.settle(&two).await.unwrap();
    assert!((Duration::from_millis(350)..Duration::from_secs(3)).contains(&asked.elapsed()), "{:?}", asked.elapsed());
    busy.store(true, Ordering::SeqCst);
    talker.await.unwrap();
}

#[tokio::test]
async fn a_door_that_was_killed_opens_again() {
    let world = World::with_door();
    let one = world.switched("one", 1).await;
    let door = world.door_process();
    kill(Pid::from_raw(door.pid), Signal::SIGKILL).unwrap();
    until("its end", async || !door.alive()).await;
    assert_eq!(world.get("/").await, None);
    world.next_run().switch(&one).await.unwrap();
    assert_eq!(world.get("/").await.as_deref(), Some("one"));
    assert_ne!(world.door_process(), door);
}

#[tokio::test]
async fn a_door_that_hangs_is_replaced() {
    let world = World::with_door();
    let one = world.switched("one", 1).await;
    let door = world.door_process();
    kill(Pid::from_raw(door.pid), Signal::SIGSTOP).unwrap();
    world.next_run().switch(&one).await.unwrap();
    assert!(!door.alive());
    assert_eq!(world.get("/").await.as_deref(), Some("one"));
}

#[tokio::test]
async fn a_door_moves_when_the_configuration_says_so() {
    let world = World::with_door();
    let one = world.switched("one", 1).await;
    let mut settings = world.settings.clone();
    settings.listen = Some(free());
    let moved = crate::LocalTarget::new(settings.clone(), Arc::clone(&world.registry) as Arc<dyn schleuse_oci::Pull>);
    moved.switch(&one).await.unwrap();
    assert_eq!(get(settings.listen.unwrap(), "/").await.as_deref(), Some("one"));
    assert_eq!(world.get("/").await, None);
}

#[tokio::test]
async fn somebody_elses_port_is_not_taken() {
    let other = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = other.local_addr().unwrap();
    let world = World::new(|settings| settings.listen = Some(address));
    let receipt = world.prepare("one", 1).await.unwrap();
    let refused = world.target.apply(&receipt).await.unwrap_err();
    assert!(matches!(refused, TargetError::Transient { cause: Failure::PortTaken { .. }, .. }), "{refused:?}");
    assert!(refused.hints()[0].contains("ss -ltnp"));
}

#[tokio::test]
async fn a_door_whose_environment_was_deleted_closes_itself() {
    let world = World::with_door();
    let receipt = world.switched("one", 1).await;
    let door = world.door_process();
    world.handle(&receipt).stop().await.unwrap();
    std::fs::remove_dir_all(world.folder()).unwrap();
    until("the door's end", async || !door.alive()).await;
}

#[tokio::test]
async fn a_deep_folder_is_no_obstacle() {
    // A socket's path has at most 107 bytes.
    let world = World::new(|settings| {
        settings.root = settings.root.join("d".repeat(120)).join("e".repeat(120));
        settings.listen = Some(free());
    });
    world.switched("one", 1).await;
    assert_eq!(world.get("/").await.as_deref(), Some("one"));
}
