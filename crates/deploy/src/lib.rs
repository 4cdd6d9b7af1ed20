//! Where releases run: the trait [`Target`] and its adapters.
//!
//! **For**: putting an admitted release beside the running one, sending it the traffic, looking at it, and going back.
//!
//! **Guarantees**
//! - [`Target::prepare`] takes nothing but [`schleuse_journal::Admitted`]: what no verified journal entry admits cannot run.
//! - Every step can be called again after a crash at any point, and finishes the job.
//! - A target refuses a sequence below the highest it has accepted ([`TargetError::Fenced`]), so a run that was taken over and
//!   wakes up again does no harm. After a way back was begun, its rollout cannot go forward again.
//! - The instance that is returned to keeps running until [`Target::settle`]; after that its unpacked image is kept. Neither
//!   needs a registry.
//!
//! **Start reading** at [`target`], then [`local`].
//!
//! **Must not depend on** a registry client, the configuration, or a wall clock.

pub mod failure;
pub mod front_door;
pub mod local;
pub mod target;

mod atomic;
mod identity;

pub use failure::Failure;
pub use local::{LocalSettings, LocalTarget};
pub use target::{Claim, Claimed, Ended, Instance, Observation, Receipt, Standing, Target, TargetError};
