//! The journal: an environment's append-only, hash-chained, signed history, kept in the OCI registry.
//!
//! **For**: writing what happened to an environment, proving that nothing was changed or dropped, and turning a verified entry
//! into the [`Admitted`] that a deploy target demands. The journal is authoritative; tags are its cache (DESIGN §7).
//!
//! **Guarantees**: an entry exists under its sequence once ([`CommitPoint`]); the state it claims is the state that its
//! predecessor's state and its event give ([`State::after`]); no entry is believed before its signature, its link and its names
//! were checked; anything that is not a clean answer is an error, never "no entry".
//!
//! **Start reading** at [`state`] (what an environment can be in, pure), then [`entry`], then [`journal`].
//!
//! **Must not depend on** the registry client or server, targets, gates, or a clock.

pub mod admitted;
pub mod adopt;
pub mod commit;
pub mod entry;
pub mod error;
pub mod journal;
pub mod naming;
pub mod state;

mod authority;
mod belief;
mod chain;
mod codec;
mod gallop;
mod hint;

pub use admitted::Admitted;
pub use adopt::{Adoption, ToAdopt};
pub use chain::VerifiedEntry;
pub use commit::{CommitKind, CommitPoint, Committed};
pub use entry::{Draft, Entry, Event, RunId};
pub use error::Error;
pub use journal::{Appended, Journal, Names};
pub use naming::named;
pub use state::{FailedMark, Phase, Placed, Rollout, Standing, State};
