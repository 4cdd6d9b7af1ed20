//! Starting, looking at and stopping one instance, from the tool's side.

use std::collections::BTreeMap;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::sys::signal::Signal;
use schleuse_model::{Release, Secret};
use schleuse_process::Program;
use serde::{Deserialize, Serialize};
use tokio::time::{Instant, sleep};

use super::init;
use super::log;
use super::paths::InstancePaths;
use super::port::free_address;
use super::wire::{Exit, Running, Spec};
use crate::atomic;
use crate::failure::Failure;
use crate::identity::{Holder, Identity, LifeLock};
use crate::target::Ended;

/// How long a start may take until the program was executed. Milliseconds; more on a machine that is short of everything.
const START: Duration = Duration::from_secs(10);
/// How long a killed process may take to be gone.
const KILL: Duration = Duration::from_secs(5);
/// What is added to an instance's grace: the supervisor, not we, kills it at its end.
const SUPERVISOR: Duration = Duration::from_secs(2);
const LOOK: Duration = Duration::from_millis(5);

/// Everything needed to start an instance again: written when it is prepared, never changed.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Definition {
    pub(crate) release: Release,
    pub(crate) hostname: String,
    pub(crate) root: PathBuf,
    pub(crate) argv: Vec<String>,
    pub(crate) env: BTreeMap<String, String>,
    /// Names of the variables whose values are hidden when logs are shown.
    pub(crate) secret: Vec<String>,
    pub(crate) folder: String,
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    pub(crate) stop_signal: i32,
    pub(crate) stop_grace: u32,
}

/// How an instance is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Status {
    /// No start was ever asked for, or none got as far as a supervisor.
    Never,
    /// A supervisor lives, the program does not run yet (or runs no longer, in the moment before that is written down).
    Between,
    Running(Running),
    Ended(Ended),
}

/// Where it shall listen.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Port {
    /// On a free one of this machine's own.
    Free,
    /// There.
    Fixed(SocketAddr),
}

/// One instance.
#[derive(Clone, Debug)]
pub(crate) struct Handle {
    paths: InstancePaths,
}

impl Handle {
    pub(crate) fn new(paths: InstancePaths) -> Self {
        Self { paths }
    }

    pub(crate) fn name(&self) -> String {
        self.paths.name()
    }

    /// Writes down what the instance is.
    pub(crate) fn define(&self, definition: &Definition) -> Result<(), Failure> {
        atomic::create_folder(self.paths.folder())?;
        atomic::write_json(&self.paths.definition(), definition)
    }

    pub(crate) fn definition(&self) -> Result<Definition, Failure> {
        let gone = Failure::WayBackGone { name: self.name(), missing: "definition" };
        atomic::read_json(&self.paths.definition())?.ok_or(gone)
    }

    pub(crate) fn status(&self) -> Result<Status, Failure> {
        // The lock before the records: a supervisor that ends while we look has written them before it lets go.
        let holder = LifeLock::at(&self.paths.lock()).holder()?;
        let running: Option<Running> = atomic::read_json(&self.paths.running())?;
        let exit: Option<Exit> = atomic::read_json(&self.paths.exit())?;
        Ok(match (holder, running, exit) {
            (Holder::Alive(living), Some(running), _) if living == Some(running.supervisor) && running.init.alive() => {
                Status::Running(running)
            }
            (Holder::Alive(_), _, _) => Status::Between,
            (Holder::Nobody, _, Some(exit)) => Status::Ended(exit.ended),
            (Holder::Nobody, Some(_), None) => Status::Ended(Ended::Unseen),
            (Holder::Nobody, None, None) => Status::Never,
        })
    }

    /// Starts it, if it does not run. An instance whose program has ended by itself is started again only with `again`.
    pub(crate) async fn start(&self, exe: &Path, port: Port, again: bool) -> Result<Option<SocketAddr>, Failure> {
        match self.settled_status().await? {
            Status::Running(running) => return Ok(Some(running.address)),
            Status::Ended(Ended::Code { .. } | Ended::Signal { .. }) if !again => return Ok(None),
            _ => {}
        }
        self.launch(exe, port).await.map(Some)
    }

    /// [`Handle::status`], waiting out the moments in which it cannot be told.
    async fn settled_status(&self) -> Result<Status, Failure> {
        let deadline = Instant::now() + START;
        loop {
            match self.status()? {
                Status::Between if Instant::now() < deadline => sleep(LOOK).await,
                Status::Between => return Err(Failure::Silent { name: self.name() }),
                status => return Ok(status),
            }
        }
    }

    async fn launch(&self, exe: &Path, port: Port) -> Result<SocketAddr, Failure> {
        let definition = self.definition()?;
        if !definition.root.is_dir() {
            return Err(Failure::WayBackGone { name: self.name(), missing: "unpacked image" });
        }
        let before: Option<Spec> = atomic::read_json(&self.paths.spec())?;
        let launch = before.map_or(1, |spec| spec.launch.saturating_add(1));
        let ended: Option<Exit> = atomic::read_json(&self.paths.exit())?;
        let spec = self.spec(definition, launch, port)?;
        atomic::write_json(&self.paths.spec(), &spec)?;
        let program = Program::new(exe).arg(init::VERB).arg(init::SPEC).arg(self.paths.spec());
        match program.spawn_detached(&self.paths.supervisor_log()).await {
            // One that fails at once may be quicker than whoever watches it; what it wrote down says why.
            Err(schleuse_process::ProcessError::EndedAtOnce { .. }) | Ok(_) => {}
            Err(error) => return Err(error.into()),
        }
        self.await_start(&spec, ended.map_or(0, |exit| exit.launch)).await
    }

