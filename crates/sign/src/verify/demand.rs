//! What a signature must have beside a good key, and how many there must be.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::num::NonZeroUsize;

use schleuse_model::PinnedRef;

use super::{Reason, VerifyError};
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

    /// How many signers that is, of those that `trust` holds for the role.
    ///
    /// # Errors
    /// There are none, or not so many.
    pub fn needed(&self, trust: &Trust, image: &PinnedRef) -> Result<usize, VerifyError> {
        // Who was superseded signs nothing new: nobody can be demanded to. What they signed before counts where one is enough.
        let (role, any) = (self.role, count(trust.holders(self.role)));
        let possible = count(trust.holders(self.role).filter(|key| key.revoked().is_none()));
        let needed = match self.quorum {
            Quorum::Any => 1,
            Quorum::All => possible.max(1),
            Quorum::AtLeast(count) => count.get(),
        };
        if any == 0 {
            return Err(VerifyError::NobodyTrusted { image: image.clone(), role });
        }
        if needed > possible.max(1) {
            return Err(VerifyError::TooFewTrusted { needed, possible, role });
        }
        Ok(needed)
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

/// How many different signers these keys are: people where they are named, else keys.
pub fn count<'k>(keys: impl Iterator<Item = &'k TrustedKey>) -> usize {
    let name = |key: &TrustedKey| match key.person() {
        Some(person) => format!("person {person}"),
        None => key.fingerprint().to_string(),
    };
    keys.map(name).collect::<BTreeSet<_>>().len()
}
