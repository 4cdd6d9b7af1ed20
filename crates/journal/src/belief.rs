//! Believing a newest entry: walks down from it as far as [`crate::authority`] demands.

use crate::authority::{Doubt, Standing};
use crate::chain::VerifiedEntry;
use crate::error::{Error, Fault};
use crate::journal::Journal;

/// How many entries are read to believe one at most: ways back by a break-glass key, one upon the other.
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
        let mut at = newest.clone();
        for _ in 0..WALK_LIMIT {
            match at.authority().enough() {
                Ok(true) => return Ok(None),
                Ok(false) => {}
                Err(doubt) => return Ok(Some(fault(doubt, &at))),
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
    /// Verifies links and states below `newest` down to an entry that suffices by itself, whoever signed what is between. Answers what
    /// nothing but a word would speak for, newest first.
    pub(crate) async fn walk_down(&self, newest: &VerifiedEntry) -> Result<Vec<VerifiedEntry>, Error> {
        let mut tail = vec![newest.clone()];
        while let Some(at) = tail.last()
            && tail.len() < WALK_LIMIT
        {
            match self.before(at).await? {
                Some(before) if !before.authority().suffices() => tail.push(before),
                _ => return Ok(tail),
            }
        }
        Err(self.untrusted(newest.entry().sequence, Fault::TooFarDown { limit: WALK_LIMIT }))
    }
}

fn fault(doubt: Doubt, at: &VerifiedEntry) -> Fault {
    let (key, sequence) = (at.signer().to_owned(), at.entry().sequence);
    match doubt {
        Doubt::Compromised => Fault::Compromised { key, sequence },
        Doubt::Superseded => Fault::Superseded { key, sequence },
    }
}

/// Nobody writes with a key that was revoked, whatever the clock says.
pub(crate) fn writable(own: &VerifiedEntry) -> Result<(), Fault> {
    match own.authority().standing {
        Standing::Active => Ok(()),
        Standing::Superseded | Standing::Compromised => Err(Fault::Revoked { key: own.signer().to_owned() }),
    }
}
