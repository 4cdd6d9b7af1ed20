//! Promotion, rollout, rollback and resume in a simulated world: real signatures, real journal and real executors over a
//! registry, a target, a prober and a clock that do what the test says, with crashes between any two calls.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod break_glass;
mod broken;
mod clock;
mod crash;
mod gate;
mod interleavings;
mod outage;
mod registry;
mod retention;
mod rules;
mod scene;
mod target;
