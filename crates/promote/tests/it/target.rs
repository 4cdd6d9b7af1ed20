//! A target in memory, by the contract of `schleuse_deploy::Target` and with the rules of the local one: fencing, a lease, steps
//! that can be done again, records before acts. And the prober, which asks the instances on it.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use schleuse_deploy::{Claim, Claimed, Ended, Failure, Instance, Observation, Receipt, Standing, Target, TargetError};
use schleuse_health::ProbeFailure;
use schleuse_journal::Admitted;
use schleuse_model::{Digest, EnvironmentName, Release};
use schleuse_promote::probe::Probed;
use schleuse_promote::{ProbeSpec, Prober};

use crate::gate::Gate;

/// How the instances of a release behave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Health {
    Good,
    /// Good until its n-th probe (from 0), bad from there on.
    SickFrom(u32),
    /// Its process ends when it is looked at the n-th time.
    ExitsAt(u32),
    /// It cannot be seen.
    Unseen,
    /// Its process cannot be started.
    WontStart,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Stage {
    Prepared,
    Applied,
    Switched,
    Settled,
    BroughtBack,
}

#[derive(Clone, Debug)]
struct Live {
    release: Release,
    address: SocketAddr,
    probes: u32,
    looks: u32,
    exited: bool,
}

/// What it holds and remembers.
#[derive(Clone, Debug, Default)]
pub(crate) struct State {
    sequence: u64,
    active: Option<Instance>,
    rollout: Option<(Receipt, Stage)>,
    running: BTreeMap<String, Live>,
    intent: Option<Vec<u8>>,
    lease: Option<u64>,
    leases: u64,
    ports: u16,
    /// Every sequence that was accepted, in order.
    pub(crate) accepted: Vec<u64>,
    /// Every image it was handed, with the entry's sequence.
    pub(crate) handed: Vec<(u64, Digest)>,
    /// Every release that got the traffic, in order.
    pub(crate) served: Vec<Option<Digest>>,
    /// Restores that were begun, with the receipt's sequence.
    pub(crate) restored: Vec<u64>,
}

#[derive(Debug)]
pub(crate) struct FakeTarget {
    environment: EnvironmentName,
    door: SocketAddr,
    /// Off: a broken target, to see that the rules notice.
    fencing: bool,
    state: Mutex<State>,
    health: Mutex<BTreeMap<Digest, Health>>,
}

impl FakeTarget {
    pub(crate) fn new(environment: EnvironmentName, fencing: bool) -> Self {
        let door = SocketAddr::from(([127, 0, 0, 1], 8080));
        Self { environment, door, fencing, state: Mutex::default(), health: Mutex::default() }
    }

    /// The same, apart from now on. Whoever held the lease is gone.
    pub(crate) fn fork(&self) -> Self {
        let mut state = self.state();
        state.lease = None;
        let health = Mutex::new(self.health.lock().unwrap().clone());
        let (environment, door, fencing) = (self.environment.clone(), self.door, self.fencing);
        Self { environment, door, fencing, state: Mutex::new(state), health }
    }

    pub(crate) fn state(&self) -> State {
        self.state.lock().unwrap().clone()
    }

    pub(crate) fn set_health(&self, release: &Digest, health: Health) {
        self.health.lock().unwrap().insert(release.clone(), health);
    }

    pub(crate) fn change_health(&self, release: &Digest, change: impl FnOnce(Health) -> Health) {
        let changed = change(self.health(release));
        self.set_health(release, changed);
    }

    /// The machine was set up anew.
    pub(crate) fn lose_everything(&self) {
        *self.state.lock().unwrap() = State::default();
    }

    /// The machine was switched off and on.
    pub(crate) fn start_anew(&self) {
        self.state.lock().unwrap().running.clear();
    }

    /// Restores whatever was rolled out last.
    pub(crate) async fn bring_back(self: &Arc<Self>) {
        let receipt = self.state().rollout.map(|(receipt, _)| receipt).unwrap();
        Hand { target: self.clone(), gate: Arc::new(Gate::open()) }.restore(&receipt).await.unwrap();
    }

    /// As if the lease had been lost while its holder lives on: a suspended machine, a network folder.
    pub(crate) fn break_lease(&self) {
        self.state.lock().unwrap().lease = None;
    }

