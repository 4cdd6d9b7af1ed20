//! What loses trust when a key is revoked.

use schleuse_journal::Journal;
use schleuse_model::{EnvironmentName, Exit, Release, Timestamp};
use schleuse_promote::find_signature_on_record;
use schleuse_sign::{Source, Trust};

use super::super::staying::{Staying, newest, staying};
use crate::failure::Failure;
use crate::ladder::Ladder;

/// What becomes of the releases that must stay, and of the journals. `why`: why it is not trusted any more.
#[derive(Debug, Default)]
pub(super) struct Consequences {
    pub(super) images: Vec<ImageAfter>,
    pub(super) journals: Vec<JournalAfter>,
}

#[derive(Debug)]
pub(super) struct ImageAfter {
    pub(super) release: Release,
    pub(super) places: Vec<String>,
    pub(super) why: Option<String>,
}

#[derive(Debug)]
pub(super) struct JournalAfter {
    pub(super) environment: EnvironmentName,
    pub(super) head: u64,
    pub(super) why: Option<String>,
}

impl Consequences {
    /// Whether anything that must stay would not be trusted any more.
    pub(super) fn cost_anything(&self) -> bool {
        let images = self.images.iter().any(|image| image.why.is_some());
        images || self.journals.iter().any(|journal| journal.why.is_some())
    }
}

/// Asks each journal, and the registry about each image, as who trusts `after` would.
pub(super) async fn of(ladder: &Ladder<'_>, after: &Trust, now: Timestamp) -> Result<Consequences, Failure> {
    let journals = newest(ladder).await?;
    let record = ladder.trusting(after.clone());
    let mut found = Consequences::default();
    for (one, journal) in journals.iter().zip(&record) {
        let Some(newest) = &one.found else { continue };
        let why = untrusted(journal.head().await)?;
        found.journals.push(JournalAfter { environment: one.environment.clone(), head: newest.entry().sequence, why });
    }
    // A journal that is not believed any more names nothing.
    let believed = |journal: &&Journal| {
        let after = found.journals.iter().find(|after| after.environment == *journal.environment());
        after.is_some_and(|after| after.why.is_none())
    };
    let naming: Vec<Journal> = record.iter().filter(believed).cloned().collect();
    for Staying { release, places } in staying(&journals) {
        let image = ladder.names.image.pin(release.digest.clone());
        let source = Source { pull: ladder.client.as_ref(), referrers: ladder.client.as_ref() };
        let why = untrusted(find_signature_on_record(source, &image, after, &naming, now).await)?;
        found.images.push(ImageAfter { release, places, why });
    }
    Ok(found)
}

/// Why it is not trusted; no answer is an error.
fn untrusted<T, E: schleuse_model::Explain>(found: Result<T, E>) -> Result<Option<String>, Failure> {
    match found {
        Ok(_) => Ok(None),
        // Nobody is left whose signature could count: a "no" all the same.
        Err(error) if matches!(error.exit(), Exit::Untrusted | Exit::Usage) => Ok(Some(error.to_string())),
        Err(error) => Err(error.into()),
    }
}
