//! Reading and writing an environment's journal in a registry.
//!
//! # Expected flow
//!
//! [`Journal::head`] finds and verifies the newest entry; [`Journal::append`] writes the next one. A writer that lost the race
//! gets the winner's entry, re-evaluates its plan and appends again, or stops.

use std::sync::Arc;

use schleuse_model::{Digest, EnvironmentName, ReferenceError, Repository, Timestamp};
use schleuse_oci::descriptor::EMPTY_JSON;
use schleuse_oci::{Body, Descriptor, Manifest, Pull, Push};
use schleuse_sign::{Signer, Trust};
use tokio::sync::OnceCell;

use crate::chain::{VerifiedEntry, step};
use crate::codec;
use crate::commit::git::GitRef;
use crate::commit::registry::{Proof, RegistryTag, entry_tag, entry_tag_prefix};
use crate::commit::{CommitKind, CommitPoint, Committed};
use crate::entry::{Draft, Entry, SCHEMA};
use crate::error::{Error, Fault};
use crate::{belief, gallop, hint};

/// The most tags that `verify_all` lists.
const TAG_LIMIT: usize = 1_000_000;

/// Where image and journal lie.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Names {
    /// The image's repository.
    pub image: Repository,
    /// The journal's.
    pub journal: Repository,
}

impl Names {
    /// The image's repository and `<image>-journal` beside it.
    ///
    /// # Errors
    /// If the longer name is no repository name.
    pub fn beside(image: Repository) -> Result<Self, ReferenceError> {
        let journal = image.with_suffix("-journal")?;
        Ok(Self { image, journal })
    }
}

/// Which commit points may be used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CommitChoice {
    /// The first that is proven: the registry, then git.
    #[default]
    Auto,
    /// Only the registry.
    Registry,
    /// Only git.
    Git,
}

/// What a writer needs beside a reader's capabilities.
#[derive(Clone, Debug)]
pub struct Writer {
    /// The registry.
    pub push: Arc<dyn Push>,
    /// Which commit points may be used for a new journal; one that exists goes on with its own.
    pub choice: CommitChoice,
    /// Makes a new journal's proof unlike any before: random, at least 8 bytes as hex.
    pub nonce: String,
}

/// What became of an append.
#[derive(Clone, Debug)]
pub enum Appended {
    /// The entry is written.
    Won(Box<VerifiedEntry>),
    /// Another writer took the sequence: its entry.
    Lost(Box<VerifiedEntry>),
}

/// One environment's journal.
#[derive(Clone, Debug)]
pub struct Journal {
    names: Names,
    environment: EnvironmentName,
    trust: Arc<Trust>,
    pull: Arc<dyn Pull>,
    git: Option<GitRef>,
    writer: Option<Writer>,
    /// Whether `{}` is known to be in the journal's and the image's repository: two requests saved on each further write.
    journal_ready: Arc<OnceCell<()>>,
    image_ready: Arc<OnceCell<()>>,
}

impl Journal {
    /// A reader. `git` is the remote whose refs are the commit point or a witness, where there is one.
    pub fn new(
        names: Names,
        environment: EnvironmentName,
        trust: Arc<Trust>,
        pull: Arc<dyn Pull>,
        git: Option<GitRef>,
    ) -> Self {
        let (journal_ready, image_ready) = Default::default();
        Self { names, environment, trust, pull, git, writer: None, journal_ready, image_ready }
    }

    /// The same, able to write.
    #[must_use]
    pub fn with_writer(mut self, writer: Writer) -> Self {
        self.writer = Some(writer);
        self
    }

    /// Whose journal it is.
    pub const fn environment(&self) -> &EnvironmentName {
        &self.environment
    }

    /// Where it lies.
    pub const fn names(&self) -> &Names {
        &self.names
    }

    /// The newest entry, verified by itself and against the hint and the git refs; where its key was revoked or may only go back,
    /// what is below it is verified as well, as far as that takes. `None`: the environment has no journal yet.
    ///
    /// # Errors
    /// Untrusted, truncated, or no answer.
    pub async fn head(&self) -> Result<Option<VerifiedEntry>, Error> {
        let Some(end) = self.end().await? else { return Ok(None) };
        self.believe(&end).await?;
        Ok(Some(end))
    }

