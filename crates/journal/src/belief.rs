//! Believing a newest entry: walks down from it as far as [`crate::authority`] demands.

use crate::authority::{Doubt, Standing, Walk};
use crate::chain::VerifiedEntry;
use crate::error::{Error, Fault};
use crate::journal::Journal;

/// How many entries are read to believe one at most: a journal of years. The key of today signing one entry makes it one.
const WALK_LIMIT: usize = 10_000;

impl Journal {
    /// Believes `newest`, or says why not.
    pub(crate) async fn believe(&self, newest: &VerifiedEntry) -> Result<(), Error> {
        match self.doubt(newest).await? {
            None => Ok(()),
            Some(fault) => Err(self.untrusted(newest.entry().sequence, fault)),
        }
    }

    /// What speaks against believing `newest` that adopting it would mend. Everything else is an error.
    pub(crate) async fn doubt(&self, newest: &VerifiedEntry) -> Result<Option<Fault>, Error> {
        let mut walk = Walk::default();
        let mut at = newest.clone();
        for _ in 0..WALK_LIMIT {
            match walk.enough(at.authority()) {
                Ok(true) => return Ok(None),
                Ok(false) => {}
                Err(doubt) => return Ok(Some(fault(doubt, newest, &at))),
            }
            match self.before(&at).await? {
                Some(before) => at = before,
                None => return Ok(None),
            }
        }
        Ok(Some(Fault::TooFarDown { limit: WALK_LIMIT }))
    }
}

impl Journal {
    /// Verifies links and states below `newest` down to an entry that suffices by itself, whoever signed what is between.
    pub(crate) async fn walk_down(&self, newest: &VerifiedEntry) -> Result<(), Error> {
        let mut at = newest.clone();
        for _ in 0..WALK_LIMIT {
            match self.before(&at).await? {
                Some(before) if before.authority().suffices() => return Ok(()),
                Some(before) => at = before,
                None => return Ok(()),
            }
        }
        Err(self.untrusted(newest.entry().sequence, Fault::TooFarDown { limit: WALK_LIMIT }))
    }
}

fn fault(doubt: Doubt, newest: &VerifiedEntry, at: &VerifiedEntry) -> Fault {
    match doubt {
        Doubt::Compromised => Fault::Compromised { key: at.signer().to_owned(), sequence: at.entry().sequence },
        Doubt::Late { since } => Fault::Superseded { key: at.signer().to_owned(), since },
        Doubt::Retired => Fault::Retired { key: newest.signer().to_owned() },
    }
}

/// Nobody writes with a key that was revoked, whatever the clock says.
pub(crate) fn writable(own: &VerifiedEntry) -> Result<(), Fault> {
    match own.authority().standing {
        Standing::Active => Ok(()),
        Standing::Superseded | Standing::Late { .. } | Standing::Compromised => {
            Err(Fault::Revoked { key: own.signer().to_owned() })
        }
    }
}
