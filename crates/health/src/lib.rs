//! Whether a release that was just rolled out is well: canary analysis as arithmetic.
//!
//! **For**: turning a stream of probe results into one of three verdicts. Someone else sends the probes, reads the clock, and acts.
//!
//! **Guarantees**
//! - No I/O, no async, no clock: the same samples and the same `now` give the same verdict, today and when a journal is replayed.
//! - Three verdicts, and they do not blur: *Healthy* and *Unhealthy* are both earned by evidence about the release; everything
//!   that keeps us from seeing it (a broken prober, a clock that jumps, too few probes) is *Inconclusive*, never a pass.
//! - It always ends: [`Verdict::Wait`] names a time, and by the end of window and extension there is another verdict.
//! - One failed probe never makes a release unhealthy; settings under which it could are refused.
//!
//! **Start reading** at [`Analysis`] (the rules and why), then [`sprt`] (the arithmetic), then [`Settings`].
//!
//! **Must not depend on** any crate of the workspace but `model`; not on a runtime, and not on floating point for anything that
//! is stored ([`Probability`]).

mod analysis;
mod millis;
mod probability;
mod reason;
mod sample;
mod settings;
pub mod sprt;

pub use analysis::{Analysis, LATENCIES_KEPT, Summary};
pub use probability::Probability;
pub use reason::{Inconclusive, Unhealthy, Verdict};
pub use sample::{Measurement, Outcome, ProbeFailure, ProcessEnd, Sample};
pub use settings::{Settings, SettingsError};
