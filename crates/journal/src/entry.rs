//! What one entry says. The fields are documented for readers of other tools in `docs/JOURNAL.md`.

use std::fmt;

use schleuse_model::{Actor, Digest, EnvironmentName, Release, Repository, Timestamp};
use serde::{Deserialize, Serialize};

use crate::commit::CommitKind;
use crate::state::State;

/// The entry format's name; a reader refuses any other.
pub const SCHEMA: &str = "schleuse-journal-v1";

/// Identifies one run of the tool, so that a run that was taken over notices it: 16 random bytes as hex.
#[derive(Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RunId(String);

impl RunId {
    /// From 16 bytes of randomness.
    pub fn new(random: [u8; 16]) -> Self {
        Self(schleuse_model::digest::to_hex(&random))
    }

    /// As hex.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for RunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for RunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Event {
    /// The release passed the gate. With `rollout` it is now to be put on the target; without, this is all there is to do.
    Promoted {
        /// The rung it came from; none for the first rung.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        from: Option<EnvironmentName>,
        /// Whether a rollout follows.
        rollout: bool,
    },
    /// A person goes back: `release` is one with a Healthy verdict here.
    Rollback {
        /// Why, in the person's words.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        reason: Option<String>,
        /// Whether a rollout follows.
        rollout: bool,
    },
    /// The target is prepared; from here on something visible may have changed.
    RolloutStarted {
        /// What the target needs to go on or back. Its shape is the target's.
        receipt: serde_json::Value,
        /// When it must be decided, whatever happens. Wall time.
        deadline: Timestamp,
    },
    /// Another run goes on with an unfinished rollout.
    TakenOver {
        /// The run that was found dead.
        from: RunId,
        /// The new deadline.
        deadline: Timestamp,
    },
    /// The rollout was judged healthy.
    Healthy {
        /// How many probes were made.
        probes: u32,
        /// How many of them were good.
        good: u32,
    },
    /// The rollout could not be judged. Both instances stay until a person decides.
    Held {
        /// Why.
        reason: String,
    },
    /// The rollout failed and the environment is back at what it ran before.
    RolledBack {
        /// Why, one line.
        reason: String,
        /// When it was done; earlier than the entry's time if the registry was down.
        done: Timestamp,
    },
    /// The way back failed too. A human is needed.
    RollbackFailed {
        /// Why, one line.
        reason: String,
    },
    /// The rollout was given up before it changed anything; not the release's fault.
    Aborted {
        /// Why, one line.
        reason: String,
    },
    /// Nothing happened: the signer has looked at the journal up to here and adopts it with the key of today. What older keys signed
    /// is pinned by this entry, whatever becomes of them.
    Rekeyed {
        /// Why, in the person's words.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        reason: Option<String>,
        /// Releases that the signer does not vouch for: they are no ways back any more.
        #[serde(skip_serializing_if = "Vec::is_empty", default)]
        without: Vec<Digest>,
    },
}

impl Event {
    /// The event's name as it is written.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Promoted { .. } => "promoted",
            Self::Rollback { .. } => "rollback",
            Self::RolloutStarted { .. } => "rollout-started",
            Self::TakenOver { .. } => "taken-over",
            Self::Healthy { .. } => "healthy",
            Self::Held { .. } => "held",
            Self::RolledBack { .. } => "rolled-back",
            Self::RollbackFailed { .. } => "rollback-failed",
            Self::Aborted { .. } => "aborted",
            Self::Rekeyed { .. } => "rekeyed",
        }
    }
}

/// What a writer brings; the journal adds names, sequence, link and state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Draft {
    /// What happened.
    pub event: Event,
    /// To which release.
    pub release: Release,
    /// Which run writes.
    pub run: RunId,
    /// Who.
    pub actor: Actor,
    /// The digest of the policy in force.
    pub policy: Digest,
    /// The plan's hash, for a promotion.
    pub plan: Option<Digest>,
    /// The digests of the evidence relied on.
    pub evidence: Vec<Digest>,
    /// The signature relied on, whole, so that a rollback needs no evidence store.
    pub signature: Option<String>,
}

/// One entry: the predicate of its signed statement.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// [`SCHEMA`].
    pub schema: String,
    /// The image's repository.
    pub image: Repository,
    /// The journal's repository.
    pub journal: Repository,
    /// The environment.
    pub environment: EnvironmentName,
    /// The place in the journal, from 1, without gaps.
    pub sequence: u64,
    /// The digest of the entry before; none for the first.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub previous: Option<Digest>,
    /// What made the sequence create-once.
    pub commit: CommitKind,
    /// What happened.
    pub event: Event,
    /// To which release.
    pub release: Release,
    /// Which run wrote it.
    pub run: RunId,
    /// Who, as far as known.
    pub actor: Actor,
    /// The digest of the policy in force.
    pub policy: Digest,
    /// The plan's hash, for a promotion.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub plan: Option<Digest>,
    /// The digests of the evidence relied on.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub evidence: Vec<Digest>,
    /// The signature relied on, whole.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub signature: Option<String>,
    /// Where the environment stands after this entry.
    pub state: State,
    /// When, as the signer claims; never earlier than the entry before.
    pub at: Timestamp,
}
