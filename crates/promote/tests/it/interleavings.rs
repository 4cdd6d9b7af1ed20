//! Several runs at once, let on call by call in any order, dying anywhere, beside clock jumps, outages of the registry and lost
//! leases. Whatever happens: no rule of `rules.rs` is broken, and one `resume` brings journal, tag and target together again.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use proptest::prelude::*;
use proptest::test_runner::RngSeed;
use schleuse_model::{Exit, Explain as _};
use schleuse_promote::{Error, Outcome};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::task::JoinHandle;

use crate::gate::Gate;
use crate::scene::{Command, End, PRODUCTION, STAGING, Scene};
use crate::target::Health;

/// How many runs there are at a time.
const RUNS: usize = 3;
/// The release that nobody signed.
const UNSIGNED: usize = 3;

/// One thing that happens.
#[derive(Clone, Debug)]
enum Move {
    /// A run begins, if that place is free.
    Start { place: usize, environment: &'static str, command: Command },
    /// A run is let on by so many calls.
    Step { place: usize, calls: usize },
    /// A run dies.
    Die { place: usize },
    /// The clock jumps by so many seconds.
    Jump(i64),
    /// The registry is down while a run makes so many calls.
    Outage { place: usize, calls: usize },
    /// The target's lease is lost, and its holder does not know.
    LoseLease,
    /// From now on a release behaves so.
    Health(usize, Health),
}

fn command() -> impl Strategy<Value = Command> {
    prop_oneof![
        8 => (0..3_usize).prop_map(Command::Promote),
        4 => (0..3_usize).prop_map(Command::Retry),
        1 => Just(Command::Promote(UNSIGNED)),
        4 => Just(Command::Rollback),
        2 => Just(Command::BreakGlass),
        2 => Just(Command::Resume),
    ]
}

fn any_health() -> impl Strategy<Value = Health> {
    prop_oneof![
        2 => Just(Health::Good),
        4 => (0..5_u32).prop_map(Health::SickFrom),
        1 => (0..4_u32).prop_map(Health::ExitsAt),
        1 => Just(Health::Unseen),
        1 => Just(Health::WontStart),
    ]
}

fn any_move() -> impl Strategy<Value = Move> {
    let environment = prop_oneof![1 => Just(STAGING), 3 => Just(PRODUCTION)];
    prop_oneof![
        8 => (0..RUNS, environment, command())
            .prop_map(|(place, environment, command)| Move::Start { place, environment, command }),
        16 => (0..RUNS, 1..12_usize).prop_map(|(place, calls)| Move::Step { place, calls }),
        8 => (0..RUNS, Just(60_usize)).prop_map(|(place, calls)| Move::Step { place, calls }),
        2 => (0..RUNS).prop_map(|place| Move::Die { place }),
        1 => prop_oneof![Just(-7200), Just(-6), Just(3 * 86_400), Just(40)].prop_map(Move::Jump),
        2 => (0..RUNS, 1..30_usize).prop_map(|(place, calls)| Move::Outage { place, calls }),
        1 => Just(Move::LoseLease),
        4 => (0..3_usize, any_health()).prop_map(|(release, health)| Move::Health(release, health)),
    ]
}

type Ended = Result<Outcome, Error>;

/// A run under way.
struct Run {
    gate: Arc<Gate>,
    command: Command,
    ended: Arc<Mutex<Option<Ended>>>,
    task: JoinHandle<()>,
}

struct Stage {
    scene: Arc<Scene>,
    runs: BTreeMap<usize, Run>,
    arrived: UnboundedReceiver<usize>,
    arrives: UnboundedSender<usize>,
    tale: Vec<String>,
}

impl Stage {
    fn new(scene: Scene) -> Self {
        let (arrives, arrived) = unbounded_channel();
        Self { scene: Arc::new(scene), runs: BTreeMap::new(), arrived, arrives, tale: Vec::new() }
    }

    async fn happen(&mut self, what: Move) {
        match what {
            Move::Start { place, environment, command } => self.start(place, environment, command).await,
            Move::Step { place, calls } => {
                for _ in 0..calls {
                    self.step(place).await;
                }
            }
            Move::Die { place } => self.die(place).await,
            Move::Jump(seconds) => self.scene.clock.jump(seconds),
            Move::Outage { place, calls } => {
                self.scene.registry.set_down(true);
                for _ in 0..calls {
                    self.step(place).await;
                }
                self.scene.registry.set_down(false);
            }
            Move::LoseLease => self.scene.target.break_lease(),
            Move::Health(release, health) => self.scene.set_health(release, health),
        }
    }

    async fn start(&mut self, place: usize, environment: &'static str, command: Command) {
        if self.runs.contains_key(&place) {
            return;
        }
        let gate = Arc::new(Gate::stepped(place, self.arrives.clone()));
        let ended = Arc::new(Mutex::new(None));
        let (scene, arrives) = (self.scene.clone(), self.arrives.clone());
        let (its_gate, its_end) = (gate.clone(), ended.clone());
        let task = tokio::spawn(async move {
            let outcome = scene.run(environment, command, its_gate).await;
            *its_end.lock().unwrap() = outcome;
            let _ = arrives.send(place);
        });
        self.tale.push(format!("{place}: {command:?} in {environment}"));
        self.runs.insert(place, Run { gate, command, ended, task });
        self.until_it_stands(place).await;
    }

