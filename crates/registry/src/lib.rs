//! The embedded OCI registry: distribution-spec 1.1 with referrers, and conditional writes of tags.
//!
//! **For**: `schleuse registry serve`, `schleuse demo`, and every test that needs a registry. One service, three uses.
//!
//! **Guarantees**: after a 201 nothing is lost by a kill or a power cut (disk store: temporary file, fsync, rename, fsync of the
//! folder). Manifest before referrer entry before tag: a tag never points at what is not there. While a tag moves, readers see
//! the old manifest or the new one, never an error. `If-None-Match: *` on a tag lets exactly one writer win. Blobs are streamed,
//! never held whole (disk store). Every read is bounded, every wait has a deadline ([`Limits`]).
//!
//! **Start reading** at `service` (the paths), then `api/manifests` (the order of writes), `store` (what a store must do),
//! `store/disk` and `volume` (how it stays on the disk), `gc` and `check`.
//!
//! **Must not depend on** the HTTP client, nor on anything that signs, journals or decides.

mod access;
mod answer;
mod api;
mod check;
mod condition;
mod error;
mod gc;
mod limits;
mod log;
mod metrics;
mod observe;
mod problem;
mod range;
mod registry;
mod route;
mod server;
mod service;
mod shape;
mod store;
mod tls;
mod uploads;
mod volume;

pub use access::users::Users;
pub use check::{CheckOptions, CheckReport, Fault, Finding, Outcome, check};
pub use error::Error;
pub use gc::{GcOptions, GcReport};
pub use limits::Limits;
pub use log::AccessLog;
pub use registry::Registry;
pub use server::Running;
pub use tls::Tls;
pub use volume::{FolderVolume, Readable, Volume, Written};
