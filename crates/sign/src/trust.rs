//! Whom we believe, and for what (DESIGN §6, "Trust is by role").

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use schleuse_model::{Exit, Explain};

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

/// A key, what it is trusted for, and whose it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrustedKey {
    key: PublicKey,
    roles: BTreeSet<Role>,
    person: Option<String>,
}

impl TrustedKey {
    /// `key`, trusted for `roles`, of nobody in particular.
    pub fn new(key: PublicKey, roles: impl IntoIterator<Item = Role>) -> Self {
        Self { key, roles: roles.into_iter().collect(), person: None }
    }

    /// The same as the key of `person`.
    #[must_use]
    pub fn of(mut self, person: impl Into<String>) -> Self {
        self.person = Some(person.into());
        self
    }

    /// The key.
    pub const fn key(&self) -> &PublicKey {
        &self.key
    }

    /// Whose it is, where the configuration says it. A quorum counts these, not keys.
    pub fn person(&self) -> Option<&str> {
        self.person.as_deref()
    }

    /// What it is trusted for.
    pub const fn roles(&self) -> &BTreeSet<Role> {
        &self.roles
    }

    /// Its fingerprint.
    pub fn fingerprint(&self) -> Fingerprint {
        self.key.fingerprint()
    }

    /// Its fingerprint, short, for people.
    pub fn short(&self) -> String {
        self.key.fingerprint().short()
    }

    /// Whether it is trusted for `role`.
    pub fn holds(&self, role: Role) -> bool {
        self.roles.contains(&role)
    }
}

/// The most keys that are trusted at once: what bounds the work of one signature check.
pub const KEYS_LIMIT: usize = 64;

/// The trusted keys. The default trusts nobody.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Trust {
    keys: Vec<TrustedKey>,
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
            _ => Vec::new(),
        }
    }
}

impl Trust {
    /// Trusts `keys`. A key listed several times holds all the roles it is listed with.
    ///
    /// # Errors
    /// If the rules of DESIGN §6 do not hold: the build key holds no other role; `approve` and `quarantine` belong to a named
    /// person; one key is one person's.
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
        Ok(Self { keys: merged.into_values().collect() })
    }

    /// Every key, in the order of their fingerprints.
    pub fn keys(&self) -> impl Iterator<Item = &TrustedKey> {
        self.keys.iter()
    }

    /// The keys trusted for `role`.
    pub fn holders(&self, role: Role) -> impl Iterator<Item = &TrustedKey> {
        self.keys.iter().filter(move |key| key.holds(role))
    }

    /// One key alone, for `role`: what a signer looks for when it asks whether it has signed already.
    pub(crate) fn only(key: &PublicKey, role: Role) -> Self {
        Self { keys: vec![TrustedKey::new(key.clone(), [role])] }
    }
}

fn merge(known: &mut TrustedKey, other: TrustedKey) -> Result<(), TrustError> {
    if let (Some(first), Some(second)) = (&known.person, &other.person)
        && first != second
    {
        return Err(TrustError::TwoPeople { key: known.fingerprint(), first: first.clone(), second: second.clone() });
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
mod tests {
    use super::*;
    use crate::keys::{KeyPair, Signer as _};

    fn key() -> PublicKey {
        KeyPair::generate(&mut rand_core::OsRng).unwrap().public_key().clone()
    }

    #[test]
    fn one_key_listed_twice_holds_both_roles() {
        let key = key();
        let listed =
            [TrustedKey::new(key.clone(), [Role::Approve]).of("ada"), TrustedKey::new(key.clone(), [Role::Quarantine])];
        let trust = Trust::new(listed).unwrap();
        let one = trust.keys().next().unwrap();
        assert!(one.holds(Role::Approve) && one.holds(Role::Quarantine) && !one.holds(Role::Build));
        assert_eq!((trust.keys().count(), one.person()), (1, Some("ada")));
    }

    #[test]
    fn the_rules_of_the_roles() {
        let (a, fingerprint) = {
            let key = key();
            (key.clone(), key.fingerprint())
        };
        let both = Trust::new([TrustedKey::new(a.clone(), [Role::Build, Role::Approve]).of("ada")]);
        assert_eq!(both, Err(TrustError::BuildHolds { key: fingerprint, other: Role::Approve }));
        let split = [TrustedKey::new(a.clone(), [Role::Build]), TrustedKey::new(a.clone(), [Role::BreakGlass])];
        assert_eq!(Trust::new(split), Err(TrustError::BuildHolds { key: fingerprint, other: Role::BreakGlass }));
        let nobody = Trust::new([TrustedKey::new(a.clone(), [Role::Approve])]);
        assert_eq!(nobody, Err(TrustError::Nobody { key: fingerprint, role: Role::Approve }));
        let two = [
            TrustedKey::new(a.clone(), [Role::Approve]).of("ada"),
            TrustedKey::new(a.clone(), [Role::Approve]).of("bo"),
        ];
        assert!(matches!(Trust::new(two), Err(TrustError::TwoPeople { .. })));
        let name = Trust::new([TrustedKey::new(a, [Role::Approve]).of("a\u{1b}[2J")]);
        assert_eq!(name, Err(TrustError::Name { key: fingerprint }));
        let many = Trust::new((0..=KEYS_LIMIT).map(|_| TrustedKey::new(key(), [Role::Build])));
        assert_eq!(many, Err(TrustError::TooMany { found: 65 }));
    }
}
