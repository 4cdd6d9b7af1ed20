//! What the executors hold: capabilities and facts of one run, and the environments of the ladder.

use std::sync::Arc;

use schleuse_deploy::Target;
use schleuse_gate::Gate;
use schleuse_health::Settings;
use schleuse_journal::commit::registry::entry_tag;
use schleuse_journal::{Appended, Draft, Event, Journal, RunId, VerifiedEntry};
use schleuse_model::{Actor, Clock, Digest, EnvironmentName, Release};
use schleuse_oci::{Pull, Push, Referrers};
use schleuse_sign::{Role, Signer, Trust};

use crate::error::Error;
use crate::observer::{Note, Observer};
use crate::probe::{ProbeSpec, Prober};
use crate::promotion::at;

/// How often a tag is moved on because its entry was overtaken. Each time somebody else got on; the last of them is right.
const OVERTAKEN: u32 = 5;

/// One run's capabilities. A run that only reads has no signer.
#[derive(Clone, Debug)]
pub struct World {
    /// Reads the registry.
    pub pull: Arc<dyn Pull>,
    /// Writes to it.
    pub push: Arc<dyn Push>,
    /// Reads and writes evidence.
    pub referrers: Arc<dyn Referrers>,
    /// Who is trusted for what.
    pub trust: Arc<Trust>,
    /// The ladder's journals: asked for what superseded keys have signed, and only then.
    pub record: Vec<Journal>,
    /// Signs journal entries.
    pub signer: Arc<dyn Signer>,
    /// Wall time.
    pub clock: Arc<dyn Clock>,
    /// Probes instances.
    pub prober: Arc<dyn Prober>,
    /// Is told what happens, for people.
    pub observer: Arc<dyn Observer>,
    /// Who runs this.
    pub actor: Actor,
    /// Which run this is.
    pub run: RunId,
    /// The digest of the policy in force.
    pub policy: Digest,
}

/// One rung, as the executors see it.
#[derive(Clone, Debug)]
pub struct Environment {
    /// Its journal.
    pub journal: Journal,
    /// Where releases run; none: promotion only moves the tag.
    pub target: Option<Arc<dyn Target>>,
    /// How a rollout is judged.
    pub health: Settings,
    /// How an instance is probed.
    pub probe: ProbeSpec,
    /// The checks at its entrance.
    pub gate: Gate,
}

impl Environment {
    /// Its name.
    pub const fn name(&self) -> &EnvironmentName {
        self.journal.environment()
    }

    /// The journal's newest entry. A journal that ends below what the target has accepted has lost entries: with the hint beside
    /// the image gone as well, the target is the last witness. Asked before anything is appended, since an entry that follows a
    /// shortened journal forks it.
    ///
    /// # Errors
    /// No answer, or not trusted.
    pub(crate) async fn head(&self) -> Result<Option<VerifiedEntry>, Error> {
        // The target first: another run's entry is committed before the target accepts it.
        let seen = match &self.target {
            Some(target) => target.standing().await.map_err(|source| at(self, source))?.sequence,
            None => 0,
        };
        let newest = self.journal.head().await?;
        let head = newest.as_ref().map_or(0, |entry| entry.entry().sequence);
        if head < seen {
            let environment = self.name().clone();
            return Err(Error::Journal(schleuse_journal::Error::Truncated {
                environment,
                head,
                seen,
                witness: "the target",
            }));
        }
        Ok(newest)
    }

    /// The tag that caches which release it runs.
    pub(crate) fn tag(&self) -> Result<schleuse_model::TagRef, Error> {
        Ok(self.journal.names().image.tag(self.name().as_str().parse()?))
    }
}

impl World {
    /// Whether this run's key is a break-glass key: it goes back, and finishes nothing else.
    pub(crate) fn only_goes_back(&self) -> bool {
        let own = self.signer.public_key().fingerprint();
        self.trust.keys().any(|key| key.fingerprint() == own && key.holds(Role::BreakGlass))
    }

