//! Everything that journals name: what no cleanup of ours may remove.

use std::collections::{BTreeMap, BTreeSet};

use schleuse_journal::{Event, Journal, VerifiedEntry};
use schleuse_model::Digest;

use crate::error::Error;

/// What journals name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Named {
    /// Releases, each with the environments that name it, in the journals' order.
    pub releases: BTreeMap<Digest, Vec<String>>,
    /// Evidence that entries rely on.
    pub evidence: BTreeSet<Digest>,
}

/// Reads and verifies every entry of every one of `journals`.
///
/// # Errors
/// A journal gives no answer or is not trusted: then nobody knows what it names.
pub async fn named(journals: &[Journal]) -> Result<Named, Error> {
    let mut named = Named::default();
    for journal in journals {
        let environment = journal.environment().to_string();
        for entry in journal.verify_all().await? {
            named.add(&environment, &entry);
        }
    }
    Ok(named)
}

impl Named {
    pub(super) fn add(&mut self, environment: &str, entry: &VerifiedEntry) {
        let written = entry.entry();
        let state = &written.state;
        let rollout = state.rollout.iter().flat_map(|rollout| rollout.before.iter().chain(&rollout.displaced));
        let placed = state.current.iter().chain(&state.good).chain(rollout).map(|placed| &placed.release);
        let failed = state.failed.iter().map(|mark| &mark.release);
        for release in std::iter::once(&written.release).chain(placed).chain(failed) {
            self.release(environment, &release.digest);
        }
        if let Event::Rekeyed { without, .. } = &written.event {
            without.iter().for_each(|digest| self.release(environment, digest));
        }
        self.evidence.extend(written.evidence.iter().cloned());
    }

    fn release(&mut self, environment: &str, digest: &Digest) {
        let places = self.releases.entry(digest.clone()).or_default();
        if !places.iter().any(|place| place == environment) {
            places.push(environment.to_owned());
        }
    }
}
