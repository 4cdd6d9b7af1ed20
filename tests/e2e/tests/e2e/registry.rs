//! `schleuse registry serve` before the programs of others: the conformance suite of the specification, Docker, skopeo, crane.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use tempfile::TempDir;

use crate::binary;
use crate::run::{Output, Running};

mod clients;
mod conformance;
mod load;

/// How long the server may take to say that it listens.
const START: Duration = Duration::from_secs(30);

/// A registry in a folder of its own. Killed when dropped.
#[derive(Debug)]
pub(crate) struct Server {
    running: Running,
    pub(crate) address: SocketAddr,
    folder: TempDir,
}

impl Server {
    /// With these further arguments; relative paths in them are below a new folder, which `prepare` fills.
    pub(crate) fn start(arguments: &[&str], prepare: impl FnOnce(&Path)) -> Self {
        let folder = tempfile::Builder::new().prefix("schleuse-e2e-").tempdir().expect("a temporary folder");
        prepare(folder.path());
        let mut command = Command::new(binary::schleuse());
        command.args(["registry", "serve", "--folder", "store", "--listen", "127.0.0.1:0"]).args(arguments);
        command.current_dir(folder.path()).env_clear();
        let mut running = Running::start(command, folder.path());
        let began = Instant::now();
        let address = loop {
            let said = running.stderr();
            let line = said.lines().find_map(|line| line.split_once("listening on ")?.1.split_once("://"));
            if let Some(address) = line.and_then(|(_, address)| address.parse().ok()) {
                break address;
            }
            assert!(!running.has_ended() && began.elapsed() < START, "it does not listen: {said}");
            std::thread::sleep(Duration::from_millis(5));
        };
        Self { running, address, folder }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Asks it to stop, and waits until it has.
    pub(crate) fn stop(self) -> Output {
        kill(self.running.pid(), Signal::SIGTERM).expect("it runs");
        self.running.wait()
    }
}
