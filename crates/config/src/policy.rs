//! Policy: what decides whether a release may climb. It comes from the file alone (DESIGN §8), and its digest stands in every
//! journal entry.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use schleuse_model::{Digest, EnvironmentName, Exit, Explain, Timestamp};
use serde::Serialize;

/// What decides who was first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum CommitMode {
    /// The first of the two that is proven to work.
    #[default]
    Auto,
    /// A tag that the registry creates only once.
    Registry,
    /// A ref that the git server creates only once.
    Git,
}

/// What a check runs against.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Against {
    /// The new release beside the one that runs, before the promotion.
    #[default]
    Candidate,
    /// What runs in the environment, after the rollout and before it counts as healthy.
    Environment,
}

/// A check's name: 1 to 32 characters of `a-z`, `0-9` and `-`, starting with a letter.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(transparent)]
pub struct CheckName(Box<str>);

impl CheckName {
    /// The check that is always there and that no file can name.
    pub const SIGNATURE: &'static str = "signature";

    /// The name, if `text` is one.
    pub(crate) fn new(text: &str) -> Option<Self> {
        // The same grammar as an environment's name: both end up in tags, paths and output.
        text.parse::<EnvironmentName>().ok().map(|name| Self(name.as_str().into()))
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for CheckName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for CheckName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A program that decides by its exit code.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Check {
    /// The program and its arguments; never empty, never a shell's line.
    pub run: Vec<String>,
    /// How long it may take.
    #[serde(serialize_with = "millis")]
    pub timeout: Duration,
    /// What it runs against.
    pub against: Against,
}

/// One rung: what stands at its entrance, and how long a release stays before it climbs on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Rung {
    /// The environment.
    pub name: EnvironmentName,
    /// Its checks, in the file's order, without the signature check that is always there.
    pub checks: Vec<CheckName>,
    /// The soak time; zero where the file has none.
    #[serde(serialize_with = "millis")]
    pub soak: Duration,
}

/// A key's file and whose key it is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct TrustedKey {
    /// The public key's file as the configuration names it, relative to the configuration file.
    pub file: String,
    /// Whose key it is; always there for `approve` and `quarantine`.
    pub person: Option<String>,
}

/// What a key is, or was, trusted for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum KeyRole {
    /// Releases, their evidence and the journal: the CI's key.
    #[default]
    Build,
    /// Approvals.
    Approve,
    /// Quarantine.
    Quarantine,
    /// Going back.
    BreakGlass,
}

impl KeyRole {
    /// The role's key in `[trust]`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Build => "build",
            Self::Approve => "approve",
            Self::Quarantine => "quarantine",
            Self::BreakGlass => "break-glass",
        }
    }
}

/// Why a key is not trusted any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(tag = "why", rename_all = "kebab-case")]
pub enum Revocation {
    /// Replaced by another key, in good order.
    Superseded {
        /// From when on: what the journal named before holds.
        since: Timestamp,
    },
    /// Somebody else may have it.
    Compromised,
}

/// A key that was trusted once.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct RevokedKey {
    /// The key.
    #[serde(flatten)]
    pub key: TrustedKey,
    /// What it was trusted for.
    pub role: KeyRole,
    /// What became of it.
    #[serde(flatten)]
    pub revocation: Revocation,
}

/// Keys by role.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Trust {
    /// The CI's keys.
    pub build: Vec<TrustedKey>,
    /// People who approve.
    pub approve: Vec<TrustedKey>,
    /// People who quarantine.
    pub quarantine: Vec<TrustedKey>,
    /// Offline keys for the way back.
    pub break_glass: Vec<TrustedKey>,
    /// Keys that were trusted once. A policy without any has the digest it had before there were such keys.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub revoked: Vec<RevokedKey>,
}

impl Trust {
    /// The roles, in a fixed order, each with the keys that hold it.
    pub fn roles(&self) -> [(KeyRole, &[TrustedKey]); 4] {
        [
            (KeyRole::Build, &self.build),
            (KeyRole::Approve, &self.approve),
            (KeyRole::Quarantine, &self.quarantine),
            (KeyRole::BreakGlass, &self.break_glass),
        ]
    }

    /// Every key that is named, also those that were revoked.
    pub fn keys(&self) -> impl Iterator<Item = &TrustedKey> {
        let held = self.roles().into_iter().flat_map(|(_, keys)| keys);
        held.chain(self.revoked.iter().map(|revoked| &revoked.key))
    }
}

/// Everything that decides.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Policy {
    /// The commit point.
    pub commit: CommitMode,
    /// The ladder, the lowest rung first.
    pub ladder: Vec<Rung>,
    /// The checks by name; each name that a rung uses is here.
    pub checks: BTreeMap<CheckName, Check>,
    /// Whose keys are believed.
    pub trust: Trust,
}

impl Policy {
    /// The rung of an environment.
    pub fn rung(&self, name: &EnvironmentName) -> Option<&Rung> {
        self.ladder.iter().find(|rung| rung.name == *name)
    }

    /// The rung before an environment: where its releases come from. `None` for the first.
    pub fn before(&self, name: &EnvironmentName) -> Option<&Rung> {
        let at = self.ladder.iter().position(|rung| rung.name == *name)?;
        self.ladder.get(at.checked_sub(1)?)
    }
}

/// The caller has no fingerprint for a key that the policy names.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("no fingerprint for the key file `{0}`")]
pub struct UnknownKeyFile(pub String);

impl Explain for UnknownKeyFile {
    fn exit(&self) -> Exit {
        Exit::Usage
    }

    fn hints(&self) -> Vec<String> {
        vec![format!("the file named in [trust] must exist and hold a public key: {}", self.0)]
    }
}

/// The digest of a policy: SHA-256 over its ordered JSON, with each key as the fingerprint in `fingerprints` (by file).
///
/// The key itself counts, not its file's name: a renamed file is the same policy, another key in the same file is not. The order
/// of the ladder and of a rung's checks counts; the order of keys in a role does not.
///
/// # Errors
/// [`UnknownKeyFile`] if `fingerprints` lacks a key: a digest over less than the whole policy is worse than none.
pub fn policy_digest(policy: &Policy, fingerprints: &BTreeMap<String, String>) -> Result<Digest, UnknownKeyFile> {
    let named = |key: &TrustedKey| -> Result<TrustedKey, UnknownKeyFile> {
        let file = fingerprints.get(&key.file).ok_or_else(|| UnknownKeyFile(key.file.clone()))?.clone();
        Ok(TrustedKey { file, person: key.person.clone() })
    };
    let keys = |keys: &[TrustedKey]| -> Result<Vec<TrustedKey>, UnknownKeyFile> {
        let mut keys = keys.iter().map(named).collect::<Result<Vec<_>, _>>()?;
        keys.sort();
        Ok(keys)
    };
    let revoked = policy.trust.revoked.iter().map(|one| Ok(RevokedKey { key: named(&one.key)?, ..one.clone() }));
    let mut revoked = revoked.collect::<Result<Vec<_>, UnknownKeyFile>>()?;
    revoked.sort();
    let trust = Trust {
        build: keys(&policy.trust.build)?,
        approve: keys(&policy.trust.approve)?,
        quarantine: keys(&policy.trust.quarantine)?,
        break_glass: keys(&policy.trust.break_glass)?,
        revoked,
    };
    Ok(Digest::sha256(&schleuse_model::json::to_bytes(&Policy { trust, ..policy.clone() })))
}

fn millis<S: serde::Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_u64(u64::try_from(duration.as_millis()).unwrap_or(u64::MAX))
}