    fn spec(&self, definition: Definition, launch: u64, port: Port) -> Result<Spec, Failure> {
        let address = match port {
            Port::Fixed(address) => address,
            Port::Free => free_address(&(self.paths.folder(), launch))
                .map_err(Failure::io("find a free port for", self.paths.folder()))?,
        };
        let mut env = definition.env;
        env.insert("PORT".to_owned(), address.port().to_string());
        let Definition { hostname, root, argv, folder, uid, gid, stop_signal, stop_grace, .. } = definition;
        Ok(Spec { launch, root, hostname, argv, env, folder, uid, gid, stop_signal, stop_grace, address })
    }

    /// `ended` is the last start of which the end was known before this one.
    async fn await_start(&self, spec: &Spec, ended: u64) -> Result<SocketAddr, Failure> {
        let deadline = Instant::now() + START;
        while Instant::now() < deadline {
            let exit: Option<Exit> = atomic::read_json(&self.paths.exit())?;
            if let Some(Exit { ended, .. }) = exit.filter(|exit| exit.launch > ended) {
                return match ended {
                    Ended::NotStarted { .. } => Err(Failure::NotStarted { name: self.name(), ended }),
                    // It did start; that it ended again is for `observe` to tell.
                    _ => Ok(spec.address),
                };
            }
            // Perhaps the supervisor of a run that was killed a moment ago: as good as ours, and at its own address.
            if let Status::Running(running) = self.status()? {
                return Ok(running.address);
            }
            sleep(LOOK).await;
        }
        Err(Failure::Silent { name: self.name() })
    }

    /// Asks it to stop, and does not wait until it has: its supervisor kills it when its grace is over.
    pub(crate) async fn ask_to_stop(&self) -> Result<(), Failure> {
        let lock = LifeLock::at(&self.paths.lock());
        let deadline = Instant::now() + SUPERVISOR;
        loop {
            match lock.holder()? {
                Holder::Alive(Some(supervisor)) => return self.signal(supervisor, Signal::SIGTERM),
                // It has just been started, and writes its name next.
                Holder::Alive(None) if Instant::now() < deadline => sleep(LOOK).await,
                _ => return Ok(()),
            }
        }
    }

    /// Stops it, and returns when nothing of it is left.
    pub(crate) async fn stop(&self) -> Result<(), Failure> {
        let lock = LifeLock::at(&self.paths.lock());
        let spec: Option<Spec> = atomic::read_json(&self.paths.spec())?;
        let grace = Duration::from_secs(u64::from(spec.map_or(0, |spec| spec.stop_grace)));
        self.ask_to_stop().await?;
        if !self.ended_within(&lock, grace + SUPERVISOR).await? {
            // The supervisor itself hangs. Its end ends the instance.
            if let Holder::Alive(Some(supervisor)) = lock.holder()? {
                self.signal(supervisor, Signal::SIGKILL)?;
            }
            if !self.ended_within(&lock, KILL).await? {
                return Err(Failure::Unstoppable { what: format!("the instance {}", self.name()) });
            }
        }
        Ok(())
    }

    fn signal(&self, process: Identity, signal: Signal) -> Result<(), Failure> {
        process.signal(signal).map(drop).map_err(|errno| Failure::io("stop", self.paths.folder())(errno.into()))
    }

    /// Whether supervisor and process 1 are gone within `time`. The second matters when the supervisor was killed: the kernel
    /// ends what it watched, in its own time.
    async fn ended_within(&self, lock: &LifeLock, time: Duration) -> Result<bool, Failure> {
        let deadline = Instant::now() + time;
        loop {
            let running: Option<Running> = atomic::read_json(&self.paths.running())?;
            let inside = running.is_some_and(|running| running.init.alive());
            if !inside && !lock.is_held()? {
                return Ok(true);
            }
            if Instant::now() >= deadline {
                return Ok(false);
            }
            sleep(LOOK).await;
        }
    }

    /// Whether anything of it lives.
    pub(crate) fn is_alive(&self) -> Result<bool, Failure> {
        Ok(matches!(self.status()?, Status::Running(_) | Status::Between))
    }

    /// The last lines of its log, without its secrets.
    pub(crate) fn last_lines(&self, count: usize) -> Result<Vec<String>, Failure> {
        let path = self.paths.log();
        let bytes = log::tail(&path).map_err(Failure::io("read", &path))?;
        let definition = self.definition()?;
        let secrets: Vec<Secret<String>> =
            definition.secret.iter().filter_map(|name| definition.env.get(name)).cloned().map(Secret::new).collect();
        Ok(log::last_lines(&schleuse_process::redact::redact(&bytes, &secrets), count))
    }

    /// Deletes it. It must have been stopped.
    pub(crate) fn delete(&self) -> Result<(), Failure> {
        match fs::remove_dir_all(self.paths.folder()) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(Failure::io("delete", self.paths.folder())(error))
            }
            _ => Ok(()),
        }
    }
}
