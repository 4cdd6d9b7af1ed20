//! The fault proxy in front of a registry, and docker-registry.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test's helpers fail the test")]

mod it {
    pub(crate) mod client;
    pub(crate) mod docker_registry;
    pub(crate) mod proxy;
}
