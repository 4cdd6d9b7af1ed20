//! The client is killed before and after each request that it makes to the registry.

use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use schleuse_testkit::proxy::{Fault, Match, When};

use super::undertaker::Ended;
use super::{Ground, Story, every_point, soak};
use crate::project::Setup;

/// A promotion with a rollout makes more requests than this, whatever becomes cheaper.
const AT_LEAST: usize = 10;

#[test]
fn of_the_first_release() {
    if soak() {
        every_request(Story::First);
    }
}

#[test]
fn of_a_good_release() {
    every_request(Story::Good);
}

#[test]
fn of_a_sick_release() {
    every_request(Story::Sick);
}

fn every_request(story: Story) {
    let points = every_point(story, &Setup { proxy: true, ..Setup::default() }, |ground, promotion, point| {
        let when = if point % 2 == 0 { When::Before } else { When::After };
        die(ground, promotion, point / 2 + 1, when)
    });
    assert!(points >= 2 * AT_LEAST, "{points}");
    eprintln!("{story:?} release: killed before and after each of {} requests, {points} points", points / 2);
}

fn die(ground: &Ground, promotion: &[String; 3], request: usize, when: When) -> Ended {
    let proxy = ground.project.proxy.as_ref().expect("a proxy");
    let client = Arc::new(AtomicI32::new(0));
    let to_be_killed = Arc::clone(&client);
    proxy.reset();
    proxy.inject(Match::Nth(request), when, Fault::run(move || slay(&to_be_killed)));
    let running = ground.project.spawn(&promotion.each_ref().map(String::as_str));
    client.store(running.pid().as_raw(), Ordering::SeqCst);
    let ended = running.wait();
    let asked = proxy.log().get(request - 1).map(ToString::to_string);
    proxy.reset();
    match asked {
        Some(asked) => {
            assert_eq!(ended.code, None, "it was killed: {ended}");
            Ended::Died(format!("{when:?} request {asked}\n{ended}"))
        }
        None => Ended::Unharmed(ended.code),
    }
}

/// Kills the client, once it is known which process that is.
pub(crate) fn slay(client: &AtomicI32) {
    loop {
        match client.load(Ordering::SeqCst) {
            0 => std::thread::sleep(Duration::from_millis(1)),
            pid => return kill(Pid::from_raw(pid), Signal::SIGKILL).expect("our own child"),
        }
    }
}
