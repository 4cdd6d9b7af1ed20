//! The world of one test: an image's repository with signed releases, `staging` without a target, `production` with one.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use rand_core::{CryptoRng, RngCore};
use schleuse_deploy::Target;
use schleuse_gate::Gate as Entrance;
use schleuse_health::Settings;
use schleuse_journal::journal::{CommitChoice, Writer};
use schleuse_journal::{Journal, Names, RunId, Standing, VerifiedEntry};
use schleuse_model::{Actor, Clock, Digest, Reference, Repository};
use schleuse_oci::{Descriptor, ImageManifest, Push as _, media_type};
use schleuse_promote::observer::Unobserved;
use schleuse_promote::promotion::ImageChoice;
use schleuse_promote::{
    Environment, Error, Outcome, ProbeSpec, PromotionRequest, RollbackRequest, World, promote, resume, rollback,
};
use schleuse_sign::{KeyPair, Role, SignOptions, Signer as _, Store, Trust, TrustedKey, sign_image};

use crate::clock::ManualClock;
use crate::gate::Gate;
use crate::registry::{FakeRegistry, Wire};
use crate::rules::{self, Deeds};
use crate::target::{FakeProber, FakeTarget, Hand, Health, State};

pub(crate) const STAGING: &str = "staging";
pub(crate) const PRODUCTION: &str = "production";

/// What a person asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Command {
    Promote(usize),
    /// Also what failed before.
    Retry(usize),
    Rollback,
    /// With the key that may do nothing else.
    BreakGlass,
    /// To this one, by name.
    RollbackTo(usize),
    Resume,
}

#[derive(Debug)]
pub(crate) struct Scene {
    pub(crate) registry: Arc<FakeRegistry>,
    pub(crate) target: Arc<FakeTarget>,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) releases: Vec<Digest>,
    signed: BTreeSet<Digest>,
    names: Names,
    key: KeyPair,
    glass: KeyPair,
    trust: Arc<Trust>,
    runs: AtomicU8,
}

/// The same numbers every time (SplitMix64, Steele et al. 2014). A test's key guards nothing.
#[derive(Clone, Debug)]
pub(crate) struct Numbers(pub(crate) u64);

impl RngCore for Numbers {
    fn next_u32(&mut self) -> u32 {
        u32::try_from(self.next_u64() >> 32).unwrap()
    }

    fn next_u64(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    fn fill_bytes(&mut self, bytes: &mut [u8]) {
        bytes.fill_with(|| self.next_u64().to_le_bytes()[0]);
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), rand_core::Error> {
        self.fill_bytes(bytes);
        Ok(())
    }
}

impl CryptoRng for Numbers {}

/// How a rollout is watched here: four probes, five seconds apart.
pub(crate) fn health() -> Settings {
    let settings = Settings {
        interval: Duration::from_secs(5),
        window: Duration::from_secs(18),
        grace: Duration::from_secs(5),
        failures_in_a_row: 2,
        span: Duration::from_secs(4),
        good_at_the_end: 2,
        extension: Duration::from_secs(15),
        blind: Duration::from_secs(15),
        ..Settings::default()
    };
    settings.validate().unwrap();
    settings
}

impl Scene {
    /// Signed releases 0, 1, 2, and release 3 that nobody signed.
    pub(crate) async fn new() -> Self {
        Self::with_target(FakeTarget::new(PRODUCTION.parse().unwrap(), true)).await
    }

    pub(crate) async fn with_target(target: FakeTarget) -> Self {
        let key = KeyPair::generate(&mut Numbers(1)).unwrap();
        let glass = KeyPair::generate(&mut Numbers(2)).unwrap();
        let keys = [(&key, Role::Build), (&glass, Role::BreakGlass)];
        let trust = Trust::new(keys.map(|(key, role)| TrustedKey::new(key.public_key().clone(), [role]))).unwrap();
        let mut scene = Self {
            registry: Arc::new(FakeRegistry::new(crate::registry::Content::default())),
            target: Arc::new(target),
            clock: Arc::new(ManualClock::new()),
            releases: Vec::new(),
            signed: BTreeSet::new(),
            names: Names::beside("registry.test/acme/billing".parse().unwrap()).unwrap(),
            key,
            glass,
            trust: Arc::new(trust),
            runs: AtomicU8::new(0),
        };
        for number in 0..4 {
            let digest = scene.push(&format!("1.{number}.0"), number < 3).await;
            scene.releases.push(digest);
        }
        scene
    }