    /// The newest entry, whether or not it is to be believed.
    pub(crate) async fn end(&self) -> Result<Option<VerifiedEntry>, Error> {
        let hinted =
            self.pull.tagged(&hint::tag(&self.names.image, &self.environment)?).await.map_err(self.registry())?;
        let hinted = hinted.as_ref().and_then(hint::read).unwrap_or(0);
        if hinted > 0 {
            // A hint names `{}`: the next one needs not look for it.
            let _ = self.image_ready.set(());
        }
        let known = if hinted == 0 { None } else { self.manifest_at(hinted).await? };
        if hinted > 0 && known.is_none() {
            let end = gallop::end_of_run(0, |sequence| self.exists(sequence)).await?;
            return Err(self.truncated(end, hinted, "the hint beside the image"));
        }
        let end = gallop::end_of_run(hinted, |sequence| self.exists(sequence)).await?;
        let head = match known {
            _ if end == 0 => None,
            Some(manifest) if end == hinted => Some(self.open(&manifest, end)?),
            _ => Some(self.opened_at(end).await?),
        };
        self.against_git(head).await
    }

    /// Entry `sequence`, believed as [`Journal::head`] believes the newest.
    ///
    /// # Errors
    /// Untrusted, missing, or no answer.
    pub async fn entry_at(&self, sequence: u64) -> Result<VerifiedEntry, Error> {
        let entry = self.opened_at(sequence).await?;
        self.believe(&entry).await?;
        Ok(entry)
    }

    async fn opened_at(&self, sequence: u64) -> Result<VerifiedEntry, Error> {
        match self.manifest_at(sequence).await? {
            Some(manifest) => self.open(&manifest, sequence),
            None => Err(self.untrusted(sequence, Fault::Gap)),
        }
    }

    /// The entry before `entry`, verified, with the link between them checked. `None`: `entry` is the first.
    ///
    /// # Errors
    /// Untrusted, missing, or no answer.
    pub async fn before(&self, entry: &VerifiedEntry) -> Result<Option<VerifiedEntry>, Error> {
        let Some(previous) = &entry.entry().previous else { return Ok(None) };
        let sequence = entry.entry().sequence - 1;
        let pinned = self.names.journal.pin(previous.clone());
        let manifest = self.pull.manifest(&pinned).await.map_err(self.registry())?;
        let manifest = manifest.ok_or_else(|| self.untrusted(sequence, Fault::Gap))?;
        let before = self.open(&manifest, sequence)?;
        entry.follows(&before).map_err(|fault| self.untrusted(entry.entry().sequence, fault))?;
        Ok(Some(before))
    }

    /// Verifies everything, newest first: each entry, each link, that each tag names the entry its successor links to, and that
    /// nothing lies beyond the head.
    ///
    /// # Errors
    /// The first fault found.
    pub async fn verify_all(&self) -> Result<Vec<VerifiedEntry>, Error> {
        let prefix = entry_tag_prefix(&self.environment);
        let tags = self.pull.tags(&self.names.journal, &prefix, TAG_LIMIT).await.map_err(self.registry())?;
        // `eu` and `eu-1` share a prefix: only ten digits make a sequence of ours.
        let digits = tags.iter().filter_map(|tag| tag.as_str().strip_prefix(&prefix).filter(|rest| rest.len() == 10));
        let highest = digits.filter_map(|digits| digits.parse::<u64>().ok()).max().unwrap_or(0);
        let Some(head) = self.head().await? else {
            return if highest == 0 { Ok(Vec::new()) } else { Err(self.untrusted(1, Fault::Gap)) };
        };
        if highest > head.entry().sequence {
            return Err(self.untrusted(head.entry().sequence + 1, Fault::Gap));
        }
        let mut entries = vec![head];
        while let Some(newest) = entries.last()
            && let Some(before) = self.before(newest).await?
        {
            let tag = entry_tag(&self.names.journal, &self.environment, before.entry().sequence)?;
            let tagged = self.pull.resolve(&tag).await.map_err(self.registry())?;
            let fault = match tagged {
                None => Some(Fault::Gap),
                Some(other) if other.digest() != before.digest() => {
                    Some(Fault::Fork { registry: other.digest().to_string() })
                }
                Some(_) => None,
            };
            if let Some(fault) = fault {
                return Err(self.untrusted(before.entry().sequence, fault));
            }
            entries.push(before);
        }
        Ok(entries)
    }

