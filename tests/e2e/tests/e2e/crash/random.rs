//! The client is killed at any moment: what is between the points.

use std::time::Duration;

use rand_core::{OsRng, RngCore as _};

use super::{Ground, Story, Successor};
use crate::project::Setup;

/// How often, and how often in the long form.
const KILLS: [u32; 2] = [10, 200];
/// A little longer than a promotion takes.
const AT_MOST: u64 = 3000;

#[test]
fn kills() {
    let soak = std::env::var_os("SCHLEUSE_SOAK").is_some_and(|value| value == "1");
    let kills = KILLS[usize::from(soak)];
    std::thread::scope(|scope| {
        for story in [Story::Good, Story::Sick] {
            scope.spawn(move || some(story, kills / 2));
        }
    });
    eprintln!("{kills} random kills");
}

fn some(story: Story, kills: u32) {
    let mut ground = Ground::new(story, Setup::default());
    for number in 0..kills {
        if ground.is_worn() {
            ground = Ground::new(story, Setup::default());
        }
        let candidate = ground.candidate();
        let after = Duration::from_millis(OsRng.next_u64() % AT_MOST);
        let promotion = ground.promotion(&candidate);
        let mut running = ground.project.spawn(&promotion.each_ref().map(String::as_str));
        std::thread::sleep(after);
        running.kill();
        let ended = running.wait();
        let successor = if number % 2 == 0 { Successor::Same } else { Successor::Resume };
        ground.come_after(candidate, successor, &format_args!("killed after {after:?}\n{ended}"));
    }
}
