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

/// How one is set up.
#[derive(Clone, Copy, Debug)]
pub struct Setup {
    /// Whether manifests can be deleted.
    pub delete: bool,
    /// Whether it wants the login [`USERNAME`] and [`PASSWORD`].
    pub login: bool,
    /// Certificate and key (PEM): it speaks HTTPS.
    pub tls: Option<(&'static [u8], &'static [u8])>,
}

impl Default for Setup {
    fn default() -> Self {
        Self { delete: true, login: false, tls: None }
    }
}

/// The user that a registry with [`Setup::login`] knows.
pub const USERNAME: &str = "ci";
/// The password.
pub const PASSWORD: &str = "correct horse";
/// Both, as `htpasswd -B` writes them, at the lowest cost: tests log in often.
pub const HTPASSWD: &str = "ci:$2b$04$abcdefghijklmnopqrstuujydOTSfIH/d5oUHpsygqV5X9xJLQc6e\n";

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
        Self::start_as(Setup::default())
    }

    /// The same, set up otherwise.
    ///
    /// # Panics
    /// As [`DockerRegistry::start`].
    pub fn start_as(setup: Setup) -> Self {
        // The port is free when it is chosen; should another process take it in between, the next try takes another.
        (0..5).find_map(|_| Self::try_start(setup)).expect("docker-registry did not answer; see its output above")
    }

    #[allow(clippy::disallowed_methods, reason = "a peer that runs beside the test, killed by its own handle")]
    fn try_start(setup: Setup) -> Option<Self> {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let free = TcpListener::bind(("127.0.0.1", 0)).and_then(|listener| listener.local_addr());
        let address = free.expect("a free loopback port");
        let config = folder.path().join("config.yml");
        std::fs::write(&config, config_text(folder.path(), address, setup)).expect("the configuration is written");
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

fn config_text(folder: &Path, address: SocketAddr, setup: Setup) -> String {
    let file = |name: &str, content: &[u8]| {
        std::fs::write(folder.join(name), content).expect("a file is written");
        folder.join(name).display().to_string()
    };
    let tls = setup.tls.map_or_else(String::new, |(certificate, key)| {
        let (certificate, key) = (file("server.pem", certificate), file("key.pem", key));
        format!("  tls:\n    certificate: {certificate}\n    key: {key}\n")
    });
    let login = match setup.login {
        true => format!("auth:\n  htpasswd:\n    realm: test\n    path: {}\n", file("htpasswd", HTPASSWD.as_bytes())),
        false => String::new(),
    };
    let data = folder.join("data");
    format!(
        "version: 0.1\n\
         log:\n  level: error\n  accesslog:\n    disabled: true\n\
         storage:\n  filesystem:\n    rootdirectory: {}\n  delete:\n    enabled: {}\n\
         {login}http:\n  addr: {address}\n{tls}",
        data.display(),
        setup.delete,
    )
}

fn answers(address: SocketAddr) -> bool {
    let ask = || -> std::io::Result<bool> {
        let mut stream = TcpStream::connect_timeout(&address, STEP)?;
        stream.set_read_timeout(Some(Duration::from_secs(1)))?;
        stream.write_all(b"GET /v2/ HTTP/1.0\r\nHost: x\r\n\r\n")?;
        let mut start = [0; 12];
        stream.read_exact(&mut start)?;
        // 401: it wants a login. 400: it wants TLS, and says so in plain HTTP.
        Ok(matches!(&start[9..], b"200" | b"400" | b"401"))
    };
    ask().unwrap_or(false)
}
