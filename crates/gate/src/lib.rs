//! What stands at an environment's entrance.
//!
//! **For**: deciding whether a release may be promoted into an environment, and saying why not.
//!
//! **Guarantees**
//! - A gate is all of its checks. Some are always there and cannot be listed, configured or dropped ([`ALWAYS`]): the signature, the
//!   ladder and the clock.
//! - Judges are pure: the same facts and the same `now` give the same judgement, so what was decided can be explained later.
//! - Absent evidence blocks. Evidence that is there and cannot be read is *no answer*, an error, and never a pass. Evidence of
//!   another environment, another release or another definition of the check is as good as none.
//! - All findings are collected: nobody has to promote five times to learn of five problems.
//! - Producers run through `process` only: a deadline, a clean environment, redacted output. What they return is unsigned; they
//!   hold no key.
//!
//! **Start reading** at [`Gate`], then [`Judge`] and [`Producer`], then `builtin` for what a check looks like.
//!
//! **Must not depend on** a registry, the journal or a target: everything a judge may look at is in [`Facts`].

mod builtin;
mod check;
mod facts;
mod gate;
mod judge;
mod produce;

pub use builtin::clock::MAX_CLOCK_SKEW;
pub use builtin::command::{CommandCheck, DEFAULT_COMMAND_TIMEOUT};
pub use check::{Check, CheckId, CheckIdError, Definition};
pub use facts::{Evidence, Facts, SignedBy, Source, Standing, StandingVerdict};
pub use gate::{ALWAYS, Decision, Gate, GateError, GateResult};
pub use judge::{Judge, Judgement, NoAnswer, Waiver};
pub use produce::{ProduceError, Produced, Producer, Subject};
