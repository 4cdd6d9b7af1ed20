//! The steps of a rollout on this machine. Each saves its intention before it acts, and can be done again from the start.

use std::net::SocketAddr;
use std::time::Duration;

use schleuse_model::{PinnedRef, Release};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep, timeout};

use super::instance::{Handle, Port, Status};
use super::state::{Stage, State};
use super::{LocalTarget, image};
use crate::atomic;
use crate::failure::Failure;
use crate::front_door::FrontDoor;
use crate::target::{Instance, Receipt, TargetError};

/// How long a previous release that had to be started again may take until it accepts connections, before it gets the traffic
/// all the same: there is nothing better to send it to.
const ACCEPTS: Duration = Duration::from_secs(5);
/// How often it is started within that time, if it keeps ending.
const STARTS: u32 = 3;
/// How long a port may take to be free after who had it was stopped.
const PORT_FREE: Duration = Duration::from_secs(3);
/// How long a sick instance's connections are waited for: its answers are not worth much.
const SICK_DRAIN: Duration = Duration::from_millis(300);
const LOOK: Duration = Duration::from_millis(20);

impl LocalTarget {
    pub(super) async fn prepare_release(
        &self,
        image: &PinnedRef,
        release: &Release,
        sequence: u64,
        rollback: bool,
    ) -> Result<Receipt, TargetError> {
        let probe = self.address()?;
        atomic::create_folder(self.paths.folder())?;
        let mut state = self.state()?;
        let known = state.prepare(image, sequence)?;
        // Also for a known rollout: its image may have been deleted by hand.
        let ready = image::make_ready(&self.paths, image, self.pull.as_ref()).await?;
        let receipt = match known {
            Some(receipt) => receipt,
            None => {
                let name = format!("{sequence:010}-{}", image.digest().short());
                self.instance(&name).define(&image::define(&ready, release, &self.settings)?)?;
                self.stop_orphans(&state).await?;
                let environment = self.settings.environment.clone();
                let instance = Instance { name, release: release.clone() };
                let receipt = Receipt::new(environment, sequence, image.clone(), instance, state.active.clone(), probe);
                let receipt = receipt.of_rollback(rollback);
                state.prepared(receipt.clone());
                receipt
            }
        };
        self.save(&state)?;
        Ok(receipt)
    }

    /// Stops what runs and has no traffic: what a run left behind that died. Without a front door the instance with the port is
    /// left alone, whoever it is, until the next `apply`.
    async fn stop_orphans(&self, state: &State) -> Result<(), Failure> {
        if self.settings.listen.is_some() {
            self.stop_all_but(&[state.active.as_ref()]).await?;
        }
        Ok(())
    }

    async fn stop_all_but(&self, keep: &[Option<&Instance>]) -> Result<(), Failure> {
        for instance in self.instances()? {
            let kept = keep.iter().flatten().any(|kept| kept.name == instance.name());
            if !kept {
                instance.stop().await?;
            }
        }
        Ok(())
    }

    pub(super) async fn apply_step(&self, receipt: &Receipt) -> Result<(), TargetError> {
        let mut state = self.state()?;
        let rollout = state.accept(receipt, &self.settings.environment)?;
        rollout.forward(Stage::Applied)?;
        let instance = rollout.receipt.instance().clone();
        self.save(&state)?;
        if let Some(door) = self.door() {
            door.ensure().await?;
            self.start(&instance, Port::Free, false).await?;
        } else {
            self.take_port(&instance, false).await?;
        }
        Ok(())
    }

    async fn start(&self, instance: &Instance, port: Port, again: bool) -> Result<Option<SocketAddr>, Failure> {
        self.instance(&instance.name).start(&self.settings.exe, port, again).await
    }

    /// Without a front door: whoever has the port is stopped, then `instance` is started there.
    async fn take_port(&self, instance: &Instance, again: bool) -> Result<(), Failure> {
        let address = self.address()?;
        self.stop_all_but(&[Some(instance)]).await?;
        if !self.instance(&instance.name).is_alive()? {
            let deadline = Instant::now() + PORT_FREE;
            while let Err(error) = std::net::TcpListener::bind(address) {
                if error.kind() != std::io::ErrorKind::AddrInUse {
                    return Err(Failure::CannotListen { address, why: error.to_string() });
                }
                if Instant::now() >= deadline {
                    return Err(Failure::PortTaken { address });
                }
                sleep(LOOK).await;
            }
        }
        self.start(instance, Port::Fixed(address), again).await.map(drop)
    }

