//! From "signed by somebody we trust" to "this entry, in this place, in this journal".

use schleuse_model::{Digest, EnvironmentName};
use schleuse_oci::Manifest;
use schleuse_sign::{Role, Trust};

use crate::authority::{Authority, is_of_a_way_back};
use crate::codec::{self, Opened};
use crate::entry::Entry;
use crate::error::Fault;
use crate::journal::Names;
use crate::state::{State, Step};

/// An entry whose signature and names were checked. Built only here; private fields.
///
/// That it follows from the entry before it is checked by [`VerifiedEntry::follows`], on each step of a walk. Whether it can be
/// believed as the newest one is more than that where its key was revoked, or may only go back: [`crate::journal::Journal::head`]
/// sees to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifiedEntry {
    entry: Entry,
    digest: Digest,
    signer: String,
    authority: Authority,
}

impl VerifiedEntry {
    /// Checks signature, names and sequence.
    pub(crate) fn open(
        manifest: &Manifest,
        names: &Names,
        environment: &EnvironmentName,
        sequence: u64,
        trust: &Trust,
    ) -> Result<Self, Fault> {
        let Opened { entry, signer, role } = codec::open(manifest, trust)?;
        let expect = [
            ("image", entry.image.to_string(), names.image.to_string()),
            ("journal", entry.journal.to_string(), names.journal.to_string()),
            ("environment", entry.environment.to_string(), environment.to_string()),
            ("sequence", entry.sequence.to_string(), sequence.to_string()),
        ];
        for (field, found, expected) in expect {
            if found != expected {
                return Err(codec::name(field, &found, &expected));
            }
        }
        let authority = Authority::of(&signer, role, &entry.event)?;
        let verified = Self { entry, digest: manifest.digest().clone(), signer: signer.short(), authority };
        if sequence == 1 {
            verified.begins()?;
        } else if verified.entry.previous.is_none() {
            // Without a link a walk would end here and call the rest of the journal whole.
            return Err(Fault::Malformed("it names no entry before it, and is not the first".to_owned()));
        }
        Ok(verified)
    }

    /// The entry.
    pub const fn entry(&self) -> &Entry {
        &self.entry
    }

    /// The digest of the entry's manifest: what the next entry links to.
    pub const fn digest(&self) -> &Digest {
        &self.digest
    }

    /// The key that signed it, short.
    pub fn signer(&self) -> &str {
        &self.signer
    }

    /// In which role it was signed, and how the key stands.
    pub(crate) const fn authority(&self) -> Authority {
        self.authority
    }

    /// Checks that this entry follows `before`: link, sequence, time, and that its state is what `before`'s state and its event
    /// give.
    pub(crate) fn follows(&self, before: &Self) -> Result<(), Fault> {
        if self.entry.previous.as_ref() != Some(&before.digest) || self.entry.sequence != before.entry.sequence + 1 {
            let found = self.entry.previous.as_ref().map_or_else(|| "nothing".to_owned(), ToString::to_string);
            return Err(Fault::Link { found, expected: before.digest.clone() });
        }
        if self.entry.at < before.entry.at {
            return Err(Fault::Time);
        }
        self.state_follows(&before.entry.state)
    }

    fn begins(&self) -> Result<(), Fault> {
        match &self.entry.previous {
            None => self.state_follows(&State::default()),
            Some(previous) => Err(Fault::Malformed(format!("it is the first, and names {previous} as the one before"))),
        }
    }

    fn state_follows(&self, before: &State) -> Result<(), Fault> {
        if self.authority.role == Role::BreakGlass && !is_of_a_way_back(&self.entry.event, before) {
            return Err(Fault::BreakGlass { key: self.signer.clone(), event: self.entry.event.name() });
        }
        if before.after(step(&self.entry))? == self.entry.state { Ok(()) } else { Err(Fault::State) }
    }
}

/// The step an entry takes.
pub(crate) const fn step(entry: &Entry) -> Step<'_> {
    Step { event: &entry.event, release: &entry.release, run: &entry.run, sequence: entry.sequence, at: entry.at }
}
