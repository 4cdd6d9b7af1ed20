//! The one way to run a program.
//!
//! **For**: git, credential helpers, checks, migrations, and our own long-running instances. Every other crate that needs a
//! program goes through [`Program`]; `std::process` and `tokio::process` are lint errors elsewhere.
//!
//! **Guarantees**
//! - An argument list, never a shell line: nothing is word-split, expanded or quoted.
//! - A clean environment: the program sees what the caller passed and nothing else. Secrets go in by [`Program::secret_env`],
//!   never as arguments, which every user of the machine can read.
//! - A deadline, always. At the deadline, or when the future is dropped, the program's whole process group ends. When
//!   [`Program::run`] returns, nothing of that group is left; only what left it on purpose (`setsid`) lives on.
//! - Bounded output: head and tail are kept, the middle is dropped and said to be. Output that is not whole cannot be mistaken
//!   for output that is ([`Captured::whole`]).
//! - Every known secret in the output is replaced by `[redacted]` before anything is stored, also where it straddles two reads.
//! - "It ran and said no" ([`Finished`] with another [`Ended`]) and "it did not run" ([`ProcessError`]) are different types.
//!
//! **Start reading** at [`Program`], then `run`.
//!
//! **Must not depend on** any crate of the workspace but `model`.

mod attached;
mod capture;
mod detach;
mod error;
mod finished;
mod locate;
mod program;
pub mod redact;
mod run;

pub use capture::{Captured, DEFAULT_OUTPUT_LIMIT};
pub use detach::{DETACH_DEADLINE, Detached};
pub use error::ProcessError;
pub use finished::{Ended, Finished};
pub use program::{DEFAULT_DEADLINE, Program};
pub use run::{DRAIN, TERMINATION_GRACE};