    /// The same world, apart from now on; runs of this one are dead there.
    pub(crate) fn fork(&self) -> Self {
        Self {
            registry: Arc::new(FakeRegistry::new(self.registry.content())),
            target: Arc::new(self.target.fork()),
            clock: self.clock.clone(),
            releases: self.releases.clone(),
            signed: self.signed.clone(),
            names: self.names.clone(),
            key: self.key.clone(),
            glass: self.glass.clone(),
            trust: self.trust.clone(),
            runs: AtomicU8::new(self.runs.load(Ordering::Relaxed)),
        }
    }

    async fn push(&mut self, version: &str, sign: bool) -> Digest {
        let wire = self.wire(Arc::new(Gate::open()));
        let repository = &self.names.image;
        let config = format!(
            r#"{{"architecture":"amd64","os":"linux","config":{{"Labels":{{"org.opencontainers.image.version":"{version}"}}}},"rootfs":{{"type":"layers","diff_ids":[]}}}}"#
        );
        let descriptor = Descriptor::of(media_type::IMAGE_CONFIG, config.as_bytes());
        wire.push_blob(repository, &descriptor, config.into_bytes().into()).await.unwrap();
        let manifest = ImageManifest::new(descriptor, Vec::new()).to_manifest();
        wire.push_manifest(repository, &manifest).await.unwrap();
        let image = repository.pin(manifest.digest().clone());
        if sign {
            let store = Store { pull: &wire, push: &wire, referrers: &wire };
            let options = SignOptions { legacy: false, ..SignOptions::default() };
            sign_image(store, &image, &self.key, &options, self.clock.now()).await.unwrap();
            self.signed.insert(image.digest().clone());
        }
        image.digest().clone()
    }

    pub(crate) fn wire(&self, gate: Arc<Gate>) -> Wire {
        Wire { registry: self.registry.clone(), gate, clock: self.clock.clone() }
    }

    pub(crate) fn journal(&self, environment: &str, gate: Arc<Gate>) -> Journal {
        let wire = Arc::new(self.wire(gate));
        let nonce = "00000000".to_owned();
        let writer = Writer { push: wire.clone(), choice: CommitChoice::Auto, nonce };
        Journal::new(self.names.clone(), environment.parse().unwrap(), self.trust.clone(), wire, None)
            .with_writer(writer)
    }

    /// Every environment's journal, to read.
    pub(crate) fn journals(&self) -> Vec<Journal> {
        [STAGING, PRODUCTION].map(|name| self.journal(name, Arc::new(Gate::open()))).to_vec()
    }

    /// The image's repository.
    pub(crate) fn image(&self) -> Repository {
        self.names.image.clone()
    }

    pub(crate) fn environment(&self, name: &str, gate: &Arc<Gate>) -> Environment {
        let hand = || Arc::new(Hand { target: self.target.clone(), gate: gate.clone() }) as Arc<dyn Target>;
        Environment {
            journal: self.journal(name, gate.clone()),
            target: (name == PRODUCTION).then(hand),
            health: health(),
            probe: ProbeSpec {
                path: "/api/health".to_owned(),
                status: 200,
                timeout: Duration::from_secs(2),
                identity: Default::default(),
            },
            gate: Entrance::new(Duration::ZERO, []).unwrap(),
        }
    }

    /// A new run's capabilities.
    pub(crate) fn world(&self, gate: &Arc<Gate>) -> World {
        let wire = Arc::new(self.wire(gate.clone()));
        World {
            pull: wire.clone(),
            push: wire.clone(),
            referrers: wire,
            trust: self.trust.clone(),
            record: [STAGING, PRODUCTION].map(|name| self.journal(name, gate.clone())).into(),
            signer: Arc::new(self.key.clone()),
            clock: self.clock.clone(),
            prober: Arc::new(FakeProber(self.target.clone())),
            observer: Arc::new(Unobserved),
            actor: Actor { name: "a.person".to_owned(), claimed: true },
            run: RunId::new([self.runs.fetch_add(1, Ordering::Relaxed); 16]),
            policy: Digest::sha256(b"policy"),
        }
    }

    /// One run. `None`: it died at its gate.
    pub(crate) async fn run(&self, name: &str, command: Command, gate: Arc<Gate>) -> Option<Result<Outcome, Error>> {
        let (mut world, environment) = (self.world(&gate), self.environment(name, &gate));
        if command == Command::BreakGlass {
            world.signer = Arc::new(self.glass.clone());
        }
        // On the heap: these futures are large, and tests' stacks small.
        let run = Box::pin(async {
            match command {
                Command::Promote(number) => promote(&world, &environment, &self.request(number, false)).await,
                Command::Retry(number) => promote(&world, &environment, &self.request(number, true)).await,
                Command::Rollback | Command::BreakGlass => {
                    rollback(&world, &environment, &RollbackRequest::default()).await
                }
                Command::RollbackTo(number) => {
                    let to = Some(self.releases[number].to_string());
                    rollback(&world, &environment, &RollbackRequest { to, reason: None }).await
                }
                Command::Resume => resume(&world, &environment).await,
            }
        });
        gate.run(run).await
    }

