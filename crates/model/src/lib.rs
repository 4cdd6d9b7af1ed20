//! The nouns of Schleuse: what every other crate speaks in.
//!
//! **For**: digests, references, environments, releases, findings, times, secrets, exit codes, and the one door through which
//! untrusted JSON enters. Each noun is parsed once at the edge; a value that exists is valid.
//!
//! **Guarantees**: no I/O, no network, no runtime. The only clock is [`clock::SystemClock`], the only place where the wall time
//! is read. [`Secret`] never prints.
//!
//! **Start reading** at [`reference`] (why a moving tag and a pinned digest are two types) and [`explain`] (how errors carry
//! their exit code and their hints).
//!
//! **Must not depend on** any other crate of the workspace.

pub mod clock;
pub mod digest;
pub mod environment;
pub mod explain;
pub mod finding;
pub mod json;
pub mod predicate;
pub mod reference;
pub mod release;
pub mod secret;
pub mod time;

pub use clock::{Clock, SystemClock};
pub use digest::{Digest, DigestError, Hasher};
pub use environment::{EnvironmentName, EnvironmentNameError};
pub use explain::{Exit, Explain};
pub use finding::{Finding, Severity};
pub use reference::{PinnedRef, Reference, ReferenceError, Repository, Tag, TagRef};
pub use release::{Actor, Commit, Release};
pub use secret::Secret;
pub use time::Timestamp;
