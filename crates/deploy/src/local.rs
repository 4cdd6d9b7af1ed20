//! This machine as a target (`host = "local"`): no daemon, no root. Linux only.
//!
//! # Guarantees
//! - Everything lies in one folder an environment ([`LocalSettings::root`]), readable by its owner only.
//! - Whether a process lives is read from a lock it holds, which the kernel releases however it ends.
//! - With a front door the switch loses no connection, and the way back is one small file's rename: the old instance runs until
//!   [`Target::settle`].
//!
//! # Caveats
//! [`init`] says what the sandbox is and is not. Without `listen` there is one port: between old and new nothing answers, and a
//! way back starts the old release anew. Instances are not started again by themselves after the machine restarts.

pub mod init;

mod image;
mod instance;
mod listening;
mod log;
mod paths;
mod port;
mod state;
mod steps;
mod user;
mod wire;

use std::collections::BTreeMap;
use std::fmt;
use std::fs::{File, OpenOptions, TryLockError};
use std::net::SocketAddr;
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use schleuse_journal::Admitted;
use schleuse_model::EnvironmentName;
use schleuse_oci::Pull;

use crate::atomic;
use crate::failure::Failure;
use crate::front_door::FrontDoor;
use crate::target::{Claim, Claimed, Observation, Receipt, Standing, Target, TargetError};
use instance::{Handle, Status};
use paths::Paths;
use state::{Stage, State};

/// The most of an intent that is kept: 256 KiB. A signed intent has some KiB.
const INTENT_LIMIT: usize = 256 << 10;

/// How long an instance may take to stop before it is killed, as docker's `stop` has it.
pub const STOP_GRACE: Duration = Duration::from_secs(10);
/// How long the old instance's connections may take to end before it is stopped all the same.
pub const DRAIN: Duration = Duration::from_secs(10);

/// One environment on this machine.
#[derive(Clone)]
pub struct LocalSettings {
    /// Where the target keeps its state; each environment has a folder in it.
    pub root: PathBuf,
    /// The environment.
    pub environment: EnvironmentName,
    /// The `schleuse` binary: it is also supervisor, init and front door. It must stay where it is.
    pub exe: PathBuf,
    /// Where the front door listens; none: the instance has `port` itself.
    pub listen: Option<SocketAddr>,
    /// Where the instance listens without a front door. With one, each instance gets a free port of its own in `PORT`.
    pub port: Option<u16>,
    /// The environment's variables; they win over the image's. Values are not shown.
    pub env: BTreeMap<String, String>,
    /// [`STOP_GRACE`]; at least a second, whole seconds.
    pub stop_grace: Duration,
    /// [`DRAIN`].
    pub drain: Duration,
}

impl fmt::Debug for LocalSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self.env.keys().collect();
        f.debug_struct("LocalSettings")
            .field("root", &self.root)
            .field("environment", &self.environment)
            .field("listen", &self.listen)
            .field("port", &self.port)
            .field("env", &names)
            .finish_non_exhaustive()
    }
}

/// This machine as one environment's target.
#[derive(Debug)]
pub struct LocalTarget {
    settings: LocalSettings,
    paths: Paths,
    pull: Arc<dyn Pull>,
}

impl LocalTarget {
    /// A target; nothing is touched yet.
    pub fn new(settings: LocalSettings, pull: Arc<dyn Pull>) -> Self {
        let paths = Paths::at(settings.root.join(settings.environment.as_str()));
        Self { settings, paths, pull }
    }

    /// Stops everything of this environment, the front door too, and deletes its folder: also the record and the way back.
    ///
    /// # Errors
    /// If something cannot be stopped, or the folder not deleted.
    pub async fn remove(&self) -> Result<(), TargetError> {
        if let Some(door) = self.door() {
            door.stop().await?;
        } else {
            FrontDoor::leftover(&self.paths.front_door()).stop().await?;
        }
        for instance in self.instances()? {
            instance.stop().await?;
        }
        image::delete(self.paths.folder())?;
        Ok(())
    }

    fn state(&self) -> Result<State, Failure> {
        Ok(atomic::read_json(&self.paths.state())?.unwrap_or_default())
    }

    fn save(&self, state: &State) -> Result<(), Failure> {
        atomic::write_json(&self.paths.state(), state)
    }

    fn door(&self) -> Option<FrontDoor> {
        let listen = self.settings.listen?;
        Some(FrontDoor::new(self.paths.front_door(), self.settings.exe.clone(), listen))
    }

    /// Where users reach the environment.
    fn address(&self) -> Result<SocketAddr, Failure> {
        let port = self.settings.port.map(|port| SocketAddr::from(([127, 0, 0, 1], port)));
        let environment = || self.settings.environment.to_string();
        self.settings.listen.or(port).ok_or_else(|| Failure::NoPort { environment: environment() })
    }

    fn instance(&self, name: &str) -> Handle {
        Handle::new(self.paths.instance(name))
    }