    fn health(&self, release: &Digest) -> Health {
        self.health.lock().unwrap().get(release).copied().unwrap_or(Health::Good)
    }

    /// Asks whoever listens at `address`.
    fn answer(&self, address: SocketAddr, expected: &Release) -> Result<(), ProbeFailure> {
        let mut state = self.state.lock().unwrap();
        let active = state.active.as_ref().map(|active| active.name.clone());
        let door = self.door;
        let mut alive = state.running.iter_mut().filter(|(_, live)| !live.exited);
        let listens = |(name, live): &(&String, &mut Live)| match address == door {
            true => Some(*name) == active.as_ref(),
            false => live.address == address,
        };
        let Some((_, live)) = alive.find(listens) else { return Err(ProbeFailure::Refused) };
        if live.release.digest != expected.digest {
            let (expected, reported) = (expected.digest.to_string(), live.release.digest.to_string());
            return Err(ProbeFailure::WrongVersion { expected, reported });
        }
        let probe = live.probes;
        live.probes += 1;
        match self.health(&live.release.digest) {
            Health::SickFrom(first) if probe >= first => Err(ProbeFailure::Status(500)),
            _ => Ok(()),
        }
    }
}

impl State {
    /// Which release gets the traffic, if its process lives.
    pub(crate) fn traffic(&self) -> Option<&Digest> {
        let live = self.running.get(&self.active.as_ref()?.name).filter(|live| !live.exited)?;
        Some(&live.release.digest)
    }

    pub(crate) fn running(&self) -> Vec<&Digest> {
        self.running.values().filter(|live| !live.exited).map(|live| &live.release.digest).collect()
    }

    pub(crate) fn has_intent(&self) -> bool {
        self.intent.is_some()
    }

    fn fence(&mut self, got: u64, fencing: bool) -> Result<(), TargetError> {
        let have = self.sequence;
        if got < have && fencing {
            return Err(TargetError::Fenced { have, got });
        }
        self.sequence = got;
        self.accepted.push(got);
        Ok(())
    }

    fn known(&self, receipt: &Receipt, fencing: bool) -> Result<(), TargetError> {
        let (have, got) = (self.sequence, receipt.sequence());
        if got < have && fencing {
            return Err(TargetError::Fenced { have, got });
        }
        let same =
            |(known, _): &&(Receipt, Stage)| known.instance() == receipt.instance() && known.image() == receipt.image();
        self.rollout.as_ref().filter(same).map(|_| ()).ok_or(Failure::NotPrepared { sequence: got }.into())
    }

    fn accept(&mut self, receipt: &Receipt, fencing: bool) -> Result<&mut Stage, TargetError> {
        self.known(receipt, fencing)?;
        self.fence(receipt.sequence(), fencing)?;
        let sequence = receipt.sequence();
        let (known, stage) = self.rollout.as_mut().ok_or(Failure::NotPrepared { sequence })?;
        if sequence > known.sequence() {
            *known = at_sequence(known, sequence);
        }
        Ok(stage)
    }

    fn start(&mut self, instance: &Instance, again: bool) -> SocketAddr {
        if let Some(live) = self.running.get(&instance.name)
            && !(live.exited && again)
        {
            return live.address;
        }
        self.ports += 1;
        let address = SocketAddr::from(([127, 0, 0, 1], 20_000 + self.ports));
        let live = Live { release: instance.release.clone(), address, probes: 0, looks: 0, exited: false };
        self.running.insert(instance.name.clone(), live);
        address
    }

    fn send_to(&mut self, instance: Option<Instance>) {
        self.served.push(instance.as_ref().map(|instance| instance.release.digest.clone()));
        self.active = instance;
    }

    fn stop_all_but(&mut self, keep: Option<&Instance>) {
        self.running.retain(|name, _| keep.is_some_and(|keep| keep.name == *name));
    }
}

fn at_sequence(receipt: &Receipt, sequence: u64) -> Receipt {
    let (environment, image) = (receipt.environment().clone(), receipt.image().clone());
    let (instance, previous) = (receipt.instance().clone(), receipt.previous().cloned());
    let renewed = Receipt::new(environment, sequence, image, instance, previous, receipt.probe());
    renewed.of_rollback(receipt.is_rollback())
}

fn forward(stage: &mut Stage, to: Stage, receipt: &Receipt) -> Result<(), TargetError> {
    if *stage == Stage::BroughtBack {
        return Err(Failure::BroughtBack { sequence: receipt.sequence() }.into());
    }
    *stage = (*stage).max(to);
    Ok(())
}

