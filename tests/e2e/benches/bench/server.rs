//! The programs that are compared, and registries to compare them at.

use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// How long a registry may take until it answers.
const PATIENCE: Duration = Duration::from_secs(10);

/// The programs that are compared.
#[derive(Debug)]
pub(crate) struct Programs {
    pub(crate) schleuse: PathBuf,
    pub(crate) peers: PathBuf,
}

impl Programs {
    /// Builds ours as it is released, and has the pinned peers installed.
    pub(crate) fn at_hand() -> Self {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        let mut build = Command::new(env!("CARGO"));
        build.current_dir(&root).args(["build", "--locked", "--release", "--package", "schleuse-cli"]);
        assert!(build.status().expect("cargo starts").success(), "the program cannot be built");
        let peers = Command::new(root.join("tools/peers/install.sh")).stderr(Stdio::inherit()).output();
        let peers = peers.expect("the peers' script starts");
        assert!(peers.status.success(), "the peers cannot be installed");
        let peers = String::from_utf8(peers.stdout).expect("a path").trim().into();
        // This program is target/release/deps/bench-…
        let here = std::env::current_exe().expect("this program lies somewhere");
        let schleuse = here.ancestors().nth(2).expect("cargo's folder").join("schleuse");
        assert!(schleuse.is_file(), "{} is not there", schleuse.display());
        Self { schleuse, peers }
    }
}

/// Which registry, and so which commit point.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Ours, on disk: its tags can be created once.
    Embedded,
    /// docker-registry 2.8, whose tags cannot; a bare git repository keeps the order.
    DockerRegistryAndGit,
}

/// A registry of a process of its own; killed when dropped.
#[derive(Debug)]
pub(crate) struct Server {
    child: Child,
    pub(crate) address: SocketAddr,
    _folder: TempDir,
}

impl Kind {
    /// Starts the registry and waits until it answers.
    pub(crate) fn serve(self, programs: &Programs) -> Server {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).and_then(|listener| listener.local_addr());
        let address = free.expect("a free loopback port");
        let mut command = match self {
            Self::Embedded => {
                let mut command = Command::new(&programs.schleuse);
                command.args(["registry", "serve", "--quiet", "--listen", &address.to_string(), "--folder"]);
                command.arg(folder.path().join("data"));
                command
            }
            Self::DockerRegistryAndGit => {
                let config = folder.path().join("config.yml");
                let text = format!(
                    "version: 0.1\nlog:\n  level: error\n  accesslog:\n    disabled: true\n\
                     storage:\n  filesystem:\n    rootdirectory: {}\nhttp:\n  addr: {address}\n",
                    folder.path().join("data").display()
                );
                std::fs::write(&config, text).expect("the configuration is written");
                let mut command = Command::new(programs.peers.join("docker-registry"));
                command.arg("serve").arg(config);
                command
            }
        };
        command.env_clear().stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let server = Server { child: command.spawn().expect("the registry starts"), address, _folder: folder };
        let began = Instant::now();
        while TcpStream::connect(address).is_err() {
            assert!(began.elapsed() < PATIENCE, "the registry does not answer");
            std::thread::sleep(Duration::from_millis(20));
        }
        server
    }
}

impl Server {
    /// The most memory it has had at a time so far, in MiB.
    pub(crate) fn peak(&self) -> f64 {
        self.memory("VmHWM:")
    }

    /// What it has now, in MiB.
    pub(crate) fn resident(&self) -> f64 {
        self.memory("VmRSS:")
    }

    fn memory(&self, field: &str) -> f64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).expect("it runs");
        let line = status.lines().find_map(|line| line.strip_prefix(field)).expect("the kernel's figure");
        let kib: f64 = line.trim().trim_end_matches(" kB").parse().expect("a number");
        kib / 1024.0
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
