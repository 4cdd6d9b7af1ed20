//! Which entries a key may sign, and how far an entry can be believed by itself. Pure.
//!
//! | signed with | as the newest entry | below a believed one |
//! |---|---|---|
//! | a build key | believed | believed |
//! | a break-glass key | a way back, down to what a build key signed | a way back |
//! | a revoked key, superseded or compromised | never: it is adopted, or not believed | believed |
//!
//! What is below a believed entry is pinned by it: whoever signed that one had believed it, or has adopted it. Nothing else speaks for
//! what a revoked key signed: its dates are its holder's word. Whoever still has a retired key could append entries dated last year,
//! or begin a journal that is not there yet.

use schleuse_sign::{Revocation, Role, TrustedKey};

use crate::entry::Event;
use crate::error::Fault;
use crate::state::State;

/// What the key that signed an entry may still say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    /// It is trusted.
    Active,
    /// It was replaced.
    Superseded,
    /// Others may have it.
    Compromised,
}

/// In which role an entry was signed, and how that key stands today.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Authority {
    pub(crate) role: Role,
    pub(crate) standing: Standing,
}

impl Authority {
    /// Of an entry with this event, signed with `key` in `role`.
    pub(crate) fn of(key: &TrustedKey, role: Role, event: &Event) -> Result<Self, Fault> {
        if role == Role::BreakGlass && !may_go_back(event) {
            return Err(Fault::BreakGlass { key: key.short(), event: event.name() });
        }
        let standing = match key.revoked() {
            None => Standing::Active,
            Some(Revocation::Superseded { .. }) => Standing::Superseded,
            Some(Revocation::Compromised) => Standing::Compromised,
        };
        Ok(Self { role, standing })
    }

    /// Looks at an entry on the way down from the newest one. `true`: the newest is believed, nothing further needs to be read.
    pub(crate) const fn enough(self) -> Result<bool, Doubt> {
        match self.standing {
            Standing::Compromised => Err(Doubt::Compromised),
            Standing::Superseded => Err(Doubt::Superseded),
            Standing::Active => Ok(self.suffices()),
        }
    }

    /// Whether an entry needs nothing below it to be believed.
    pub(crate) const fn suffices(self) -> bool {
        matches!((self.role, self.standing), (Role::Build, Standing::Active))
    }
}

/// What a break-glass key may write at all.
const fn may_go_back(event: &Event) -> bool {
    match event {
        Event::Rollback { .. }
        | Event::RolloutStarted { .. }
        | Event::TakenOver { .. }
        | Event::Healthy { .. }
        | Event::Held { .. }
        | Event::RollbackFailed { .. }
        | Event::Aborted { .. } => true,
        // A rollback is never rolled back.
        Event::Promoted { .. } | Event::RolledBack { .. } | Event::Rekeyed { .. } => false,
    }
}

/// Whether an event is a way back, or a step of one that is under way in `before`: what a break-glass key may write.
pub(crate) fn is_of_a_way_back(event: &Event, before: &State) -> bool {
    let under_way = before.rollout.as_ref().is_some_and(|rollout| rollout.rollback);
    matches!(event, Event::Rollback { .. }) || (may_go_back(event) && under_way)
}

/// Why a newest entry is not believed, as a walk down from it finds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Doubt {
    /// A compromised key signed it, or what it rests on.
    Compromised,
    /// A superseded key signed it, or what it rests on, and no key of today has adopted it.
    Superseded,
}

#[cfg(test)]
mod tests;
