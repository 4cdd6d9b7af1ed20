//! Crash points: whenever the program dies in a promotion with rollout, the same command or `resume` reaches the end that an
//! uninterrupted run has.
//!
//! # Expected flow
//! A [`Ground`] is an environment where a good release runs. At each point: a new release is promoted, the run dies there, somebody
//! comes after it, and [`Ground::must_have_ended`] looks at everything a user or a person on call could look at. The ground is
//! used again for the next point: what a crash leaves behind would be found then.
//!
//! # Guarantees
//! Points are counted until a run gets through without dying, so none is left out when a promotion gets longer, and a suite that
//! reaches fewer than it must fails. `make test` goes through all points of a second release, good and sick; `make soak` also
//! through those of the first one.

mod ground;
mod pushes;
mod random;
mod requests;
mod target_calls;
mod undertaker;

pub(crate) use ground::{Ground, Story, Successor};
pub(crate) use requests::slay;
pub(crate) use undertaker::every_point;

/// Whether the long forms are asked for.
pub(crate) fn soak() -> bool {
    std::env::var_os("SCHLEUSE_SOAK").is_some_and(|value| value == "1")
}