    /// Every instance there is a folder of.
    fn instances(&self) -> Result<Vec<Handle>, Failure> {
        let folder = self.paths.instances();
        let entries = match std::fs::read_dir(&folder) {
            Ok(entries) => entries,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(Failure::io("read", &folder)(error)),
        };
        let mut names = Vec::new();
        for entry in entries {
            names.push(entry.map_err(Failure::io("read", &folder))?.file_name().to_string_lossy().into_owned());
        }
        names.sort();
        Ok(names.iter().map(|name| self.instance(name)).collect())
    }
}

/// The lease: a lock of the kernel's, which ends with its process.
#[derive(Debug)]
struct Lease {
    _file: File,
}

impl Claim for Lease {}

#[async_trait]
impl Target for LocalTarget {
    async fn claim(&self) -> Result<Claimed, TargetError> {
        atomic::create_folder(self.paths.folder())?;
        let path = self.paths.lease();
        let opened = OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(&path);
        let file = opened.map_err(Failure::io("lock", &path))?;
        match file.try_lock() {
            Ok(()) => Ok(Claimed::Yes(Box::new(Lease { _file: file }))),
            Err(TryLockError::WouldBlock) => Ok(Claimed::Busy),
            Err(TryLockError::Error(source)) => Err(Failure::io("lock", &path)(source).into()),
        }
    }

    async fn standing(&self) -> Result<Standing, TargetError> {
        let state = self.state()?;
        let alive = match &state.active {
            Some(active) => self.instance(&active.name).is_alive()?,
            None => false,
        };
        let unsettled = state.rollout.as_ref().is_some_and(|rollout| rollout.stage == Stage::Switched);
        Ok(Standing {
            sequence: state.sequence,
            active: state.active,
            alive,
            receipt: state.rollout.map(|rollout| rollout.receipt),
            unsettled,
            address: self.address().ok(),
        })
    }

    async fn prepare(&self, admitted: &Admitted) -> Result<Receipt, TargetError> {
        if admitted.environment() != &self.settings.environment {
            let (have, got) = (self.settings.environment.to_string(), admitted.environment().to_string());
            return Err(Failure::Foreign { have, got }.into());
        }
        let (sequence, rollback) = (admitted.sequence(), admitted.is_rollback());
        self.prepare_release(admitted.image(), admitted.release(), sequence, rollback).await
    }

    async fn apply(&self, receipt: &Receipt) -> Result<(), TargetError> {
        self.apply_step(receipt).await
    }

    async fn switch(&self, receipt: &Receipt) -> Result<(), TargetError> {
        self.switch_step(receipt).await
    }

    async fn observe(&self, receipt: &Receipt) -> Result<Observation, TargetError> {
        self.state()?.known(receipt, &self.settings.environment)?;
        Ok(match self.instance(&receipt.instance().name).status()? {
            Status::Running(running) => Observation::Running { address: running.address },
            Status::Ended(how) => Observation::Exited { how },
            Status::Between => Observation::Unknown { why: "it is starting or ending".to_owned() },
            Status::Never => Observation::Unknown { why: "it was not started".to_owned() },
        })
    }

    async fn restore(&self, receipt: &Receipt) -> Result<(), TargetError> {
        self.restore_step(receipt).await
    }

    async fn restored_address(&self, receipt: &Receipt) -> Result<Option<SocketAddr>, TargetError> {
        let state = self.state()?;
        let rollout = state.known(receipt, &self.settings.environment)?;
        Ok(rollout.receipt.previous().map(|_| self.address()).transpose()?)
    }

    async fn settle(&self, receipt: &Receipt) -> Result<(), TargetError> {
        self.settle_step(receipt).await
    }

    async fn logs(&self, receipt: &Receipt, lines: usize) -> Result<Vec<String>, TargetError> {
        Ok(self.instance(&receipt.instance().name).last_lines(lines)?)
    }

    async fn listening(&self, receipt: &Receipt) -> Result<Vec<SocketAddr>, TargetError> {
        Ok(match self.instance(&receipt.instance().name).status()? {
            Status::Running(running) => listening::listening(running.init.pid),
            _ => Vec::new(),
        })
    }

    async fn write_intent(&self, bytes: &[u8]) -> Result<(), TargetError> {
        if bytes.len() > INTENT_LIMIT {
            return Err(Failure::IntentTooLarge { size: bytes.len(), limit: INTENT_LIMIT }.into());
        }
        atomic::create_folder(self.paths.folder())?;
        Ok(atomic::write(&self.paths.intent(), bytes)?)
    }

    async fn read_intent(&self) -> Result<Option<Vec<u8>>, TargetError> {
        Ok(atomic::read(&self.paths.intent(), INTENT_LIMIT)?)
    }

    async fn clear_intent(&self) -> Result<(), TargetError> {
        Ok(atomic::remove(&self.paths.intent())?)
    }
}

#[cfg(test)]
mod tests;
