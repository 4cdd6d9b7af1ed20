//! The client is killed at any moment: what is between the points.

use rand_core::{OsRng, RngCore as _};

use super::{Ground, Story, Successor};
use crate::project::Setup;

/// How often, and how often in the long form.
const KILLS: [u32; 2] = [10, 200];

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
    // A little longer than a promotion takes.
    let longest = ground.in_peace() * 11 / 10;
    for number in 0..kills {
        if ground.is_worn() {
            ground = Ground::new(story, Setup::default());
        }
        let candidate = ground.candidate();
        let after = longest.mul_f64(f64::from(OsRng.next_u32()) / f64::from(u32::MAX));
        let promotion = ground.promotion(&candidate);
        let mut running = ground.project.spawn(&promotion.each_ref().map(String::as_str));
        std::thread::sleep(after);
        running.kill();
        let ended = running.wait();
        let successor = if number % 2 == 0 { Successor::Same } else { Successor::Resume };
        ground.come_after(candidate, successor, &format_args!("killed after {after:?}\n{ended}"));
    }
}
