//! The registry's tag as commit point.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use schleuse_model::{EnvironmentName, ReferenceError, Repository, TagRef};
use schleuse_oci::{Created, Descriptor, ImageManifest, Manifest, Pull, Push, media_type};

use super::{CommitKind, CommitPoint, Committed};
use crate::error::Error;

/// Where entry `sequence` of `environment` lies.
///
/// # Errors
/// Never for a valid environment: at most 45 characters.
pub fn entry_tag(journal: &Repository, environment: &EnvironmentName, sequence: u64) -> Result<TagRef, ReferenceError> {
    Ok(journal.tag(format!("{}{sequence:010}", entry_tag_prefix(environment)).parse()?))
}

/// What the tags of `environment`'s entries start with.
pub fn entry_tag_prefix(environment: &EnvironmentName) -> String {
    format!("{ENTRY_PREFIX}{environment}-")
}

/// What the tags of all entries start with.
pub(crate) const ENTRY_PREFIX: &str = "j-";

/// Whose entry a tag is, if it is one: `j-<environment>-<ten digits>`.
pub(crate) fn entry_tag_environment(tag: &str) -> Option<EnvironmentName> {
    let (environment, sequence) = tag.strip_prefix(ENTRY_PREFIX)?.rsplit_once('-')?;
    let is_sequence = sequence.len() == 10 && sequence.bytes().all(|b| b.is_ascii_digit());
    is_sequence.then(|| environment.parse().ok()).flatten()
}

/// Create-once by `If-None-Match: *` or by immutable tags.
#[derive(Clone, Debug)]
pub struct RegistryTag {
    pull: Arc<dyn Pull>,
    push: Arc<dyn Push>,
    journal: Repository,
}

/// What the race showed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Proof {
    /// Of two different writers one was refused, and the tag is the other's.
    Honoured,
    /// Both were told that they had created it.
    Ignored,
}

impl RegistryTag {
    /// A commit point that has to be proven before it is relied upon ([`RegistryTag::prove`]).
    pub fn new(pull: Arc<dyn Pull>, push: Arc<dyn Push>, journal: Repository) -> Self {
        Self { pull, push, journal }
    }

    /// Races two different writers for one tag and looks at who was told what, and at what is there afterwards. A registry
    /// that does not know the condition answers 201 to both (docker-registry 2.8 does).
    ///
    /// `nonce` makes the two writers' bytes new. The probe's tag is one per environment: it stays, on registries that cannot
    /// delete.
    ///
    /// The empty descriptor's content is in the journal's repository already.
    ///
    /// # Errors
    /// When the registry gives no clean answer: then nothing is proven.
    pub async fn prove(&self, environment: &EnvironmentName, nonce: &str) -> Result<Proof, Error> {
        let wrap = |source| Error::Registry { environment: environment.clone(), source };
        let tag = self.journal.tag(format!("p-{environment}").parse()?);
        let [left, right] = ["left", "right"].map(|side| probe(&format!("{nonce} {side}")));
        let (first, second) =
            futures_util::future::join(self.push.create_tag(&tag, &left), self.push.create_tag(&tag, &right)).await;
        let outcomes = [first.map_err(wrap)?, second.map_err(wrap)?];
        let there = self.pull.tagged(&tag).await.map_err(wrap)?;
        let there = there.as_ref().map(Manifest::digest);
        Ok(match outcomes {
            [Created::Won, Created::Exists] if there == Some(left.digest()) => Proof::Honoured,
            [Created::Exists, Created::Won] if there == Some(right.digest()) => Proof::Honoured,
            // An earlier proof left its tag, or an answer was lost and asked for again: a registry that ignores the condition
            // refuses nobody.
            [Created::Exists, Created::Exists] if there.is_some() => Proof::Honoured,
            _ => Proof::Ignored,
        })
    }
}

fn probe(text: &str) -> Manifest {
    let mut manifest = ImageManifest::new(Descriptor::empty(), vec![Descriptor::empty()]);
    manifest.artifact_type = Some(media_type::JOURNAL_ENTRY.to_owned());
    manifest.annotations = BTreeMap::from([("dev.schleuse.journal.probe".to_owned(), text.to_owned())]);
    manifest.to_manifest()
}

#[async_trait]
impl CommitPoint for RegistryTag {
    fn kind(&self) -> CommitKind {
        CommitKind::Registry
    }

    async fn create_once(
        &self,
        environment: &EnvironmentName,
        sequence: u64,
        entry: &Manifest,
    ) -> Result<Committed, Error> {
        let wrap = |source| Error::Registry { environment: environment.clone(), source };
        let tag = entry_tag(&self.journal, environment, sequence)?;
        // Refused, or the answer was lost on the way: the tag itself says whose it is, ours perhaps.
        let unclear = match self.push.create_tag(&tag, entry).await {
            Ok(Created::Won) => return Ok(Committed::Won),
            Ok(Created::Exists) => None,
            Err(error) if error.is_transient() => Some(error),
            Err(error) => return Err(wrap(error)),
        };
        match (self.pull.resolve(&tag).await.map_err(wrap)?, unclear) {
            (Some(there), _) if there.digest() == entry.digest() => Ok(Committed::Won),
            (Some(_), _) => Ok(Committed::Lost),
            (None, Some(error)) => Err(wrap(error)),
            (None, None) => {
                Err(wrap(schleuse_oci::Error::Missing { what: format!("{tag}, which the registry calls taken") }))
            }
        }
    }
}
