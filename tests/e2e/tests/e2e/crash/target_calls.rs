//! The run dies before and after each call to the target: the real one, with real processes, in front of a real registry. The run
//! is in this process and stops there for good; who comes after it is the real program.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use rand_core::{OsRng, RngCore as _};
use schleuse_deploy::{Claimed, LocalTarget, Observation, Receipt, Standing, Target, TargetError};
use schleuse_gate::Gate;
use schleuse_health::Settings;
use schleuse_journal::journal::{CommitChoice, Writer};
use schleuse_journal::{Admitted, RunId};
use schleuse_model::{Actor, Digest, Reference, SystemClock};
use schleuse_promote::observer::Unobserved;
use schleuse_promote::promotion::ImageChoice;
use schleuse_promote::{Environment, HttpProber, ProbeSpec, PromotionRequest, World, promote};
use tokio::sync::Notify;

use super::ground::PRODUCTION;
use super::undertaker::Ended;
use super::{Story, every_point, soak};
use crate::project::{Project, Setup, key, runtime};

/// A promotion with a rollout makes more calls than this: claim, intent, prepare, apply, some looks, switch, settle.
const AT_LEAST: usize = 10;

#[test]
fn of_the_first_release() {
    if soak() {
        every_call(Story::First);
    }
}

#[test]
fn of_a_good_release() {
    every_call(Story::Good);
}

#[test]
fn of_a_sick_release() {
    every_call(Story::Sick);
}

fn every_call(story: Story) {
    let points = every_point(story, &Setup::default(), |ground, promotion, point| {
        runtime().block_on(die(&ground.project, &promotion[2], point))
    });
    assert!(points >= 2 * AT_LEAST, "{points}");
    eprintln!("{story:?} release: died before and after each of {} target calls, {points} points", points.div_ceil(2));
}

async fn die(project: &Project, image: &str, point: usize) -> Ended {
    let gate =
        Arc::new(DeathBed { at: point, passed: AtomicUsize::new(0), reached: Notify::new(), step: Mutex::default() });
    let target = Arc::new(Mortal { inner: project.target(PRODUCTION), gate: Arc::clone(&gate) });
    let (world, environment) = (world(project), environment(project, target.clone()));
    let image: Reference = image.parse().expect("an image");
    let request = PromotionRequest { image: Some(ImageChoice::Reference(image)), from: None, retry: false };
    // What loses is dropped: nothing of the run goes on.
    tokio::select! {
        biased;
        () = gate.reached.notified() => Ended::Died(gate.step.lock().expect("a name").clone()),
        ended = promote(&world, &environment, &request) => {
            let passed = gate.passed.load(Ordering::SeqCst);
            let outcome = ended.expect("an outcome");
            assert!(passed <= point, "{passed} steps, and still alive");
            Ended::Unharmed(Some(i32::from(outcome.exit().code())))
        }
    }
}

fn world(project: &Project) -> World {
    let client = Arc::new(project.client());
    let mut run = [0; 16];
    OsRng.fill_bytes(&mut run);
    World {
        pull: client.clone(),
        push: client.clone(),
        referrers: client,
        trust: Project::trust(),
        record: Vec::new(),
        signer: Arc::new(key().0.clone()),
        clock: Arc::new(SystemClock),
        prober: Arc::new(HttpProber),
        observer: Arc::new(Unobserved),
        actor: Actor { name: "tester".to_owned(), claimed: true },
        run: RunId::new(run),
        policy: Digest::sha256(b"the policy of the tests"),
    }
}

