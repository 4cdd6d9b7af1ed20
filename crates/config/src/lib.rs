//! `schleuse.toml`: from text to settings that are right, or to every mistake in it at once.
//!
//! **For**: reading the configuration file, its JSON schema, the variables of the environment that count, and the order in which
//! flag, variable, file and default are believed.
//!
//! **Guarantees**: no I/O and no environment access: text, flags and variables come in as arguments. Unknown keys are errors.
//! Every mistake is reported, with file, line, column and key, not only the first. Policy (`[trust]`, checks, `soak`, `commit`)
//! comes from the file alone: no flag and no variable reaches it (DESIGN §8). Reading is bounded ([`MAX_BYTES`]) and never
//! panics, whatever the text.
//!
//! **Start reading** at [`load`], then [`raw::File`], which is what the file may say; [`Config`] is what it means.
//!
//! **Must not depend on** anything of the workspace but `model`: durations, paths and addresses are the standard library's, and
//! the command line turns them into the types of `health`, `image` and `deploy`.

pub mod duration;
pub mod edit;
pub mod env;
pub mod error;
pub mod origin;
pub mod policy;
pub mod raw;
pub mod schema;
pub mod settings;

mod document;
mod shape;
#[cfg(test)]
mod tests;

pub use error::{ConfigError, Help, Mistake, Place, What};
pub use origin::{Origin, Shown, Sourced};
pub use policy::{
    Against, Check, CheckName, CommitMode, KeyRole, Policy, Revocation, RevokedKey, Rung, Trust, TrustedKey,
    UnknownKeyFile, policy_digest,
};
pub use settings::{Config, Flags, Source, load};

/// The most that is read of a configuration file, in bytes. A real one has a few thousand; beyond this it is not a configuration.
pub const MAX_BYTES: usize = 1 << 20;

/// The file's usual name.
pub const FILE_NAME: &str = "schleuse.toml";
