//! Goes through all points, several at a time: most of the time is spent watching releases.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use super::{Ground, Story, Successor};
use crate::project::Setup;

/// How many grounds are worked on at a time, in one test.
const WORKERS: usize = 3;
/// More points than any promotion has: a run that has so many goes round in circles.
const MANY: usize = 400;

/// Where a run died, or did not.
pub(crate) enum Ended {
    /// There, in words.
    Died(String),
    /// It has fewer points; with its exit code.
    Unharmed(Option<i32>),
}

/// Lets a promotion die at the points 0, 1, … until one gets through. `die` starts it, on that ground, with that release. Answers how
/// many points there were.
pub(crate) fn every_point(
    story: Story,
    setup: &Setup,
    die: impl Fn(&Ground, &[String; 3], usize) -> Ended + Sync,
) -> usize {
    let (next, through) = (AtomicUsize::new(0), AtomicUsize::new(MANY));
    let covered = Mutex::new(0);
    let work = || {
        let mut ground: Option<Ground> = None;
        while next.load(Ordering::Relaxed) < through.load(Ordering::Relaxed) {
            let point = next.fetch_add(1, Ordering::Relaxed);
            if ground.as_ref().is_none_or(Ground::is_worn) {
                ground = Some(Ground::new(story, setup.clone()));
            }
            let ground = ground.as_mut().expect("it was just made");
            let candidate = ground.candidate();
            match die(ground, &ground.promotion(&candidate), point) {
                Ended::Died(tale) => {
                    assert!(point < MANY, "{tale}");
                    let successor = if point / 2 % 2 == 0 { Successor::Same } else { Successor::Resume };
                    ground.come_after(candidate, successor, &format_args!("point {point}: {tale}"));
                    *covered.lock().expect("a count") += 1;
                }
                Ended::Unharmed(code) => {
                    assert_eq!(code, Some(story.code()), "point {point} was not reached");
                    ground.must_have_ended(candidate, &format_args!("point {point} was not reached"));
                    through.fetch_min(point, Ordering::Relaxed);
                }
            }
        }
    };
    thread::scope(|scope| {
        let workers: Vec<_> = (0..WORKERS).map(|_| scope.spawn(work)).collect();
        for worker in workers {
            if let Err(panic) = worker.join() {
                // The others stop at their next point.
                through.store(0, Ordering::Relaxed);
                std::panic::resume_unwind(panic);
            }
        }
    });
    let (covered, through) = (*covered.lock().expect("a count"), through.load(Ordering::Relaxed));
    assert!(covered >= through, "{through} points, but only {covered} were reached");
    covered
}
