//! What a signature must have beside a good key, and how many there must be.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::num::NonZeroUsize;

use super::{Reason, Verified};
use crate::trust::{Role, Trust, TrustedKey};

/// How many of the trusted keys must have signed. A quorum counts people, not keys: two keys of one person are one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Quorum {
    /// One of them.
    #[default]
    Any,
    /// Every one of them.
    All,
    /// At least so many.
    AtLeast(NonZeroUsize),
}

impl Quorum {
    /// How many signers that is, of those that `trust` holds for `role`.
    pub fn needed(self, trust: &Trust, role: Role) -> usize {
        match self {
            Self::Any => 1,
            Self::All => signers(trust.holders(role)).len(),
            Self::AtLeast(count) => count.get(),
        }
    }
}

impl fmt::Display for Quorum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Any => f.write_str("any"),
            Self::All => f.write_str("all"),
            Self::AtLeast(count) => count.fmt(f),
        }
    }
}

/// What is demanded of the signatures of an image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Demand {
    /// The role.
    pub role: Role,
    /// How many signers.
    pub quorum: Quorum,
    /// What each signature must carry, signed, to count: name and value.
    pub annotations: BTreeMap<String, String>,
}

impl Demand {
    /// One signature by a key of this role.
    pub const fn one(role: Role) -> Self {
        Self { role, quorum: Quorum::Any, annotations: BTreeMap::new() }
    }

    /// Whether a signature that carries `found` counts.
    pub(super) fn annotated(&self, found: &BTreeMap<String, String>) -> Result<(), Reason> {
        for (name, wanted) in &self.annotations {
            if found.get(name) != Some(wanted) {
                return Err(Reason::Annotation { name: name.clone(), wanted: wanted.clone() });
            }
        }
        Ok(())
    }
}

/// Whom these keys are: the person where one is named, else the key.
fn signers<'k>(keys: impl Iterator<Item = &'k TrustedKey>) -> BTreeSet<String> {
    keys.map(|key| key.person().map_or_else(|| key.fingerprint().to_string(), |person| format!("person {person}")))
        .collect()
}

/// How many different signers these are.
pub(super) fn count(verified: &[Verified]) -> usize {
    signers(verified.iter().map(Verified::signer)).len()
}
