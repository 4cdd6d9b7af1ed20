//! The front door: a small TCP proxy that outlives the tool and survives every switch (the hidden verb `schleuse front-door`).
//!
//! # Expected flow
//! The tool starts it when it is needed ([`FrontDoor::ensure`]) and tells it where to send connections by replacing one file.
//! The door reads that file for every connection, so a switch is one rename, and needs neither the door's consent nor its
//! attention. It is asked through a socket in its folder how many connections each backend has, and to end idle ones.
//!
//! # Guarantees
//! - A new connection goes to exactly one backend: the one in the file when it is connected.
//! - An open connection is never moved; a request under way is never cut by a switch. Only a connection on which the backend has
//!   spoken last, and nobody for a quarter of a second, is closed when its backend is drained.
//! - A backend that does not accept is tried for two seconds, then the connection is closed.
//! - At most 4096 connections; further ones wait in the kernel's queue.
//!
//! # Caveats
//! It speaks TCP: it adds no header and encrypts nothing. A client that sends a request in the very moment in which its idle
//! connection is closed sees it closed, as with every server's keep-alive timeout.

mod control;
mod proxy;
mod server;

use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use nix::sys::signal::Signal;
use schleuse_process::{ProcessError, Program};
use serde::{Deserialize, Serialize};
use tokio::time::{Instant, sleep};

use crate::atomic;
use crate::failure::Failure;
use crate::identity::{Holder, LifeLock};
use control::{Answer, Request};

/// The hidden verb under which [`main`] is reached.
pub const VERB: &str = "front-door";
const FOLDER: &str = "--folder";

/// How long a door may take until it answers.
const START: Duration = Duration::from_secs(5);
/// How long it may take to end. It has nothing to finish.
const STOP: Duration = Duration::from_secs(2);
const LOOK: Duration = Duration::from_millis(10);

/// Runs the verb. `args` are the arguments after it. To be called outside any runtime.
pub fn main(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    let args: Vec<OsString> = args.into_iter().collect();
    match args.as_slice() {
        [flag, folder] if flag == FOLDER => server::main(Path::new(folder)),
        _ => ExitCode::from(2),
    }
}

/// What the door is to be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Settings {
    listen: SocketAddr,
}

/// Why a door could not open.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Refusal {
    listen: SocketAddr,
    taken: bool,
    why: String,
}

/// Where everything of a door lies.
#[derive(Clone, Debug)]
struct Places(PathBuf);

impl Places {
    fn settings(&self) -> PathBuf {
        self.0.join("settings.json")
    }
    fn refusal(&self) -> PathBuf {
        self.0.join("refusal.json")
    }
    fn backend(&self) -> PathBuf {
        self.0.join("backend")
    }
    fn lock(&self) -> PathBuf {
        self.0.join("life.lock")
    }
    fn log(&self) -> PathBuf {
        self.0.join("door.txt")
    }
}

/// A front door, from the tool's side.
#[derive(Clone, Debug)]
pub(crate) struct FrontDoor {
    places: Places,
    exe: PathBuf,
    listen: SocketAddr,
}

impl FrontDoor {
    pub(crate) fn new(folder: PathBuf, exe: PathBuf, listen: SocketAddr) -> Self {
        Self { places: Places(folder), exe, listen }
    }

    /// A door that an earlier configuration had, to stop it.
    pub(crate) fn leftover(folder: &Path) -> Self {
        Self::new(folder.to_owned(), PathBuf::new(), SocketAddr::from(([127, 0, 0, 1], 0)))
    }

    /// Sees to it that a door is open where it is to be: one that listens elsewhere is closed, one that is dead or hangs is
    /// replaced.
    pub(crate) async fn ensure(&self) -> Result<(), Failure> {
        atomic::create_folder(&self.places.0)?;
        if let Some(answer) = control::ask(&self.places.0, &Request::Status).await
            && answer.listen == self.listen
        {
            return Ok(());
        }
        self.stop().await?;
        atomic::write_json(&self.places.settings(), &Settings { listen: self.listen })?;
        atomic::remove(&self.places.refusal())?;
        let program = Program::new(&self.exe).arg(VERB).arg(FOLDER).arg(&self.places.0);
        match program.spawn_detached(&self.places.log()).await {
            Err(ProcessError::EndedAtOnce { .. }) | Ok(_) => {}
            Err(error) => return Err(error.into()),
        }
        let deadline = Instant::now() + START;
        while Instant::now() < deadline {
            if control::ask(&self.places.0, &Request::Status).await.is_some() {
                return Ok(());
            }
            if let Some(Refusal { listen, taken, why }) = atomic::read_json(&self.places.refusal())? {
                let address = listen;
                return Err(if taken {
                    Failure::PortTaken { address }
                } else {
                    Failure::CannotListen { address, why }
                });
            }
            sleep(LOOK).await;
        }
        Err(Failure::DoorSilent { address: self.listen })
    }

    /// From now on, new connections go there; `None`: they are closed.
    pub(crate) fn send_to(&self, backend: Option<SocketAddr>) -> Result<(), Failure> {
        let text = backend.map(|backend| backend.to_string()).unwrap_or_default();
        atomic::write(&self.places.backend(), text.as_bytes())
    }

    /// Waits until `backend` has no connection, at most `patience`; idle ones are closed. A door that is not there has none.
    pub(crate) async fn drain(&self, backend: SocketAddr, patience: Duration) -> Result<(), Failure> {
        let deadline = Instant::now() + patience;
        loop {
            let answer = control::ask(&self.places.0, &Request::Drain { backend }).await;
            let open = answer.and_then(|answer: Answer| answer.connections.get(&backend.to_string()).copied());
            if open.unwrap_or(0) == 0 || Instant::now() >= deadline {
                return Ok(());
            }
            sleep(LOOK).await;
        }
    }

    /// Closes the door, if there is one.
    pub(crate) async fn stop(&self) -> Result<(), Failure> {
        let lock = LifeLock::at(&self.places.lock());
        for signal in [Signal::SIGTERM, Signal::SIGKILL] {
            let deadline = Instant::now() + STOP;
            let mut asked = false;
            loop {
                match lock.holder()? {
                    Holder::Nobody => return Ok(()),
                    Holder::Alive(Some(door)) if !asked => {
                        asked = true;
                        door.signal(signal).map_err(|errno| Failure::io("stop", &self.places.0)(errno.into()))?;
                    }
                    Holder::Alive(_) => {}
                }
                if Instant::now() >= deadline {
                    break;
                }
                sleep(LOOK).await;
            }
        }
        Err(Failure::Unstoppable { what: "the front door".to_owned() })
    }
}
