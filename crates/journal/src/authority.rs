//! Which entries a key may sign, and how far an entry can be believed by itself. Pure.
//!
//! | signed with | as the newest entry | below a believed one |
//! |---|---|---|
//! | a build key | believed | believed |
//! | a superseded build key | dated before that, and nothing of a build key of today below it, down to the first entry | believed |
//! | a break-glass key | a way back, down to what a build key signed | a way back |
//! | a compromised key | never: it is adopted, or not believed | believed |
//!
//! What is below a believed entry is pinned by it: whoever signed that one had believed it, or has adopted it.
//!
//! The dates of a retired key are its holder's word. So what it signed is not believed on top of what a key of today has signed:
//! otherwise whoever still has it could append entries dated last year.

use schleuse_model::Timestamp;
use schleuse_sign::{Revocation, Role, TrustedKey};

use crate::entry::Event;
use crate::error::Fault;
use crate::state::State;

/// What the key that signed an entry may still say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    /// It is trusted.
    Active,
    /// It was replaced; the entry is dated before.
    Superseded,
    /// It was replaced; the entry is dated after.
    Late { since: Timestamp },
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
    /// Of an entry with this event, dated `at`, signed with `key` in `role`.
    pub(crate) fn of(key: &TrustedKey, role: Role, event: &Event, at: Timestamp) -> Result<Self, Fault> {
        if role == Role::BreakGlass && !may_go_back(event) {
            return Err(Fault::BreakGlass { key: key.short(), event: event.name() });
        }
        let standing = match key.revoked() {
            None => Standing::Active,
            Some(Revocation::Compromised) => Standing::Compromised,
            Some(Revocation::Superseded { since }) if at < since => Standing::Superseded,
            Some(Revocation::Superseded { since }) => Standing::Late { since },
        };
        Ok(Self { role, standing })
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
    /// A superseded key signed it, or what it rests on, and says so itself.
    Late { since: Timestamp },
    /// A superseded key signed it, on top of what a key of today has signed.
    Retired,
}

/// A walk down from the newest entry, as far as it takes to believe it.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Walk {
    retired: bool,
}

impl Walk {
    /// Looks at the next entry, newest first. `true`: the newest is believed, no further one needs to be read.
    pub(crate) fn enough(&mut self, of: Authority) -> Result<bool, Doubt> {
        match of.standing {
            Standing::Compromised => return Err(Doubt::Compromised),
            Standing::Late { since } => return Err(Doubt::Late { since }),
            Standing::Superseded => self.retired = true,
            Standing::Active => {}
        }
        match (of.suffices(), self.retired) {
            (true, true) => Err(Doubt::Retired),
            (enough, _) => Ok(enough),
        }
    }
}

#[cfg(test)]
mod tests;