    /// An entry of this run about `release`, with nothing attached.
    pub(crate) fn draft(&self, event: Event, release: &Release) -> Draft {
        Draft {
            event,
            release: release.clone(),
            run: self.run.clone(),
            actor: self.actor.clone(),
            policy: self.policy.clone(),
            plan: None,
            evidence: Vec::new(),
            signature: None,
        }
    }

    /// Appends after `head`; losing the race is an error here, for steps that only this run may take.
    pub(crate) async fn append(
        &self,
        environment: &Environment,
        head: &VerifiedEntry,
        draft: Draft,
    ) -> Result<VerifiedEntry, Error> {
        let now = self.clock.now();
        match environment.journal.append(Some(head), draft, self.signer.as_ref(), now).await? {
            Appended::Won(entry) => {
                self.journaled(environment, &entry);
                Ok(*entry)
            }
            Appended::Lost(winner) => {
                Err(Error::TakenOver { environment: environment.name().clone(), sequence: winner.entry().sequence })
            }
        }
    }

    pub(crate) fn journaled(&self, environment: &Environment, entry: &VerifiedEntry) {
        self.observer.note(Note::Journaled {
            environment: environment.name().clone(),
            sequence: entry.entry().sequence,
            event: entry.entry().event.name(),
        });
    }

    /// [`World::refresh_cache`] before a rollout: the tag says what is being rolled out. A tag that cannot be moved now is moved
    /// at the end, so a registry that fails in between stops nothing that is under way.
    pub(crate) async fn refresh_tag_or_later(
        &self,
        environment: &Environment,
        head: &VerifiedEntry,
    ) -> Result<(), Error> {
        match self.refresh_tag(environment, head).await {
            Ok(_) => Ok(()),
            Err(Error::Registry(error)) if error.is_transient() => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Moves the environment's tag to what the journal's head says it runs, and leaves the hint. Only ever called with a
    /// committed entry: tags are the journal's cache, and move after it.
    ///
    /// Who moved the tag looks whether its entry is still the newest, and moves it on if not. So of writers that overtook each
    /// other, whoever wrote last has looked last, and the tag ends at the newest entry.
    pub(crate) async fn refresh_cache(&self, environment: &Environment, head: &VerifiedEntry) -> Result<(), Error> {
        let mut head = head.clone();
        for _ in 0..OVERTAKEN {
            let moved = self.refresh_tag(environment, &head).await?;
            // Where there is a target, its lease keeps everybody else away.
            if !moved || environment.target.is_some() || !self.overtaken(environment, &head).await? {
                break;
            }
            let Some(newest) = environment.journal.head().await? else { break };
            head = newest;
        }
        // A hint that cannot be moved (immutable tags) costs later readers a few requests, nothing else.
        if environment.journal.leave_hint(&head).await.is_err() {
            self.observer.note(Note::NoHint);
        }
        Ok(())
    }

    /// Whether the tag had to be moved. An environment that runs nothing keeps its tag: registries of the field cannot delete
    /// one.
    async fn refresh_tag(&self, environment: &Environment, head: &VerifiedEntry) -> Result<bool, Error> {
        let Some(current) = &head.entry().state.current else { return Ok(false) };
        let tag = environment.tag()?;
        let digest = &current.release.digest;
        let there = self.pull.resolve(&tag).await?;
        if there.as_ref().map(|pinned| pinned.digest()) == Some(digest) {
            return Ok(false);
        }
        let image = environment.journal.names().image.pin(digest.clone());
        let manifest = self.pull.manifest(&image).await?;
        let manifest = manifest.ok_or_else(|| schleuse_oci::Error::Missing { what: image.to_string() })?;
        self.push.tag(&tag, &manifest).await?;
        self.observer.note(Note::Tagged { tag });
        Ok(true)
    }

    /// Whether there is an entry after `head` by now: one request.
    async fn overtaken(&self, environment: &Environment, head: &VerifiedEntry) -> Result<bool, Error> {
        let journal = &environment.journal.names().journal;
        let next = entry_tag(journal, environment.name(), head.entry().sequence + 1)?;
        Ok(self.pull.resolve(&next).await?.is_some())
    }
}
