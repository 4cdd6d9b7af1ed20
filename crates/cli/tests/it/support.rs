//! Runs the binary: nothing of the surrounding environment reaches it, and what is started is stopped.

use std::io::{BufRead, BufReader};
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tempfile::TempDir;

/// The password of every key that the tests make. Never to be seen in any output.
pub(crate) const PASSWORD: &str = "correct horse battery staple";

/// A run of the binary.
pub(crate) struct Run(Command);

/// `schleuse ARGUMENTS` in `folder`.
#[allow(clippy::disallowed_methods, reason = "a test starts the program under test")]
pub(crate) fn schleuse(folder: &Path, arguments: &[&str]) -> Run {
    let mut command = Command::new(env!("CARGO_BIN_EXE_schleuse"));
    command.args(arguments).current_dir(folder).env_clear().env("HOME", folder).env("PATH", "/usr/bin:/bin");
    command.stdin(Stdio::null());
    Run(command)
}

impl Run {
    /// With this variable.
    pub(crate) fn env(mut self, name: &str, value: &str) -> Self {
        self.0.env(name, value);
        self
    }

    /// With files of at most so many blocks of 512 bytes.
    #[allow(clippy::disallowed_methods, reason = "a test starts the program under test")]
    pub(crate) fn file_limit(self, blocks: u32) -> Self {
        let mut shell = Command::new("/bin/sh");
        shell.arg("-c").arg(format!("ulimit -f {blocks}; exec \"$0\" \"$@\"")).arg(self.0.get_program());
        shell.args(self.0.get_args()).env_clear().stdin(Stdio::null());
        shell.envs(self.0.get_envs().filter_map(|(name, value)| Some((name, value?))));
        shell.current_dir(self.0.get_current_dir().expect("it has one"));
        Self(shell)
    }

    /// Runs it to its end.
    pub(crate) fn done(mut self) -> Done {
        Done(self.0.output().expect("the binary starts"))
    }

    /// Starts it and waits for the line that says where it listens, on stderr.
    pub(crate) fn serving(mut self) -> Server {
        let child = self.0.stderr(Stdio::piped()).spawn().expect("the binary starts");
        let mut server = Server { child, address: SocketAddr::from(([127, 0, 0, 1], 0)) };
        let mut lines = BufReader::new(server.child.stderr.take().expect("piped")).lines();
        let mut said = String::new();
        while let Some(Ok(line)) = lines.next() {
            if let Some((_, address)) = line.split_once("listening on http://") {
                server.address = address.parse().expect("an address");
                // Whoever writes to a closed pipe fails: keep reading.
                std::thread::spawn(move || lines.for_each(drop));
                return server;
            }
            said.push_str(&line);
        }
        panic!("it did not start: {said}");
    }

    /// The command, to be started by the caller.
    pub(crate) fn command(self) -> Command {
        self.0
    }
}

/// What a run gave.
pub(crate) struct Done(Output);

impl Done {
    /// The exit code; the whole output if it is another one.
    #[track_caller]
    pub(crate) fn exits(self, code: i32) -> Self {
        assert_eq!(self.0.status.code(), Some(code), "stdout:\n{}\nstderr:\n{}", self.stdout(), self.stderr());
        self
    }

    pub(crate) fn stdout(&self) -> String {
        String::from_utf8_lossy(&self.0.stdout).into_owned()
    }

    pub(crate) fn stderr(&self) -> String {
        String::from_utf8_lossy(&self.0.stderr).into_owned()
    }

    /// stdout as JSON: what stands under `result` or `error`.
    #[allow(clippy::disallowed_methods, reason = "a test reads the output of the program under test")]
    #[track_caller]
    pub(crate) fn json(&self, part: &str) -> serde_json::Value {
        let mut json: serde_json::Value =
            serde_json::from_str(&self.stdout()).unwrap_or_else(|error| panic!("{error} in {}", self.stdout()));
        assert_eq!(json["format"], "json-v1");
        json[part].take()
    }
}

/// A server that is stopped when dropped.
pub(crate) struct Server {
    child: Child,
    pub(crate) address: SocketAddr,
}

impl Server {
    pub(crate) fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(i32::try_from(self.child.id()).unwrap()), signal).unwrap();
    }

    pub(crate) fn wait(&mut self) -> ExitStatus {
        self.child.wait().unwrap()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A registry in memory.
pub(crate) fn registry() -> Server {
    let folder = std::env::temp_dir();
    schleuse(&folder, &["registry", "serve", "--memory", "--listen", "127.0.0.1:0"]).serving()
}

/// An address nobody listens on.
pub(crate) fn nobody() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

/// A service's checkout: configuration, an application, a key, one commit.
pub(crate) struct Checkout {
    folder: TempDir,
    pub(crate) image: String,
}

impl Checkout {
    /// For images in the registry at `address`.
    pub(crate) fn new(address: SocketAddr) -> Self {
        let checkout = Self { folder: tempfile::tempdir().unwrap(), image: format!("{address}/acme/billing") };
        let configuration = format!(
            "image = \"{}\"\nsource = \"https://github.com/acme/billing\"\n\n[build]\ncopy = [{{ from = \"app\", to = \
             \"/app\" }}]\nentrypoint = [\"/app/run\"]\n\n[environment.dev]\n\n[trust]\nbuild = [\"schleuse.pub\"]\n",
            checkout.image
        );
        checkout.write("schleuse.toml", &configuration);
        checkout.write("app/run", "#!/bin/sh\necho hello\n");
        checkout.write(".gitignore", "*.key\nbuild.json\n");
        checkout.generate("schleuse");
        checkout.git(&["init", "--quiet"]);
        checkout.git(&["add", "."]);
        checkout.git(&["commit", "--quiet", "--message", "first"]);
        checkout
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.folder.path().to_owned()
    }

    pub(crate) fn write(&self, name: &str, text: &str) {
        let path = self.folder.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    /// Makes a key pair.
    pub(crate) fn generate(&self, prefix: &str) {
        self.run(&["key", "generate", "--output-prefix", prefix]).done().exits(0);
    }

    /// `schleuse` here, with the key's password at hand.
    pub(crate) fn run(&self, arguments: &[&str]) -> Run {
        schleuse(self.folder.path(), arguments).env("COSIGN_PASSWORD", PASSWORD)
    }

    #[allow(clippy::disallowed_methods, reason = "a test sets up a checkout")]
    pub(crate) fn git(&self, arguments: &[&str]) -> String {
        let mut git = Command::new("git");
        git.args(arguments).current_dir(self.folder.path()).env_clear().env("PATH", "/usr/bin:/bin");
        for name in ["GIT_AUTHOR_NAME", "GIT_COMMITTER_NAME"] {
            git.env(name, "Test");
        }
        for name in ["GIT_AUTHOR_EMAIL", "GIT_COMMITTER_EMAIL"] {
            git.env(name, "test@example.com");
        }
        let output = git.output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    }
}