/// The environment as `schleuse.toml` has it ([`crate::project::HEALTH`]).
fn environment(project: &Project, target: Arc<dyn Target>) -> Environment {
    let milliseconds = Duration::from_millis;
    let health = Settings {
        interval: milliseconds(150),
        timeout: milliseconds(150),
        window: milliseconds(900),
        grace: milliseconds(300),
        span: milliseconds(300),
        ..Settings::default()
    };
    health.validate().expect("settings");
    let writer = Writer {
        push: Arc::new(project.client()),
        choice: CommitChoice::Auto,
        nonce: format!("{:016x}", OsRng.next_u64()),
    };
    Environment {
        journal: project.journal(PRODUCTION).with_writer(writer),
        target: Some(target),
        health,
        probe: ProbeSpec {
            path: "/api/health".to_owned(),
            status: 200,
            timeout: milliseconds(150),
            identity: Default::default(),
        },
        gate: Gate::new(Duration::ZERO, []).expect("no checks"),
    }
}

/// Where a run stops for good: at step `at`. Each call has two, before and after it.
#[derive(Debug)]
struct DeathBed {
    at: usize,
    passed: AtomicUsize,
    reached: Notify,
    /// Where that was, in words.
    step: Mutex<String>,
}

impl DeathBed {
    async fn pass(&self, step: String) {
        if self.passed.fetch_add(1, Ordering::SeqCst) == self.at {
            *self.step.lock().expect("a name") = step;
            self.reached.notify_one();
            std::future::pending::<()>().await;
        }
    }

    async fn through<T>(&self, name: &str, call: impl Future<Output = T>) -> T {
        self.pass(format!("before {name}")).await;
        let answer = call.await;
        self.pass(format!("after {name}")).await;
        answer
    }
}

/// A target whose user dies.
#[derive(Debug)]
struct Mortal {
    inner: LocalTarget,
    gate: Arc<DeathBed>,
}

#[async_trait]
impl Target for Mortal {
    async fn claim(&self) -> Result<Claimed, TargetError> {
        self.gate.through("claim", self.inner.claim()).await
    }

    async fn standing(&self) -> Result<Standing, TargetError> {
        self.gate.through("standing", self.inner.standing()).await
    }

    async fn prepare(&self, admitted: &Admitted) -> Result<Receipt, TargetError> {
        self.gate.through("prepare", self.inner.prepare(admitted)).await
    }

    async fn apply(&self, receipt: &Receipt) -> Result<(), TargetError> {
        self.gate.through("apply", self.inner.apply(receipt)).await
    }

    async fn switch(&self, receipt: &Receipt) -> Result<(), TargetError> {
        self.gate.through("switch", self.inner.switch(receipt)).await
    }

    async fn observe(&self, receipt: &Receipt) -> Result<Observation, TargetError> {
        self.gate.through("observe", self.inner.observe(receipt)).await
    }

    async fn restore(&self, receipt: &Receipt) -> Result<(), TargetError> {
        self.gate.through("restore", self.inner.restore(receipt)).await
    }

    async fn restored_address(&self, receipt: &Receipt) -> Result<Option<SocketAddr>, TargetError> {
        self.gate.through("restored_address", self.inner.restored_address(receipt)).await
    }

    async fn settle(&self, receipt: &Receipt) -> Result<(), TargetError> {
        self.gate.through("settle", self.inner.settle(receipt)).await
    }

    async fn logs(&self, receipt: &Receipt, lines: usize) -> Result<Vec<String>, TargetError> {
        self.gate.through("logs", self.inner.logs(receipt, lines)).await
    }

    async fn listening(&self, receipt: &Receipt) -> Result<Vec<SocketAddr>, TargetError> {
        self.gate.through("listening", self.inner.listening(receipt)).await
    }

    async fn write_intent(&self, bytes: &[u8]) -> Result<(), TargetError> {
        self.gate.through("write_intent", self.inner.write_intent(bytes)).await
    }

    async fn read_intent(&self) -> Result<Option<Vec<u8>>, TargetError> {
        self.gate.through("read_intent", self.inner.read_intent()).await
    }

    async fn clear_intent(&self) -> Result<(), TargetError> {
        self.gate.through("clear_intent", self.inner.clear_intent()).await
    }
}
