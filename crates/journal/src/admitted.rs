//! The proof that a deploy target demands.

use schleuse_model::{EnvironmentName, PinnedRef, Release};

use crate::chain::VerifiedEntry;

/// This release may run in this environment: a verified journal entry says so. Only this crate can make one; a signature alone
/// deploys nothing (DESIGN, law 3).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Admitted {
    environment: EnvironmentName,
    image: PinnedRef,
    release: Release,
    sequence: u64,
    rollback: bool,
}

impl Admitted {
    /// From the newest entry of an environment whose rollout is unfinished. `None`: nothing is to be rolled out.
    pub fn by(head: &VerifiedEntry) -> Option<Self> {
        let entry = head.entry();
        let current = entry.state.current.as_ref()?;
        let rollout = entry.state.rollout.as_ref()?;
        Some(Self {
            rollback: rollout.rollback,
            environment: entry.environment.clone(),
            image: entry.image.pin(current.release.digest.clone()),
            release: current.release.clone(),
            sequence: entry.sequence,
        })
    }

    /// The environment.
    pub const fn environment(&self) -> &EnvironmentName {
        &self.environment
    }

    /// The image.
    pub const fn image(&self) -> &PinnedRef {
        &self.image
    }

    /// The release.
    pub const fn release(&self) -> &Release {
        &self.release
    }

    /// The entry's sequence: a target refuses a lower one than it has seen (fencing).
    pub const fn sequence(&self) -> u64 {
        self.sequence
    }

    /// Whether its rollout is a way back: what it leaves was left on purpose, and is none to return to.
    pub const fn is_rollback(&self) -> bool {
        self.rollback
    }
}