    async fn step(&mut self, place: usize) {
        if let Some(run) = self.runs.get(&place) {
            run.gate.step();
            self.until_it_stands(place).await;
        }
    }

    /// Only one run moves at a time: it comes to its next point, or to its end.
    async fn until_it_stands(&mut self, place: usize) {
        assert_eq!(self.arrived.recv().await, Some(place));
        let ended = self.runs[&place].ended.lock().unwrap().take();
        if let Some(ended) = ended {
            let run = self.runs.remove(&place).unwrap();
            run.task.await.unwrap();
            self.tale.push(format!("{place}: {:?} ended: {ended:?}", run.command));
            self.check_end(run.command, &ended);
        }
    }

    fn check_end(&self, command: Command, ended: &Ended) {
        match ended {
            Ok(_) => assert_ne!(command, Command::Promote(UNSIGNED), "{:#?}", self.tale),
            // Nobody tampered with anything: nothing may look as if somebody had.
            Err(error) if command != Command::Promote(UNSIGNED) => {
                assert!(!matches!(error.exit(), Exit::Untrusted | Exit::Usage), "{error}: {:#?}", self.tale);
            }
            Err(_) => {}
        }
    }

    async fn die(&mut self, place: usize) {
        if let Some(run) = self.runs.remove(&place) {
            run.task.abort();
            let _ = run.task.await;
            self.tale.push(format!("{place}: died"));
        }
    }

    /// Everybody dies, the registry is back, what could not be seen can be: then `resume`, until nothing is left to do.
    async fn calm(&mut self) -> BTreeMap<&'static str, End> {
        for place in 0..RUNS {
            self.die(place).await;
        }
        self.scene.target.break_lease();
        for release in 0..3 {
            self.scene.target.change_health(&self.scene.releases[release], |health| match health {
                Health::Unseen => Health::Good,
                other => other,
            });
        }
        let mut ends = BTreeMap::new();
        for environment in [STAGING, PRODUCTION] {
            for _ in 0..2 {
                let outcome = self.scene.now(environment, Command::Resume).await;
                self.tale.push(format!("resume of {environment}: {outcome:?}"));
                assert!(outcome.is_ok(), "{:#?}", self.tale);
            }
            let (end, broken) = self.scene.look(environment).await;
            assert_eq!(broken, [""; 0], "{:#?}", self.tale);
            ends.insert(environment, end);
        }
        ends
    }
}

/// Journal, tag and target say the same.
fn agree(end: &End, has_target: bool) -> Result<(), String> {
    if end.unfinished || end.intent {
        return Err("something is left undone".to_owned());
    }
    let Some((current, standing)) = &end.current else {
        // Nothing runs; the tag cannot be deleted.
        return if end.traffic.is_none() { Ok(()) } else { Err("something runs that should not".to_owned()) };
    };
    if end.tag.as_ref() != Some(current) {
        return Err("the tag is not the journal's".to_owned());
    }
    if has_target && *standing == "healthy" {
        if end.traffic.as_ref() != Some(current) {
            return Err("the traffic is not the journal's".to_owned());
        }
        if end.running != [current.clone()] {
            return Err("not exactly one instance runs".to_owned());
        }
    }
    Ok(())
}

async fn play(moves: Vec<Move>) {
    let scene = Scene::new().await;
    for environment in [STAGING, PRODUCTION] {
        for release in [0, 1] {
            scene.now(environment, Command::Promote(release)).await.unwrap();
        }
    }
    let mut stage = Stage::new(scene);
    for what in moves {
        stage.tale.push(format!("{what:?}"));
        stage.happen(what).await;
    }
    for (environment, end) in stage.calm().await {
        let agreed = agree(&end, environment == PRODUCTION);
        assert_eq!(agreed, Ok(()), "{environment}: {end:#?} {:#?}", stage.tale);
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 40,
        failure_persistence: None,
        rng_seed: RngSeed::Fixed(20_261_123),
        max_shrink_iters: 2000,
        ..ProptestConfig::default()
    })]

    #[test]
    fn nothing_breaks_a_rule(moves in proptest::collection::vec(any_move(), 20..120)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        runtime.block_on(play(moves));
    }
}

/// Two promoters of an environment without a target hold no lease. The first is overtaken between its entry and its tag.
#[tokio::test(start_paused = true)]
async fn a_tag_that_was_overtaken_is_moved_on() {
    let mut stage = Stage::new(Scene::new().await);
    stage.scene.now(STAGING, Command::Promote(0)).await.unwrap();
    stage.start(0, STAGING, Command::Promote(1)).await;
    while stage.scene.entries(STAGING).await.len() < 2 {
        stage.step(0).await;
    }
    stage.step(0).await;
    assert_eq!(stage.scene.now(STAGING, Command::Promote(2)).await.unwrap(), Outcome::Promoted);
    while stage.runs.contains_key(&0) {
        stage.step(0).await;
    }
    assert_eq!(stage.scene.stands(STAGING).await.tag.as_deref(), Some("r2"));
}
