//! One trusted key: what for, whose, and whether it still is.

use std::collections::BTreeSet;
use std::fmt;

use schleuse_model::Timestamp;

use super::Role;
use crate::keys::{Fingerprint, PublicKey};

/// Who made a signature, as far as it can be proven.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Identity {
    /// Whoever holds this key. (A certificate's subject will be the other kind.)
    Key(Fingerprint),
}

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Key(fingerprint) => fingerprint.fmt(f),
        }
    }
}

/// Why a key is not trusted any more, and what that does to what it signed (DESIGN §6).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Revocation {
    /// Replaced by another key, in good order. Its signatures hold for what the journal named before `since`, and for nothing else.
    Superseded {
        /// From when on.
        since: Timestamp,
    },
    /// Somebody else may have it. Its signatures hold for nothing, whenever they claim to have been made: whoever has the key
    /// writes the dates.
    Compromised,
}

/// A key, what it is trusted for, and whose it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrustedKey {
    pub(super) key: PublicKey,
    pub(super) roles: BTreeSet<Role>,
    pub(super) person: Option<String>,
    revoked: Option<Revocation>,
}

impl TrustedKey {
    /// `key`, trusted for `roles`, of nobody in particular.
    pub fn new(key: PublicKey, roles: impl IntoIterator<Item = Role>) -> Self {
        Self { key, roles: roles.into_iter().collect(), person: None, revoked: None }
    }

    /// The same as the key of `person`.
    #[must_use]
    pub fn of(mut self, person: impl Into<String>) -> Self {
        self.person = Some(person.into());
        self
    }

    /// The same, revoked: its roles are those it had.
    #[must_use]
    pub const fn revoked_as(mut self, revocation: Revocation) -> Self {
        self.revoked = Some(revocation);
        self
    }

    /// The key.
    pub const fn key(&self) -> &PublicKey {
        &self.key
    }

    /// Who whoever signs with it is.
    pub fn identity(&self) -> Identity {
        Identity::Key(self.fingerprint())
    }

    /// Whose it is, where the configuration says it. A quorum counts these, not keys.
    pub fn person(&self) -> Option<&str> {
        self.person.as_deref()
    }

    /// What it is trusted for; of a revoked key, what it was trusted for.
    pub const fn roles(&self) -> &BTreeSet<Role> {
        &self.roles
    }

    /// Whether and how it was revoked.
    pub const fn revoked(&self) -> Option<Revocation> {
        self.revoked
    }

    /// Its fingerprint.
    pub fn fingerprint(&self) -> Fingerprint {
        self.key.fingerprint()
    }

    /// Its fingerprint, short, for people.
    pub fn short(&self) -> String {
        self.key.fingerprint().short()
    }

    /// Whether it is, or was, trusted for `role`.
    pub fn holds(&self, role: Role) -> bool {
        self.roles.contains(&role)
    }
}