    pub(crate) async fn now(&self, name: &str, command: Command) -> Result<Outcome, Error> {
        self.run(name, command, Arc::new(Gate::open())).await.unwrap()
    }

    pub(crate) async fn production(&self, command: Command) -> Result<Outcome, Error> {
        self.now(PRODUCTION, command).await
    }

    fn request(&self, number: usize, retry: bool) -> PromotionRequest {
        let image = Reference::Pinned(self.names.image.pin(self.releases[number].clone()));
        PromotionRequest { image: Some(ImageChoice::Reference(image)), from: None, retry }
    }

    pub(crate) fn set_health(&self, number: usize, health: Health) {
        self.target.set_health(&self.releases[number], health);
    }

    pub(crate) const fn signed(&self) -> &BTreeSet<Digest> {
        &self.signed
    }

    /// The environment's tag.
    pub(crate) fn tag(&self, name: &str) -> schleuse_model::TagRef {
        self.names.image.tag(name.parse().unwrap())
    }

    /// The whole journal, verified, oldest first.
    pub(crate) async fn entries(&self, name: &str) -> Vec<VerifiedEntry> {
        let mut entries = self.journal(name, Arc::new(Gate::open())).verify_all().await.unwrap();
        entries.reverse();
        entries
    }

    /// Where `name` stands, and every rule that was broken in it so far. That the journal verifies is one of them: it panics.
    pub(crate) async fn look(&self, name: &str) -> (End, Vec<String>) {
        let (entries, content) = (self.entries(name).await, self.registry.content());
        let target = (name == PRODUCTION).then(|| self.target.state());
        let tags = content.written.iter().filter(|write| write.tag == name).collect();
        let written = &content.written;
        let deeds = Deeds { journal: &entries, tags, written, target: target.as_ref(), signed: &self.signed };
        (self.end(name, &entries, target.as_ref()), rules::broken(&deeds))
    }

    /// Where `name` stands. No rule was broken.
    pub(crate) async fn stands(&self, name: &str) -> End {
        let (end, broken) = self.look(name).await;
        assert_eq!(broken, [""; 0], "{end:#?}");
        end
    }

    fn end(&self, name: &str, entries: &[VerifiedEntry], target: Option<&State>) -> End {
        let state = entries.last().map(|head| head.entry().state.clone()).unwrap_or_default();
        let mut running: Vec<_> = target.iter().flat_map(|target| target.running()).map(|it| self.word(it)).collect();
        running.sort_unstable();
        let names = entries.iter().map(|entry| entry.entry().event.name());
        End {
            events: names.filter(|name| *name != "taken-over").collect(),
            current: state.current.as_ref().map(|placed| (self.word(&placed.release.digest), word(&placed.standing))),
            good: state.good.iter().map(|placed| self.word(&placed.release.digest)).collect(),
            failed: state.failed.iter().map(|mark| self.word(&mark.release.digest)).collect(),
            unfinished: state.rollout.is_some(),
            tag: self.registry.points_to(&self.tag(name)).map(|digest| self.word(&digest)),
            traffic: target.and_then(State::traffic).map(|digest| self.word(digest)),
            running,
            intent: target.is_some_and(State::has_intent),
        }
    }

    /// `r0`, `r1`, ...
    fn word(&self, digest: &Digest) -> String {
        let number = self.releases.iter().position(|known| known == digest);
        number.map_or_else(|| digest.short().to_owned(), |number| format!("r{number}"))
    }
}

const fn word(standing: &Standing) -> &'static str {
    match standing {
        Standing::Pending => "pending",
        Standing::Healthy => "healthy",
        Standing::Held { .. } => "held",
        Standing::RollbackFailed { .. } => "rollback failed",
    }
}

/// Where an environment stands. Who took what over is left out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct End {
    pub(crate) events: Vec<&'static str>,
    pub(crate) current: Option<(String, &'static str)>,
    pub(crate) good: Vec<String>,
    pub(crate) failed: Vec<String>,
    pub(crate) unfinished: bool,
    pub(crate) tag: Option<String>,
    pub(crate) traffic: Option<String>,
    pub(crate) running: Vec<String>,
    pub(crate) intent: bool,
}
