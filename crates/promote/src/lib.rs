//! Promotion, rollout, rollback and resume: what ties registry, signatures, journal, gate, health and target together.
//!
//! **For**: the one line from "this digest" to "this digest runs there, and it is healthy", and back. The only crate that knows
//! all the traits.
//!
//! **Guarantees**: a tag moves only after its journal entry is committed; a target is handed only what a verified entry admits;
//! an intention is written before the act; after a crash at any point [`promote`] or [`resume`] ends where an uninterrupted run
//! would have; a rollback is never rolled back.
//!
//! **Start reading** at [`rollout`] (the pure machine), then [`promotion`], then [`world`] for what the executors hold.
//!
//! **Must not depend on** the registry client or server, the command line, or a clock of its own.

pub mod error;
pub mod intent;
pub mod observer;
pub mod outcome;
pub mod plan;
pub mod probe;
pub mod promotion;
pub mod record;
mod remember;
pub mod resume;
pub mod retention;
pub mod rollback;
pub mod rollout;
pub mod views;
pub mod world;

pub use error::Error;
pub use observer::{Note, Observer};
pub use outcome::Outcome;
pub use plan::Plan;
pub use probe::{HttpProber, Identity, ProbeSpec, Prober};
pub use promotion::{Planned, PromotionRequest, plan, promote};
pub use record::find_signature_on_record;
pub use resume::resume;
pub use rollback::{RollbackRequest, rollback};
pub use world::{Environment, World};