    pub(super) async fn switch_step(&self, receipt: &Receipt) -> Result<(), TargetError> {
        let mut state = self.state()?;
        let rollout = state.accept(receipt, &self.settings.environment)?;
        rollout.forward(Stage::Switched)?;
        let instance = rollout.receipt.instance().clone();
        let Status::Running(running) = self.instance(&instance.name).status()? else {
            return Err(Failure::NotRunning { name: instance.name }.into());
        };
        // The act before the record: if we die in between, the record says too little, and the step is done again.
        if let Some(door) = self.door() {
            door.ensure().await?;
            door.send_to(Some(running.address))?;
        }
        state.active = Some(instance);
        Ok(self.save(&state)?)
    }

    pub(super) async fn restore_step(&self, receipt: &Receipt) -> Result<(), TargetError> {
        let mut state = self.state()?;
        let rollout = state.accept(receipt, &self.settings.environment)?;
        rollout.stage = Stage::BroughtBack;
        let (sick, previous) = (rollout.receipt.instance().clone(), rollout.receipt.previous().cloned());
        // The record before the act: from here on this rollout cannot go forward, whoever wakes up.
        self.save(&state)?;
        let sick = self.instance(&sick.name);
        match self.door() {
            Some(door) => self.traffic_back(&door, &sick, previous.as_ref()).await?,
            None => match &previous {
                Some(previous) => self.take_port(previous, true).await?,
                None => sick.stop().await?,
            },
        }
        state.active = previous;
        self.save(&state)?;
        Ok(())
    }

    /// First the traffic, then the rest: users wait for the former.
    async fn traffic_back(&self, door: &FrontDoor, sick: &Handle, previous: Option<&Instance>) -> Result<(), Failure> {
        let to = match previous {
            Some(previous) => self.bring_up(previous).await?,
            None => None,
        };
        // A living door heeds the file at once; one that is dead or hangs is replaced after.
        door.send_to(to)?;
        door.ensure().await?;
        if let Status::Running(running) = sick.status()? {
            door.drain(running.address, SICK_DRAIN).await?;
        }
        // It is not waited for: its supervisor kills it when its grace is over, and the probe of the restored release must
        // not wait that long.
        sick.ask_to_stop().await
    }

    /// The previous instance, started again if it has died; also if it dies in this very moment, when its record still says
    /// that it runs. So it is asked for a connection in every case.
    async fn bring_up(&self, previous: &Instance) -> Result<Option<SocketAddr>, Failure> {
        let deadline = Instant::now() + ACCEPTS;
        let mut starts = 0;
        loop {
            let runs = matches!(self.instance(&previous.name).status()?, Status::Running(_));
            starts += u32::from(!runs);
            let address = self.start(previous, Port::Free, true).await?;
            let answers = match address {
                Some(address) => accepts(address).await,
                None => false,
            };
            if answers || starts >= STARTS || Instant::now() >= deadline {
                return Ok(address);
            }
            sleep(LOOK).await;
        }
    }

    pub(super) async fn settle_step(&self, receipt: &Receipt) -> Result<(), TargetError> {
        let mut state = self.state()?;
        let rollout = state.accept(receipt, &self.settings.environment)?;
        if rollout.stage < Stage::Switched {
            return Err(Failure::NotSwitched { sequence: receipt.sequence() }.into());
        }
        rollout.forward(Stage::Settled)?;
        let (new, old) = (rollout.receipt.instance().clone(), rollout.receipt.previous().cloned());
        if let (Some(door), Some(old)) = (self.door(), &old)
            && let Status::Running(running) = self.instance(&old.name).status()?
        {
            door.drain(running.address, self.settings.drain).await?;
        }
        self.stop_all_but(&[Some(&new)]).await?;
        self.save(&state)?;
        Ok(self.tidy(&[Some(&new), old.as_ref()])?)
    }

    /// Deletes instances and images that are neither in use nor the way back.
    fn tidy(&self, keep: &[Option<&Instance>]) -> Result<(), Failure> {
        for instance in self.instances()? {
            if !keep.iter().flatten().any(|kept| kept.name == instance.name()) {
                instance.delete()?;
            }
        }
        let kept: Vec<_> = keep.iter().flatten().map(|kept| self.paths.image(&kept.release.digest)).collect();
        let images = self.paths.images();
        for entry in std::fs::read_dir(&images).map_err(Failure::io("read", &images))? {
            let path = entry.map_err(Failure::io("read", &images))?.path();
            if !kept.contains(&path) {
                image::delete(&path)?;
            }
        }
        Ok(())
    }
}

async fn accepts(address: SocketAddr) -> bool {
    timeout(Duration::from_millis(500), TcpStream::connect(address)).await.is_ok_and(|connected| connected.is_ok())
}
