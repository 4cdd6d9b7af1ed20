//! A registry, a project with a key, signed releases, and the commands that are timed.

use std::cell::Cell;
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Command, Stdio};

use tempfile::TempDir;

use crate::server::{Kind, Programs, Server};

const PASSWORD: &str = "bench";
/// No transparency log, no timestamps: what cosign signs goes nowhere but to the registry.
const OFFLINE: &str =
    r#"{"mediaType":"application/vnd.dev.sigstore.signingconfig.v0.2+json","rekorTlogConfig":{},"tsaConfig":{}}"#;
/// A project in front of a registry.
#[derive(Debug)]
pub(crate) struct Scene<'a> {
    programs: &'a Programs,
    folder: TempDir,
    repository: String,
    key: String,
    /// Builds so far: each has other content.
    builds: Cell<usize>,
    _server: Option<Server>,
}

impl<'a> Scene<'a> {
    /// A project of its own with a registry of its own.
    pub(crate) fn new(kind: Kind, programs: &'a Programs) -> Self {
        let server = kind.serve(programs);
        Self::at(kind, server.address, Some(server), programs)
    }

    /// The same, with the registry reached at `address`.
    pub(crate) fn at(kind: Kind, address: SocketAddr, server: Option<Server>, programs: &'a Programs) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let repository = format!("{address}/acme/billing");
        let key = String::new();
        let mut scene = Self { programs, folder, repository, key, builds: Cell::new(0), _server: server };
        std::fs::create_dir(scene.folder.path().join("root")).expect("a folder");
        let config = format!(
            "image = \"{}\"\nsource = \"https://git.example/acme/billing\"\n\
             [build]\ncopy = [{{ from = \"root\", to = \"/\" }}]\nentrypoint = [\"/release\"]\n\
             [environment.staging]\n[environment.production]\n",
            scene.repository
        );
        scene.write("schleuse.toml", &config);
        scene.write("offline.json", OFFLINE);
        for setting in ["init --quiet", "config user.name bench", "config user.email bench@example.org"] {
            scene.git(&setting.split(' ').collect::<Vec<_>>());
        }
        if kind == Kind::DockerRegistryAndGit {
            scene.git(&["init", "--quiet", "--bare", "remote.git"]);
            let remote = scene.folder.path().join("remote.git").display().to_string();
            scene.git(&["remote", "add", "origin", &remote]);
        }
        scene.run(&mut scene.schleuse(&["key", "generate"]));
        scene.key = std::fs::read_to_string(scene.folder.path().join("schleuse.key")).expect("the new key");
        scene
    }

    /// Builds and signs so many releases; each by digest.
    pub(crate) fn releases(&self, count: usize) -> Vec<String> {
        let release = |_| {
            let image = self.unsigned();
            self.run(&mut self.schleuse(&["sign", "--quiet", "--build-manifest", "build.json", &image]));
            image
        };
        (1..=count).map(release).collect()
    }

    /// Builds an image that nobody has signed; by digest.
    pub(crate) fn unsigned(&self) -> String {
        self.builds.set(self.builds.get() + 1);
        self.write("root/release", &format!("release {}\n", self.builds.get()));
        self.git(&["add", "root"]);
        self.git(&["commit", "--quiet", "--message", "release"]);
        let image = self.run(&mut self.schleuse(&["build", "--quiet", "--output", "build.json"]));
        image.trim().to_owned()
    }

    pub(crate) fn promote(&self, environment: &str, image: &str) -> Command {
        self.schleuse(&["promote", environment, image])
    }

    pub(crate) fn verify(&self, images: &[&str]) -> Command {
        self.schleuse(&[&["verify", "--key", "schleuse.pub"], images].concat())
    }

    pub(crate) fn sign(&self, formats: &str, image: &str) -> Command {
        self.schleuse(&["sign", "--formats", formats, image])
    }

    pub(crate) fn key_public(&self) -> Command {
        self.schleuse(&["key", "public", "schleuse.key"])
    }

    pub(crate) fn version(&self) -> Command {
        self.schleuse(&["--version"])
    }

    /// Moves a tag to `image`, by raw bytes, and checks nothing.
    pub(crate) fn skopeo_copy(&self, image: &str) -> Command {
        let mut command = self.peer("skopeo");
        command.args(["copy", "--quiet", "--insecure-policy", "--preserve-digests"]);
        command.args(["--src-tls-verify=false", "--dest-tls-verify=false", &format!("docker://{image}")]);
        command.arg(format!("docker://{}:skopeo", self.repository));
        command
    }

    /// The same by us.
    pub(crate) fn tag(&self, image: &str) -> Command {
        self.schleuse(&["image", "tag", image, "schleuse"])
    }

    pub(crate) fn cosign_verify(&self, image: &str) -> Command {
        let by = ["verify", "--key", "schleuse.pub", "--insecure-ignore-tlog", "--allow-http-registry", image];
        self.cosign(&by)
    }

    pub(crate) fn cosign_sign(&self, image: &str) -> Command {
        let by = ["sign", "--yes", "--key", "schleuse.key", "--allow-http-registry"];
        self.cosign(&[&by[..], &["--signing-config", "offline.json", image]].concat())
    }

    /// cosign 3.1 with the key's password.
    pub(crate) fn cosign(&self, arguments: &[&str]) -> Command {
        let mut command = self.peer("cosign-3.1");
        command.args(arguments).env("COSIGN_PASSWORD", PASSWORD);
        command
    }

    fn schleuse(&self, arguments: &[&str]) -> Command {
        let mut command = self.command(&self.programs.schleuse);
        command.args(arguments).env("COSIGN_PASSWORD", PASSWORD).env("COSIGN_PRIVATE_KEY", &self.key);
        command
    }

    fn peer(&self, name: &str) -> Command {
        self.command(&self.programs.peers.join(name))
    }

    fn git(&self, arguments: &[&str]) {
        self.run(self.command(Path::new("git")).args(arguments));
    }

    /// In the project's folder, with an environment that has nothing of this machine but the path.
    fn command(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        command.current_dir(self.folder.path()).env_clear().env("HOME", self.folder.path()).env("USER", "bench");
        command.env("PATH", std::env::var_os("PATH").unwrap_or_default());
        command
    }

    fn run(&self, command: &mut Command) -> String {
        let output = command.stdin(Stdio::null()).output().expect("the program starts");
        let said = || String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{command:?}: {}\n{}", output.status, said());
        String::from_utf8(output.stdout).expect("text")
    }

    fn write(&self, name: &str, text: &str) {
        std::fs::write(self.folder.path().join(name), text).expect("the file is written");
    }
}
