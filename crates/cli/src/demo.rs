//! The demo: the whole line on this machine, with nothing but this binary.
//!
//! Every line that a verb prints comes from the real verb, run as a program of its own; the demo only sets the scene, says what
//! comes next, and plays the parts that are not ours: the users, the attacker, the kill.

mod acts;
mod attacker;
mod error;
mod load;
mod rootfs;
mod scene;
mod stage;

pub(crate) use acts::play;
pub(crate) use error::file;
pub(crate) use scene::Scene;
pub(crate) use stage::Stage;
