//! Everything that journals name: what no cleanup of ours may remove.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::{StreamExt as _, TryStreamExt as _};
use schleuse_journal::{Event, Journal, VerifiedEntry};
use schleuse_model::{Digest, Repository};
use schleuse_sign::fetch::Source;

use super::contents;
use crate::error::Error;

/// How many releases are looked into at once.
const AT_ONCE: usize = 4;

/// What journals name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Named {
    /// Releases, each with the environments that name it, in the journals' order.
    pub releases: BTreeMap<Digest, Vec<String>>,
    /// Evidence that entries rely on.
    pub evidence: BTreeSet<Digest>,
    /// What the releases consist of in the registry, each with its release: filled by [`Named::look_into`].
    pub parts: BTreeMap<Digest, Digest>,
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
    /// Finds out what each release consists of: a release that lost its tag is not seen among the images any more, and what its
    /// index lists may be listed by one that goes.
    ///
    /// # Errors
    /// No answer, or more than a release has.
    pub async fn look_into(&mut self, source: Source<'_>, repository: &Repository) -> Result<(), Error> {
        let releases: Vec<_> = self.releases.keys().map(|digest| repository.pin(digest.clone())).collect();
        let reads: Vec<_> = releases.iter().map(|release| contents(source, release)).collect();
        let read: Vec<_> = futures_util::stream::iter(reads).buffered(AT_ONCE).try_collect().await?;
        for (release, items) in releases.iter().zip(read) {
            for item in items.into_iter().filter(|item| item.digest != *release.digest()) {
                self.parts.entry(item.digest).or_insert_with(|| release.digest().clone());
            }
        }
        Ok(())
    }

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
