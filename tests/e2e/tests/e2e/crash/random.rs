//! The client is killed at any moment: what is between the points. Sometimes who comes after it is killed, too.

use rand_core::{OsRng, RngCore as _};

use super::{Ground, Story, Successor, soak};
use crate::project::Setup;

/// How often, and how often in the long form.
const KILLS: [u32; 2] = [10, 200];
/// One kill in so many is followed by another one before anything is looked at.
const AGAIN: u32 = 3;

#[test]
fn kills() {
    let kills = KILLS[usize::from(soak())];
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
    let mut killed = 0;
    while killed < kills {
        if ground.is_worn() {
            ground = Ground::new(story, Setup::default());
        }
        let candidate = ground.candidate();
        let promotion = ground.promotion(&candidate);
        let mut tale = String::new();
        loop {
            let after = longest.mul_f64(f64::from(OsRng.next_u32()) / f64::from(u32::MAX));
            let mut running = ground.project.spawn(&promotion.each_ref().map(String::as_str));
            std::thread::sleep(after);
            running.kill();
            tale += &format!("killed after {after:?}\n{}\n", running.wait());
            killed += 1;
            if !OsRng.next_u32().is_multiple_of(AGAIN) {
                break;
            }
        }
        let successor = if killed.is_multiple_of(2) { Successor::Same } else { Successor::Resume };
        ground.come_after(candidate, successor, &tale);
    }
}
