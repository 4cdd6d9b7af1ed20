//! Adopting a journal with another key: what `schleuse key rotate` does.
//!
//! The newest entry may be signed with a key that is not believed any more. Somebody has to look at it, say that it is right, and
//! sign that: an entry `rekeyed` by the key of today. What is read here is for that and for nothing else: it is no
//! [`VerifiedEntry`], so it admits nothing.

use schleuse_model::{Actor, Digest, Timestamp};
use schleuse_sign::Signer;

use crate::chain::VerifiedEntry;
use crate::entry::{Draft, Entry, Event, RunId};
use crate::error::{Error, Fault};
use crate::journal::{Appended, Journal};

/// The newest entry of a journal, for a person to look at and adopt. Its signature is a known key's; whether that key may still
/// speak is what is to be decided.
#[derive(Debug)]
pub struct ToAdopt {
    newest: VerifiedEntry,
    doubt: Option<Fault>,
    tail: Vec<VerifiedEntry>,
}

impl ToAdopt {
    /// What it says.
    pub const fn entry(&self) -> &Entry {
        self.newest.entry()
    }

    /// The key that signed it, short.
    pub fn signer(&self) -> &str {
        self.newest.signer()
    }

    /// Why it is not believed as it is. `None`: it is.
    pub const fn doubt(&self) -> Option<&Fault> {
        self.doubt.as_ref()
    }

    /// Whether nothing but a person's word speaks for it: for [`ToAdopt::tail`].
    pub const fn needs_a_word(&self) -> bool {
        self.doubt.is_some()
    }

    /// The entries that nothing else speaks for, newest first; none if it is believed as it is.
    pub fn tail(&self) -> impl Iterator<Item = (&Entry, &str)> {
        self.tail.iter().map(|entry| (entry.entry(), entry.signer()))
    }
}

/// Who adopts, and why.
#[derive(Clone, Debug)]
pub struct Adoption {
    /// Which run writes.
    pub run: RunId,
    /// Who.
    pub actor: Actor,
    /// The digest of the policy in force.
    pub policy: Digest,
    /// Why.
    pub reason: Option<String>,
    /// Releases that are not vouched for: no ways back any more.
    pub without: Vec<Digest>,
}

impl Journal {
    /// The newest entry, to be looked at and adopted. Where it is not believed, links and states below it are verified down to what a
    /// build key of today has signed, or to the first entry: what is adopted must be a journal.
    ///
    /// # Errors
    /// Untrusted for a reason that nobody can adopt away, truncated, or no answer.
    pub async fn to_adopt(&self) -> Result<Option<ToAdopt>, Error> {
        let Some(newest) = self.end().await? else { return Ok(None) };
        let doubt = self.doubt(&newest).await?;
        let tail = if doubt.is_some() { self.walk_down(&newest).await? } else { Vec::new() };
        Ok(Some(ToAdopt { newest, doubt, tail }))
    }

    /// Appends the entry that adopts the journal up to `what`.
    ///
    /// # Errors
    /// A rollout is unfinished, the key would not be believed, or no answer.
    pub async fn adopt(
        &self,
        what: &ToAdopt,
        adoption: Adoption,
        signer: &dyn Signer,
        now: Timestamp,
    ) -> Result<Appended, Error> {
        let newest = what.entry();
        let current = newest.state.current.as_ref().map(|placed| &placed.release);
        let draft = Draft {
            event: Event::Rekeyed { reason: adoption.reason, without: adoption.without },
            release: current.unwrap_or(&newest.release).clone(),
            run: adoption.run,
            actor: adoption.actor,
            policy: adoption.policy,
            plan: None,
            evidence: Vec::new(),
            signature: None,
        };
        self.append(Some(&what.newest), draft, signer, now).await
    }
}