/// One run's hold on the target.
#[derive(Clone, Debug)]
pub(crate) struct Hand {
    pub(crate) target: Arc<FakeTarget>,
    pub(crate) gate: Arc<Gate>,
}

impl Hand {
    /// One call: the run may die before it, between what it records and what it does, and after it.
    async fn call<A, B>(
        &self,
        record: impl FnOnce(&mut State, bool) -> Result<A, TargetError> + Send,
        act: impl FnOnce(&mut State, A) -> Result<B, TargetError> + Send,
    ) -> Result<B, TargetError>
    where
        A: Send,
    {
        self.gate.pass().await;
        let recorded = record(&mut self.target.state.lock().unwrap(), self.target.fencing)?;
        self.gate.within().await;
        let done = act(&mut self.target.state.lock().unwrap(), recorded);
        self.gate.after().await;
        done
    }

    async fn look<T>(&self, look: impl FnOnce(&mut State) -> T + Send) -> T {
        self.gate.pass().await;
        let seen = look(&mut self.target.state.lock().unwrap());
        self.gate.after().await;
        seen
    }
}

#[derive(Debug)]
struct Lease {
    target: Arc<FakeTarget>,
    id: u64,
}

impl Claim for Lease {}

impl Drop for Lease {
    fn drop(&mut self) {
        let mut state = self.target.state.lock().unwrap();
        if state.lease == Some(self.id) {
            state.lease = None;
        }
    }
}

#[async_trait]
impl Target for Hand {
    async fn claim(&self) -> Result<Claimed, TargetError> {
        self.gate.pass().await;
        // The lease exists as soon as it is had, so that it ends with a run that dies right here.
        let claimed = {
            let mut state = self.target.state.lock().unwrap();
            if state.lease.is_some() {
                Claimed::Busy
            } else {
                state.leases += 1;
                state.lease = Some(state.leases);
                Claimed::Yes(Box::new(Lease { target: self.target.clone(), id: state.leases }))
            }
        };
        self.gate.after().await;
        Ok(claimed)
    }

    async fn standing(&self) -> Result<Standing, TargetError> {
        let door = self.target.door;
        Ok(self
            .look(|state| Standing {
                sequence: state.sequence,
                active: state.active.clone(),
                alive: state.traffic().is_some(),
                receipt: state.rollout.as_ref().map(|(receipt, _)| receipt.clone()),
                unsettled: state.rollout.as_ref().is_some_and(|(_, stage)| *stage == Stage::Switched),
                address: Some(door),
            })
            .await)
    }

    async fn prepare(&self, admitted: &Admitted) -> Result<Receipt, TargetError> {
        let (sequence, image) = (admitted.sequence(), admitted.image().clone());
        let door = self.target.door;
        let record = |state: &mut State, fencing| {
            state.fence(sequence, fencing)?;
            state.handed.push((sequence, image.digest().clone()));
            let Some((known, stage)) = &mut state.rollout else { return Ok(None) };
            let same = *known.image() == image;
            if known.sequence() == sequence && !same {
                return Err(Failure::Conflict { sequence }.into());
            }
            if same && (known.sequence() == sequence || *stage == Stage::Prepared) {
                *known = at_sequence(known, sequence);
                return Ok(Some(known.clone()));
            }
            Ok(None)
        };
        self.call(record, |state, known| {
            if let Some(known) = known {
                return Ok(known);
            }
            let active = state.active.clone();
            state.stop_all_but(active.as_ref());
            let name = format!("{sequence:010}-{}", admitted.image().digest().short());
            let instance = Instance { name, release: admitted.release().clone() };
            let environment = admitted.environment().clone();
            let receipt = Receipt::new(environment, sequence, admitted.image().clone(), instance, active, door);
            let receipt = receipt.of_rollback(admitted.is_rollback());
            state.rollout = Some((receipt.clone(), Stage::Prepared));
            Ok(receipt)
        })
        .await
    }

    async fn apply(&self, receipt: &Receipt) -> Result<(), TargetError> {
        let wont = self.target.health(receipt.image().digest()) == Health::WontStart;
        let record = |state: &mut State, fencing| forward(state.accept(receipt, fencing)?, Stage::Applied, receipt);
        self.call(record, |state, ()| {
            if wont {
                let name = receipt.instance().name.clone();
                return Err(Failure::NotStarted { name, ended: Ended::Code { code: 127 } }.into());
            }
            state.start(receipt.instance(), false);
            Ok(())
        })
        .await
    }

