//! The HTTP client for OCI registries (distribution-spec 1.1).
//!
//! **For**: [`Client`] implements `schleuse_oci`'s `Pull`, `Push`, `Delete` and `Referrers` against real registries; [`credentials`] says
//! where logins come from.
//!
//! **Guarantees**
//! - It never fails open. "Not there" is a 404 that reads like a registry's own; a portal's page, an empty 200, an error
//!   envelope or a cut-off body is an error.
//! - Content is verified by us: digests are computed from the bytes that came, while they come. `Docker-Content-Digest` is only
//!   compared.
//! - Credentials go to the registry itself and to the token service it names over HTTPS, never to where a redirect or an upload
//!   `Location` leads. Plain HTTP only to this machine, or to hosts listed by name.
//! - Every read is bounded, every wait has a deadline, every retry comes from a budget ([`settings`]).
//! - Secrets are in no error and in no `Debug` output.
//!
//! **Start reading** at `exchange` (one request with login, redirects and retries), then `pull`, `push` and `referrers`.
//!
//! **Must not depend on** anything of the workspace but `model` and `oci` (and `process`, for credential helpers).

mod address;
mod answer;
mod auth;
mod body;
mod builder;
pub mod credentials;
mod delete;
mod download;
mod exchange;
mod page;
mod payload;
pub mod proxies;
mod pull;
mod push;
mod referrers;
mod retry;
pub mod settings;
mod text;
mod transport;
mod upload;

pub use builder::{BuildError, ClientBuilder};
pub use exchange::Client;
pub use proxies::Proxies;
pub use retry::{Jitter, NoJitter, RandomJitter};
pub use settings::{Deadlines, Limits, RetryPolicy};
