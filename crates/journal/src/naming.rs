//! Whether a journal has named a release before a time: what a superseded key's signature of it rests on (DESIGN §6).

use std::collections::BTreeSet;

use schleuse_model::{Digest, EnvironmentName, Repository, Timestamp};
use schleuse_oci::Pull;

use crate::commit::registry::{ENTRY_PREFIX, entry_tag_environment};
use crate::error::Error;
use crate::journal::Journal;
use crate::state::State;

/// How many entries are read at most. A release that is promoted is at the end of a journal, not years back.
const LOOK_BACK: usize = 512;

/// The most tags of a journal's repository that are listed.
const TAGS: usize = 1_000_000;

/// The environments that have a journal in `repository`, also those that nobody has configured any more.
///
/// # Errors
/// No answer.
pub async fn environments(
    pull: &dyn Pull,
    repository: &Repository,
) -> Result<BTreeSet<EnvironmentName>, schleuse_oci::Error> {
    let tags = pull.tags(repository, ENTRY_PREFIX, TAGS).await?;
    Ok(tags.iter().filter_map(|tag| entry_tag_environment(tag.as_str())).collect())
}

/// When the journal named `digest`, if it did before `since`: the first such time that is found from the newest entry back. Reads
/// no more than that takes; `None` after the journal's first entry, or after 512.
///
/// # Errors
/// Untrusted, truncated, or no answer.
pub async fn named(journal: &Journal, digest: &Digest, since: Timestamp) -> Result<Option<Timestamp>, Error> {
    let mut at = journal.head().await?;
    for _ in 0..LOOK_BACK {
        let Some(entry) = at else { return Ok(None) };
        let written = entry.entry();
        let here = (written.release.digest == *digest).then_some(written.at);
        if let Some(time) = here.into_iter().chain(remembered(&written.state, digest)).find(|time| *time < since) {
            return Ok(Some(time));
        }
        at = journal.before(&entry).await?;
    }
    Ok(None)
}

/// When the release stood in the state, or failed: an entry of that time has named it.
fn remembered(state: &State, digest: &Digest) -> impl Iterator<Item = Timestamp> {
    let placed = state.current.iter().chain(&state.good);
    let placed = placed.filter(|placed| placed.release.digest == *digest).map(|placed| placed.since);
    let failed = state.failed.iter().filter(|mark| mark.release.digest == *digest).map(|mark| mark.at);
    placed.chain(failed)
}