    /// Writes the next entry after `head`, or loses the race for it.
    ///
    /// The entry's time is `now`, or the head's if that is later: times in a journal never run backwards.
    ///
    /// # Errors
    /// The event cannot follow, the key would not be believed, there is no commit point, or no answer.
    pub async fn append(
        &self,
        head: Option<&VerifiedEntry>,
        draft: Draft,
        signer: &dyn Signer,
        now: Timestamp,
    ) -> Result<Appended, Error> {
        let writer = self.writer()?;
        let point = self.commit_point(head).await?;
        let entry = self.next(head, draft, point.kind(), now)?;
        let sealed =
            codec::seal(&entry, signer).map_err(|error| Error::Unfit { why: error.to_string(), fault: None })?;
        // Read our own bytes as any reader would, before anything is written.
        let verified =
            VerifiedEntry::open(&sealed.manifest, &self.names, &self.environment, entry.sequence, &self.trust)
                .and_then(|verified| head.map_or(Ok(()), |head| verified.follows(head)).map(|()| verified))
                .and_then(|verified| belief::writable(&verified).map(|()| verified))
                .map_err(|fault| Error::Unfit { why: fault.to_string(), fault: Some(fault) })?;
        // The head's manifest names `{}` as well: where it is, `{}` is.
        if head.is_none() {
            self.ready(&self.journal_ready, &self.names.journal).await?;
        }
        let body = Body::from(sealed.envelope);
        writer.push.push_blob(&self.names.journal, &sealed.layer, body).await.map_err(self.registry())?;
        match point.create_once(&self.environment, entry.sequence, &sealed.manifest).await? {
            Committed::Won => Ok(Appended::Won(Box::new(verified))),
            Committed::Lost => Ok(Appended::Lost(Box::new(self.winner(entry.sequence).await?))),
        }
    }

    /// Who took `sequence`. By way of the head: a winner by git ref may not have moved its tag yet.
    async fn winner(&self, sequence: u64) -> Result<VerifiedEntry, Error> {
        match self.head().await? {
            Some(head) if head.entry().sequence == sequence => Ok(head),
            _ => self.entry_at(sequence).await,
        }
    }

    /// Leaves the hint for the next reader. Best effort by design: callers may ignore an error.
    ///
    /// # Errors
    /// If the registry refuses.
    pub async fn leave_hint(&self, head: &VerifiedEntry) -> Result<(), Error> {
        let tag = hint::tag(&self.names.image, &self.environment)?;
        self.ready(&self.image_ready, &self.names.image).await?;
        let manifest = hint::manifest(head.entry().sequence);
        self.writer()?.push.tag(&tag, &manifest).await.map_err(self.registry())
    }

    fn next(
        &self,
        head: Option<&VerifiedEntry>,
        draft: Draft,
        commit: CommitKind,
        now: Timestamp,
    ) -> Result<Entry, Error> {
        let mut entry = Entry {
            schema: SCHEMA.to_owned(),
            image: self.names.image.clone(),
            journal: self.names.journal.clone(),
            environment: self.environment.clone(),
            sequence: head.map_or(1, |head| head.entry().sequence + 1),
            previous: head.map(|head| head.digest().clone()),
            commit,
            event: draft.event,
            release: draft.release,
            run: draft.run,
            actor: draft.actor,
            policy: draft.policy,
            plan: draft.plan,
            evidence: draft.evidence,
            signature: draft.signature,
            state: head.map(|head| head.entry().state.clone()).unwrap_or_default(),
            at: head.map_or(now, |head| now.max(head.entry().at)),
        };
        entry.state = entry.state.after(step(&entry))?;
        Ok(entry)
    }

    /// The journal's own commit point; for a new journal the first that is allowed and proven.
    async fn commit_point(&self, head: Option<&VerifiedEntry>) -> Result<Box<dyn CommitPoint>, Error> {
        let writer = self.writer()?;
        let registry = RegistryTag::new(self.pull.clone(), writer.push.clone(), self.names.journal.clone());
        match head.map(|head| head.entry().commit) {
            Some(CommitKind::Registry) => return Ok(Box::new(registry)),
            Some(CommitKind::Git) => return self.git_point("this journal's entries are committed by git refs"),
            None => {}
        }
        if writer.choice == CommitChoice::Git {
            return self.git_point("`commit = \"git\"`");
        }
        self.ready(&self.journal_ready, &self.names.journal).await?;
        if registry.prove(&self.environment, &writer.nonce).await? == Proof::Honoured {
            return Ok(Box::new(registry));
        }
        let ignored = "this registry lets two writers create the same tag";
        if writer.choice == CommitChoice::Registry {
            return Err(Error::NoCommitPoint { why: ignored.to_owned() });
        }
        self.git_point(ignored)
    }

