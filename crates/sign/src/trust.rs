//! Whom we believe, and for what (DESIGN §6, "Trust is by role").

mod key;

use std::collections::BTreeMap;
use std::fmt;

use schleuse_model::{Digest, Exit, Explain, Timestamp};

pub use key::{Identity, Revocation, TrustedKey};

use crate::keys::{Fingerprint, PublicKey};

/// What a key is trusted for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// Releases, their evidence, and the journal: the CI's key.
    Build,
    /// Approvals: a person's key.
    Approve,
    /// Quarantine marks: a person's key.
    Quarantine,
    /// Going back when the CI's key is out of reach: an offline key.
    BreakGlass,
}

impl Role {
    /// Every role.
    pub const ALL: [Self; 4] = [Self::Build, Self::Approve, Self::Quarantine, Self::BreakGlass];

    /// The name, as in the configuration.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Build => "build",
            Self::Approve => "approve",
            Self::Quarantine => "quarantine",
            Self::BreakGlass => "break-glass",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The most keys that are trusted at once: what bounds the work of one signature check.
pub const KEYS_LIMIT: usize = 64;

/// The trusted keys. The default trusts nobody.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Trust {
    keys: Vec<TrustedKey>,
    /// When the journal first named a release, as far as somebody has looked it up.
    named: BTreeMap<Digest, Timestamp>,
}

/// A set of keys that contradicts itself or the rules of the roles.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TrustError {
    /// CI's key would approve its own work.
    #[error("the key {key} is listed for `build` and for `{other}`: the CI's key must not hold a person's role")]
    BuildHolds {
        /// The key.
        key: Fingerprint,
        /// The other role.
        other: Role,
    },
    /// A role that belongs to people, and nobody named.
    #[error("the key {key} is listed for `{role}` without a person")]
    Nobody {
        /// The key.
        key: Fingerprint,
        /// The role.
        role: Role,
    },
    /// One key, two people.
    #[error("the key {key} is listed as {first}'s and as {second}'s")]
    TwoPeople {
        /// The key.
        key: Fingerprint,
        /// One.
        first: String,
        /// The other.
        second: String,
    },
    /// A name that cannot be shown.
    #[error("the person of the key {key} must have a name of 1 to 64 characters without control characters")]
    Name {
        /// The key.
        key: Fingerprint,
    },
    /// Trusted here, revoked there; or revoked in two ways.
    #[error("the key {key} is listed as revoked, and as trusted or as revoked in another way")]
    TwoStandings {
        /// The key.
        key: Fingerprint,
    },
    /// More than [`KEYS_LIMIT`] keys.
    #[error("{found} keys are trusted; at most {KEYS_LIMIT} can be")]
    TooMany {
        /// How many.
        found: usize,
    },
}

impl Explain for TrustError {
    fn exit(&self) -> Exit {
        Exit::Usage
    }

    fn hints(&self) -> Vec<String> {
        match self {
            Self::BuildHolds { other, .. } => vec![format!("give `{other}` a key of its own: `schleuse key generate`")],
            Self::Nobody { role, .. } => {
                vec![format!("write `{role} = [{{ key = \"…\", person = \"…\" }}]` under [trust]")]
            }
            Self::TwoStandings { .. } => {
                vec!["take it out of its role: a revoked key is listed under `revoked` alone".to_owned()]
            }
            _ => Vec::new(),
        }
    }
}

impl Trust {
    /// Trusts `keys`. A key listed several times holds all the roles it is listed with.
    ///
    /// # Errors
    /// If the rules of DESIGN §6 do not hold: the build key holds no other role; `approve` and `quarantine` belong to a named
    /// person; one key is one person's, and trusted or revoked, not both.
    pub fn new(keys: impl IntoIterator<Item = TrustedKey>) -> Result<Self, TrustError> {
        let mut merged: BTreeMap<Fingerprint, TrustedKey> = BTreeMap::new();
        for one in keys {
            let key = one.fingerprint();
            match merged.get_mut(&key) {
                None => {
                    merged.insert(key, one);
                }
                Some(known) => merge(known, one)?,
            }
        }
        if merged.len() > KEYS_LIMIT {
            return Err(TrustError::TooMany { found: merged.len() });
        }
        merged.values().try_for_each(lawful)?;
        Ok(Self { keys: merged.into_values().collect(), named: BTreeMap::new() })
    }

    /// Every key, in the order of their fingerprints.
    pub fn keys(&self) -> impl Iterator<Item = &TrustedKey> {
        self.keys.iter()
    }

    /// The keys whose signatures can count for `role`: also superseded ones, for what they signed before.
    pub fn holders(&self, role: Role) -> impl Iterator<Item = &TrustedKey> {
        self.keys.iter().filter(move |key| key.holds(role) && key.revoked() != Some(Revocation::Compromised))
    }

    /// Whether a key was superseded: then what the journal has named counts, see [`Trust::naming`].
    pub fn has_superseded(&self) -> bool {
        self.keys.iter().any(|key| matches!(key.revoked(), Some(Revocation::Superseded { .. })))
    }

    /// The same trust, knowing that a verified journal entry has named `digest` at `at`. A superseded key's signatures hold for
    /// what was named before it was superseded; without this, for nothing.
    #[must_use]
    pub fn naming(mut self, digest: Digest, at: Timestamp) -> Self {
        let known = self.named.entry(digest).or_insert(at);
        *known = at.min(*known);
        self
    }

    /// When the journal is known to have named `digest` first.
    pub fn named_at(&self, digest: &Digest) -> Option<Timestamp> {
        self.named.get(digest).copied()
    }

    /// Whether the journal is known to have named `digest` before `since`.
    pub(crate) fn named_before(&self, digest: &Digest, since: Timestamp) -> bool {
        self.named.get(digest).is_some_and(|at| *at < since)
    }

    /// One key alone, for `role`: what a signer looks for when it asks whether it has signed already.
    pub(crate) fn only(key: &PublicKey, role: Role) -> Self {
        Self { keys: vec![TrustedKey::new(key.clone(), [role])], named: BTreeMap::new() }
    }
}

fn merge(known: &mut TrustedKey, other: TrustedKey) -> Result<(), TrustError> {
    if let (Some(first), Some(second)) = (&known.person, &other.person)
        && first != second
    {
        return Err(TrustError::TwoPeople { key: known.fingerprint(), first: first.clone(), second: second.clone() });
    }
    if known.revoked() != other.revoked() {
        return Err(TrustError::TwoStandings { key: known.fingerprint() });
    }
    known.roles.extend(other.roles);
    known.person = known.person.take().or(other.person);
    Ok(())
}

fn lawful(one: &TrustedKey) -> Result<(), TrustError> {
    let key = one.fingerprint();
    if one.holds(Role::Build)
        && let Some(other) = one.roles.iter().find(|role| **role != Role::Build)
    {
        return Err(TrustError::BuildHolds { key, other: *other });
    }
    match &one.person {
        Some(name) if name.is_empty() || name.chars().count() > 64 || name.chars().any(char::is_control) => {
            Err(TrustError::Name { key })
        }
        None => match one.roles.iter().find(|role| matches!(role, Role::Approve | Role::Quarantine)) {
            Some(role) => Err(TrustError::Nobody { key, role: *role }),
            None => Ok(()),
        },
        Some(_) => Ok(()),
    }
}

#[cfg(test)]
mod tests;
