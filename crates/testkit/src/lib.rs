//! What tests use to break things on purpose, and the peers they compare us with.
//!
//! **For**: tests, ours and those of `tests/e2e`; nothing that ships depends on it.
//!
//! **Guarantees**: everything listens on loopback, on ports that the kernel chose, and stops when dropped. Helpers that cannot
//! do their work fail the test (they panic): a test that could not set itself up has not passed.
//!
//! **Start reading** at [`proxy`]: how a client is killed before or after its n-th request.
//!
//! **Must not depend on** anything that signs, journals or decides with test-only constructors: what is tested is the product.
#![allow(clippy::expect_used, clippy::panic, reason = "a helper that cannot do its work fails the test")]

mod certificates;
pub mod docker_registry;
pub mod peers;
pub mod proxy;

pub use certificates::Certificates;
pub use docker_registry::DockerRegistry;
pub use peers::peer;
pub use proxy::Proxy;