    fn git_point(&self, because: &str) -> Result<Box<dyn CommitPoint>, Error> {
        match &self.git {
            Some(git) => Ok(Box::new(git.clone())),
            None => Err(Error::NoCommitPoint { why: format!("{because}, and no git remote is known") }),
        }
    }

    /// Compares the registry's head with the git refs, and completes a tag that a crashed writer left out.
    async fn against_git(&self, head: Option<VerifiedEntry>) -> Result<Option<VerifiedEntry>, Error> {
        let by_git = head.as_ref().map(|head| head.entry().commit == CommitKind::Git);
        let git = match (&self.git, by_git) {
            (_, Some(false)) | (None, None) => return Ok(head),
            (Some(git), _) => git,
            (None, Some(true)) => {
                let why = "this journal's entries are committed by git refs, and no git remote is known";
                return Err(Error::NoCommitPoint { why: why.to_owned() });
            }
        };
        let end = head.as_ref().map_or(0, |head| head.entry().sequence);
        let Some(witnessed) = git.witness(&self.environment).await? else {
            return if end == 0 {
                Ok(None)
            } else {
                Err(self.untrusted(end, Fault::Fork { registry: "it".to_owned() }))
            };
        };
        if witnessed.sequence == end && head.as_ref().map(VerifiedEntry::digest) == Some(&witnessed.digest) {
            return Ok(head);
        }
        if witnessed.sequence != end + 1 {
            let registry = head.map_or_else(|| "nothing".to_owned(), |head| head.digest().to_string());
            return Err(if witnessed.sequence > end {
                self.truncated(end, witnessed.sequence, "the git ref")
            } else {
                self.untrusted(end, Fault::Fork { registry })
            });
        }
        // Committed, then the writer died before its tag: the ref counts.
        let manifest = self.by_digest(&witnessed.digest).await?;
        let manifest = manifest.ok_or_else(|| self.truncated(end, witnessed.sequence, "the git ref"))?;
        let newest = self.open(&manifest, witnessed.sequence)?;
        if let Some(head) = &head {
            newest.follows(head).map_err(|fault| self.untrusted(witnessed.sequence, fault))?;
        }
        if let Some(writer) = &self.writer {
            let tag = entry_tag(&self.names.journal, &self.environment, witnessed.sequence)?;
            writer.push.tag(&tag, &manifest).await.map_err(self.registry())?;
        }
        Ok(Some(newest))
    }

    async fn exists(&self, sequence: u64) -> Result<bool, Error> {
        let tag = entry_tag(&self.names.journal, &self.environment, sequence)?;
        Ok(self.pull.resolve(&tag).await.map_err(self.registry())?.is_some())
    }

    async fn manifest_at(&self, sequence: u64) -> Result<Option<Manifest>, Error> {
        let tag = entry_tag(&self.names.journal, &self.environment, sequence)?;
        self.pull.tagged(&tag).await.map_err(self.registry())
    }

    async fn by_digest(&self, digest: &Digest) -> Result<Option<Manifest>, Error> {
        self.pull.manifest(&self.names.journal.pin(digest.clone())).await.map_err(self.registry())
    }

    fn open(&self, manifest: &Manifest, sequence: u64) -> Result<VerifiedEntry, Error> {
        VerifiedEntry::open(manifest, &self.names, &self.environment, sequence, &self.trust)
            .map_err(|fault| self.untrusted(sequence, fault))
    }

    /// Makes sure that `{}`, which every artifact manifest names, is in `repository`.
    async fn ready(&self, done: &OnceCell<()>, repository: &Repository) -> Result<(), Error> {
        let push = &self.writer()?.push;
        done.get_or_try_init(|| async {
            push.push_blob(repository, &Descriptor::empty(), Body::from(EMPTY_JSON)).await.map_err(self.registry())
        })
        .await
        .copied()
    }

    fn writer(&self) -> Result<&Writer, Error> {
        self.writer.as_ref().ok_or_else(|| Error::NoCommitPoint { why: "this run may only read".to_owned() })
    }

    fn registry(&self) -> impl Fn(schleuse_oci::Error) -> Error + use<> {
        let environment = self.environment.clone();
        move |source| Error::Registry { environment: environment.clone(), source }
    }

    pub(crate) fn untrusted(&self, sequence: u64, fault: Fault) -> Error {
        Error::Untrusted { environment: self.environment.clone(), sequence, fault }
    }

    fn truncated(&self, head: u64, seen: u64, witness: &'static str) -> Error {
        Error::Truncated { environment: self.environment.clone(), head, seen, witness }
    }
}
