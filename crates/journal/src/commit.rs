//! Commit points: what makes a sequence create-once (DESIGN §7).
//!
//! The distribution-spec has no compare-and-swap (issue 250, open since 2021), and a read-back is not a lock: a stalled writer
//! can still overwrite after it. So an entry counts only once something that is atomic has taken it: a registry that honours
//! `If-None-Match: *` (or enforces immutable tags), proven by racing; or a git ref created with an empty lease.

pub mod git;
pub mod registry;

use std::fmt::Debug;

use async_trait::async_trait;
use schleuse_model::{Digest, EnvironmentName};
use schleuse_oci::Manifest;
use serde::{Deserialize, Serialize};

use crate::error::Error;

/// Which kind of commit point took an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CommitKind {
    /// The registry's tag.
    Registry,
    /// A git ref.
    Git,
}

/// What became of an attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Committed {
    /// The sequence is this entry's, now or since an earlier attempt whose answer was lost.
    Won,
    /// The sequence is another entry's.
    Lost,
}

/// Makes a sequence somebody's, once.
#[async_trait]
pub trait CommitPoint: Debug + Send + Sync {
    /// Which kind it is.
    fn kind(&self) -> CommitKind;

    /// Takes `sequence` for the entry, whose blobs are in the registry already; leaves the tag `j-<environment>-<sequence>`
    /// pointing at it.
    async fn create_once(
        &self,
        environment: &EnvironmentName,
        sequence: u64,
        entry: &Manifest,
    ) -> Result<Committed, Error>;
}

/// What an independent witness of the journal's end has seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Witnessed {
    /// The highest sequence.
    pub sequence: u64,
    /// The digest of the entry that took it.
    pub digest: Digest,
}
