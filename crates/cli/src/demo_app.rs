//! The service that `schleuse demo` ships: small, real, with a version and a fault that can be switched on.
//!
//! It is this very binary, so the demo's image needs nothing from the network.

mod fault;
mod service;

pub(crate) use fault::Fault;
pub(crate) use service::{Answer, Service};
