//! The real `docker-registry` (distribution 2.8), as a peer.

use std::fs::File;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tempfile::TempDir;

use crate::peer;

/// How long it may take to answer: 10 s in steps of [`STEP`]. It takes 0.1 s on an idle machine.
const STEPS: u32 = 200;
const STEP: Duration = Duration::from_millis(50);

/// A running docker-registry on a free loopback port, with a folder of its own and deletion switched on. Killed when dropped.
#[derive(Debug)]
pub struct DockerRegistry {
    child: Child,
    address: SocketAddr,
    folder: TempDir,
}

impl DockerRegistry {
    /// Starts one and waits until it answers.
    ///
    /// # Panics
    /// If it is not installed (the message says how to), or does not answer within 10 s.
    pub fn start() -> Self {
        // The port is free when it is chosen; should another process take it in between, the next try takes another.
        (0..5).find_map(|_| Self::try_start()).expect("docker-registry did not answer; see its output above")
    }

    #[allow(clippy::disallowed_methods, reason = "a peer that runs beside the test, killed by its own handle")]
    fn try_start() -> Option<Self> {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let free = TcpListener::bind(("127.0.0.1", 0)).and_then(|listener| listener.local_addr());
        let address = free.expect("a free loopback port");
        let config = folder.path().join("config.yml");
        std::fs::write(&config, config_text(folder.path(), address)).expect("the configuration is written");
        let mut command = Command::new(peer("docker-registry"));
        // To a file: to its log each 404 is an error, and tests ask for much that is not there.
        let log = File::create(folder.path().join("log")).expect("a file");
        command.arg("serve").arg(&config).env_clear().stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        let child = command.spawn().expect("docker-registry starts");
        let mut registry = Self { child, address, folder };
        for _ in 0..STEPS {
            if matches!(registry.child.try_wait(), Ok(Some(_)) | Err(_)) {
                return registry.failed();
            }
            if answers(address) {
                return Some(registry);
            }
            std::thread::sleep(STEP);
        }
        registry.failed()
    }

    /// Shows what it said.
    fn failed(&self) -> Option<Self> {
        // What cannot be shown is missed only by a person who looks for it.
        let log = std::fs::read(self.folder.path().join("log")).unwrap_or_default();
        let _ = std::io::stderr().write_all(&log);
        None
    }

    /// Where it listens.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where it keeps its data.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }
}

impl Drop for DockerRegistry {
    fn drop(&mut self) {
        // It may have ended by itself; then there is nothing to kill.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn config_text(folder: &Path, address: SocketAddr) -> String {
    let data = folder.join("data");
    format!(
        "version: 0.1\n\
         log:\n  level: error\n  accesslog:\n    disabled: true\n\
         storage:\n  filesystem:\n    rootdirectory: {}\n  delete:\n    enabled: true\n\
         http:\n  addr: {address}\n",
        data.display()
    )
}

fn answers(address: SocketAddr) -> bool {
    let ask = || -> std::io::Result<bool> {
        let mut stream = TcpStream::connect_timeout(&address, STEP)?;
        stream.set_read_timeout(Some(Duration::from_secs(1)))?;
        stream.write_all(b"GET /v2/ HTTP/1.0\r\nHost: x\r\n\r\n")?;
        let mut start = [0; 12];
        stream.read_exact(&mut start)?;
        Ok(&start[9..] == b"200")
    };
    ask().unwrap_or(false)
}