    async fn switch(&self, receipt: &Receipt) -> Result<(), TargetError> {
        let record = |state: &mut State, fencing| forward(state.accept(receipt, fencing)?, Stage::Switched, receipt);
        self.call(record, |state, ()| {
            let instance = receipt.instance();
            if state.running.get(&instance.name).is_none_or(|live| live.exited) {
                return Err(Failure::NotRunning { name: instance.name.clone() }.into());
            }
            state.send_to(Some(instance.clone()));
            Ok(())
        })
        .await
    }

    async fn observe(&self, receipt: &Receipt) -> Result<Observation, TargetError> {
        let (fencing, health) = (self.target.fencing, self.target.health(receipt.image().digest()));
        self.look(|state| {
            state.known(receipt, fencing)?;
            let Some(live) = state.running.get_mut(&receipt.instance().name) else {
                return Ok(Observation::Unknown { why: "it was not started".to_owned() });
            };
            live.looks += 1;
            live.exited |= matches!(health, Health::ExitsAt(at) if live.looks > at);
            Ok(match health {
                _ if live.exited => Observation::Exited { how: Ended::Code { code: 1 } },
                Health::Unseen => Observation::Unknown { why: "the tunnel is down".to_owned() },
                _ => Observation::Running { address: live.address },
            })
        })
        .await
    }

    async fn restore(&self, receipt: &Receipt) -> Result<(), TargetError> {
        let record = |state: &mut State, fencing| {
            *state.accept(receipt, fencing)? = Stage::BroughtBack;
            state.restored.push(receipt.sequence());
            Ok(())
        };
        self.call(record, |state, ()| {
            if let Some(previous) = receipt.previous() {
                state.start(previous, true);
            }
            state.send_to(receipt.previous().cloned());
            state.running.remove(&receipt.instance().name);
            Ok(())
        })
        .await
    }

    async fn restored_address(&self, receipt: &Receipt) -> Result<Option<SocketAddr>, TargetError> {
        let (door, fencing) = (self.target.door, self.target.fencing);
        self.look(|state| {
            state.known(receipt, fencing)?;
            Ok(receipt.previous().map(|_| door))
        })
        .await
    }

    async fn settle(&self, receipt: &Receipt) -> Result<(), TargetError> {
        let record = |state: &mut State, fencing| {
            let stage = state.accept(receipt, fencing)?;
            if *stage < Stage::Switched {
                return Err(Failure::NotSwitched { sequence: receipt.sequence() }.into());
            }
            forward(&mut stage.clone(), Stage::Settled, receipt)
        };
        self.call(record, |state, ()| {
            state.stop_all_but(Some(receipt.instance()));
            if let Some((_, stage)) = &mut state.rollout {
                *stage = Stage::Settled;
            }
            Ok(())
        })
        .await
    }

    async fn logs(&self, _: &Receipt, _: usize) -> Result<Vec<String>, TargetError> {
        Ok(Vec::new())
    }

    async fn listening(&self, _: &Receipt) -> Result<Vec<SocketAddr>, TargetError> {
        Ok(Vec::new())
    }

    async fn write_intent(&self, bytes: &[u8]) -> Result<(), TargetError> {
        self.look(|state| state.intent = Some(bytes.to_vec())).await;
        Ok(())
    }

    async fn read_intent(&self) -> Result<Option<Vec<u8>>, TargetError> {
        Ok(self.look(|state| state.intent.clone()).await)
    }

    async fn clear_intent(&self) -> Result<(), TargetError> {
        self.look(|state| state.intent = None).await;
        Ok(())
    }
}

/// Asks the fake target's instances. Every answer takes 20 ms.
#[derive(Debug)]
pub(crate) struct FakeProber(pub(crate) Arc<FakeTarget>);

#[async_trait]
impl Prober for FakeProber {
    async fn probe(&self, address: SocketAddr, _: &ProbeSpec, release: &Release) -> Probed {
        let took = Duration::from_millis(20);
        tokio::time::sleep(took).await;
        Probed { took, outcome: self.0.answer(address, release), answer: None }
    }
}
