//! A registry, a client and a key, and shorthands for writing entries.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use rand_core::OsRng;
use schleuse_client::Client;
use schleuse_journal::commit::git::{GitRef, GitSettings};
use schleuse_journal::journal::{CommitChoice, Writer};
use schleuse_journal::{Appended, Draft, Error, Event, Journal, Names, RunId, VerifiedEntry};
use schleuse_model::{Actor, Digest, Release, Timestamp};
use schleuse_registry::{Registry, Running};
use schleuse_sign::{KeyPair, Role, Signer as _, Trust, TrustedKey};

pub(crate) struct World {
    pub(crate) registry: Running,
    pub(crate) client: Arc<Client>,
    pub(crate) key: KeyPair,
    pub(crate) names: Names,
}

impl World {
    pub(crate) async fn new() -> Self {
        let registry = Registry::memory().spawn("127.0.0.1:0".parse().unwrap()).await.unwrap();
        let names = Names::beside(format!("{}/acme/billing", registry.addr()).parse().unwrap()).unwrap();
        let client = Arc::new(Client::builder().build().unwrap());
        Self { registry, client, key: KeyPair::generate(&mut OsRng).unwrap(), names }
    }

    pub(crate) fn trust(&self, roles: &[Role]) -> Arc<Trust> {
        let key = TrustedKey::new(self.key.public_key().clone(), roles.iter().copied()).of("a.person");
        Arc::new(Trust::new([key]).unwrap())
    }

    pub(crate) fn reader(&self, environment: &str) -> Journal {
        let trust = self.trust(&[Role::Build]);
        Journal::new(self.names.clone(), environment.parse().unwrap(), trust, self.client.clone(), None)
    }

    pub(crate) fn journal(&self, environment: &str) -> Journal {
        self.reader(environment).with_writer(self.writer(CommitChoice::Auto))
    }

    pub(crate) fn writer(&self, choice: CommitChoice) -> Writer {
        static NONCE: AtomicU64 = AtomicU64::new(0);
        let nonce = format!("{:016x}", NONCE.fetch_add(1, Ordering::Relaxed));
        Writer { push: self.client.clone(), choice, nonce }
    }

    pub(crate) fn with_git(&self, environment: &str, folder: &std::path::Path, choice: CommitChoice) -> Journal {
        let settings = GitSettings {
            search_path: "/usr/local/bin:/usr/bin:/bin".to_owned(),
            environment: [("HOME".to_owned(), folder.display().to_string())].into(),
            folder: folder.join("checkout"),
            remote: "origin".to_owned(),
        };
        let names = self.names.clone();
        let git = GitRef::new(settings, Some(self.client.clone()), names.image.clone(), names.journal.clone());
        let trust = self.trust(&[Role::Build]);
        Journal::new(names, environment.parse().unwrap(), trust, self.client.clone(), Some(git))
            .with_writer(self.writer(choice))
    }

    /// Appends after whatever is there.
    pub(crate) async fn append(&self, journal: &Journal, event: Event, of: u8) -> Result<Appended, Error> {
        let head = journal.head().await?;
        journal.append(head.as_ref(), draft(event, of), &self.key, at(1000)).await
    }

    pub(crate) async fn promote(&self, journal: &Journal, of: u8) -> VerifiedEntry {
        match self.append(journal, promoted(), of).await.unwrap() {
            Appended::Won(entry) => *entry,
            Appended::Lost(entry) => panic!("lost against {entry:?}"),
        }
    }
}

pub(crate) fn at(seconds: i64) -> Timestamp {
    Timestamp::from_seconds(seconds)
}

pub(crate) fn promoted() -> Event {
    Event::Promoted { from: None, rollout: false }
}

pub(crate) fn draft(event: Event, of: u8) -> Draft {
    Draft {
        event,
        release: Release { digest: Digest::sha256(&[of]), commit: None, version: Some(format!("1.{of}.0")) },
        run: RunId::new([of; 16]),
        actor: Actor { name: "a.person".to_owned(), claimed: true },
        policy: Digest::sha256(b"policy"),
        plan: None,
        evidence: Vec::new(),
        signature: None,
    }
}
