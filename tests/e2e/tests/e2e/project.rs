//! A project in front of a registry: what a user of Schleuse has, in a folder that is gone afterwards.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, OnceLock};

use rand_core::OsRng;
use schleuse_client::Client;
use schleuse_deploy::local::{DRAIN, STOP_GRACE};
use schleuse_deploy::{LocalSettings, LocalTarget};
use schleuse_journal::{Journal, Names};
use schleuse_model::{Digest, Repository, Secret, SystemClock};
use schleuse_oci::manifest::{ImageConfig, ImageManifest};
use schleuse_oci::{Body, Descriptor, Pull as _, Push as _, media_type};
use schleuse_registry::Registry;
use schleuse_sign::{KeyPair, Role, SignOptions, Signer as _, Store, Trust, TrustedKey, sign_image};
use schleuse_testkit::{DockerRegistry, Proxy};
use tempfile::TempDir;
use tokio::runtime::Runtime;

use crate::run::{Output, Running};
use crate::{binary, http, image, processes};

/// The password of every key here. Never to be seen in any output.
pub(crate) const PASSWORD: &str = "the keys of the tests";

/// How a release is watched: as short as leaves room for a machine that does other things beside. A good release is judged after
/// a second; a sick one fails three probes in a row.
pub(crate) const HEALTH: &str = "path = \"/api/health\", interval = \"150ms\", timeout = \"150ms\", window = \"900ms\", \
                                 grace = \"300ms\", span = \"300ms\"";

/// What kind of registry.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Ours, in memory.
    #[default]
    Memory,
    /// Ours, in the project's folder.
    Disk,
    /// docker-registry 2.8.
    Docker,
}

/// One rung.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Rung {
    pub(crate) name: &'static str,
    /// Whether releases run there: on this machine, with a front door.
    pub(crate) local: bool,
}

/// How a project is set up.
#[derive(Clone, Debug)]
pub(crate) struct Setup {
    pub(crate) registry: Kind,
    /// Whether the fault proxy stands before the registry.
    pub(crate) proxy: bool,
    /// A git repository with a bare remote `origin`.
    pub(crate) git: bool,
    /// `auto`, `registry` or `git`.
    pub(crate) commit: &'static str,
    pub(crate) ladder: Vec<Rung>,
    /// The inside of the `health` table.
    pub(crate) health: String,
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            registry: Kind::Memory,
            proxy: false,
            git: false,
            commit: "auto",
            ladder: vec![
                Rung { name: "staging", local: false },
                Rung { name: "canary", local: true },
                Rung { name: "production", local: true },
            ],
            health: HEALTH.to_owned(),
        }
    }
}

#[derive(Debug)]
enum Server {
    Ours { _running: schleuse_registry::Running },
    Docker { _registry: DockerRegistry },
}

/// A project. Dropped, nothing is left of it.
#[derive(Debug)]
pub(crate) struct Project {
    pub(crate) proxy: Option<Proxy>,
    pub(crate) setup: Setup,
    folder: TempDir,
    /// Where the registry itself listens, behind the proxy.
    pub(crate) registry: SocketAddr,
    _server: Server,
    doors: BTreeMap<&'static str, SocketAddr>,
}

/// The runtime of what lives in this process: registries, and the tests' own clients.
pub(crate) fn runtime() -> &'static Runtime {
    static RUNTIME: OnceLock<Runtime> = OnceLock::new();
    RUNTIME.get_or_init(|| Runtime::new().expect("a runtime"))
}

/// The build key of all projects, and its encrypted file.
pub(crate) fn key() -> &'static (KeyPair, String) {
    static KEY: OnceLock<(KeyPair, String)> = OnceLock::new();
    KEY.get_or_init(|| {
        let key = KeyPair::generate(&mut OsRng).expect("a key");
        let file = key.encrypt(&Secret::new(PASSWORD.to_owned()), &mut OsRng).expect("a key file");
        (key, file)
    })
}

impl Project {
    /// The ladder staging, canary, production in front of a registry in memory.
    pub(crate) fn new() -> Self {
        Self::with(Setup::default())
    }

    pub(crate) fn with(setup: Setup) -> Self {
        let folder = tempfile::Builder::new().prefix("schleuse-e2e-").tempdir().expect("a temporary folder");
        let (server, registry) = serve(setup.registry, folder.path());
        let proxy = setup.proxy.then(|| Proxy::start(registry));
        let local: Vec<_> = setup.ladder.iter().filter(|rung| rung.local).map(|rung| rung.name).collect();
        let doors = local.iter().copied().zip(free_ports(local.len())).collect();
        let project = Self { proxy, setup, folder, registry, _server: server, doors };
        project.write("schleuse.pub", &key().0.public_key().to_pem());
        fs::create_dir(project.path("output")).expect("a folder");
        image::lay_out(&project.path("root"));
        project.configure("0.0.0", "");
        if project.setup.git {
            project.git(&["init", "--quiet"]);
            project.git(&["init", "--quiet", "--bare", "remote.git"]);
            project.git(&["remote", "add", "origin", &project.path("remote.git").display().to_string()]);
        }
        project
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).expect("the file is written");
    }

    /// The image's repository, as the configuration names it.
    pub(crate) fn repository(&self) -> Repository {
        let address = self.proxy.as_ref().map_or(self.registry, Proxy::address);
        format!("{address}/acme/billing").parse().expect("a repository")
    }

    /// The image by digest.
    pub(crate) fn image(&self, digest: &Digest) -> String {
        self.repository().pin(digest.clone()).to_string()
    }

    /// Writes schleuse.toml; the next build makes this version, sick in this way.
    pub(crate) fn configure(&self, version: &str, fault: &str) {
        let mut text = format!(
            "image = \"{image}\"\nsource = \"https://git.example/acme/billing\"\ncommit = \"{commit}\"\n\n\
             [build]\ncopy = [{{ from = \"root\", to = \"/\" }}]\nentrypoint = [\"{program}\"]\n\
             env = {{ APP_VERSION = \"{version}\", APP_FAULT = \"{fault}\" }}\nuser = \"10001\"\n",
            image = self.repository(),
            commit = self.setup.commit,
            program = image::PROGRAM,
        );
        for rung in &self.setup.ladder {
            write!(text, "\n[environment.{}]\n", rung.name).expect("text");
            if let Some(door) = self.doors.get(rung.name) {
                let health = &self.setup.health;
                write!(
                    text,
                    "host = \"local\"\nlisten = \"{door}\"\nport = 3000\nstate = \"state\"\nhealth = {{ {health} }}\n"
                )
                .expect("text");
            }
        }
        self.write("schleuse.toml", &text);
    }

    /// `schleuse ARGUMENTS`, to be changed and started by the caller. Nothing of our environment reaches it.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(binary::schleuse());
        command.args(arguments).current_dir(self.folder.path()).env_clear();
        command.env("HOME", self.folder.path()).env("PATH", "/usr/local/bin:/usr/bin:/bin").env("USER", "tester");
        command.env("SOURCE_DATE_EPOCH", "1790000000");
        command.env("COSIGN_PRIVATE_KEY", &key().1).env("COSIGN_PASSWORD", PASSWORD);
        command
    }

    /// Starts `schleuse ARGUMENTS`.
    pub(crate) fn spawn(&self, arguments: &[&str]) -> Running {
        self.start(self.command(arguments))
    }

    /// Starts a command of [`Project::command`].
    pub(crate) fn start(&self, command: Command) -> Running {
        Running::start(command, &self.path("output"))
    }

    /// Runs `schleuse ARGUMENTS` to its end.
    pub(crate) fn run(&self, arguments: &[&str]) -> Output {
        let output = self.spawn(arguments).wait();
        assert!(!format!("{output}").contains(PASSWORD), "the password is in the output");
        output
    }

    /// Builds a release with the real verb, and does not sign it.
    pub(crate) fn build(&self, version: &str, fault: &str) -> Digest {
        self.configure(version, fault);
        let commit: String = Digest::sha256(version.as_bytes()).hex().chars().take(40).collect();
        let build = ["build", "--commit", &commit, "--version", version, "--output", "build.json"];
        let built = self.run(&build).exits(0).stdout;
        let (_, digest) = built.trim().split_once('@').expect("an image by digest");
        digest.parse().expect("a digest")
    }

    /// Builds and signs a release with the real verbs.
    pub(crate) fn release(&self, version: &str, fault: &str) -> Digest {
        let digest = self.build(version, fault);
        self.run(&["sign", &self.image(&digest), "--build-manifest", "build.json"]).exits(0);
        digest
    }

    /// Another version of a release, made and signed without the program: for tests that need many.
    pub(crate) fn variant(&self, of: &Digest, version: &str, fault: &str) -> Digest {
        runtime().block_on(async {
            let (client, repository) = (self.client(), self.repository_behind_the_proxy());
            let manifest = client.manifest(&repository.pin(of.clone())).await.unwrap().expect("the release");
            let manifest = manifest.as_image().unwrap();
            let config = client.blob(&repository, &manifest.config.digest, 1 << 20).await.unwrap().expect("its config");
            let mut config: ImageConfig = schleuse_model::json::from_untrusted(&config, 1 << 20).unwrap();
            config.config.env.retain(|pair| !pair.starts_with("APP_"));
            config.config.env.extend([format!("APP_VERSION={version}"), format!("APP_FAULT={fault}")]);
            config.config.labels.insert("org.opencontainers.image.version".to_owned(), version.to_owned());
            let config = schleuse_model::json::to_bytes(&config);
            let descriptor = Descriptor::of(media_type::IMAGE_CONFIG, &config);
            client.push_blob(&repository, &descriptor, Body::Bytes(config.into())).await.unwrap();
            let image = ImageManifest::new(descriptor, manifest.layers).to_manifest();
            client.push_manifest(&repository, &image).await.unwrap();
            let pinned = repository.pin(image.digest().clone());
            let store = Store { pull: &client, push: &client, referrers: &client };
            let options = SignOptions { legacy: false, ..SignOptions::default() };
            let now = schleuse_model::Clock::now(&SystemClock);
            sign_image(store, &pinned, &key().0, &options, now).await.unwrap();
            image.digest().clone()
        })
    }

    /// A client of the tests' own.
    pub(crate) fn client(&self) -> Client {
        Client::builder().build().expect("a client")
    }

    fn repository_behind_the_proxy(&self) -> Repository {
        format!("{}/acme/billing", self.registry).parse().expect("a repository")
    }

    /// What the environment's tag points to. Asked behind the proxy's back.
    pub(crate) fn tag(&self, environment: &str) -> Option<Digest> {
        let tag = self.repository_behind_the_proxy().tag(environment.parse().expect("a tag"));
        runtime().block_on(self.client().resolve(&tag)).expect("an answer").map(|pinned| pinned.digest().clone())
    }

    /// The trust of all projects.
    pub(crate) fn trust() -> Arc<Trust> {
        let key = TrustedKey::new(key().0.public_key().clone(), [Role::Build]);
        Arc::new(Trust::new([key]).expect("one key"))
    }

    /// The environment's journal, to read.
    pub(crate) fn journal(&self, environment: &str) -> Journal {
        let names = Names::beside(self.repository()).expect("names");
        let environment = environment.parse().expect("a name");
        Journal::new(names, environment, Self::trust(), Arc::new(self.client()), None)
    }

    /// The environment's front door.
    pub(crate) fn front_door(&self, environment: &str) -> SocketAddr {
        self.doors[environment]
    }

    /// What users get: status and body of `GET path` through the front door.
    pub(crate) fn get(&self, environment: &str, path: &str) -> Option<(u16, String)> {
        http::get(self.front_door(environment), path)
    }

    /// The folder of the environment's target.
    pub(crate) fn state(&self, environment: &str) -> PathBuf {
        self.path("state").join(environment)
    }

    /// How many instances live in the environment.
    pub(crate) fn instances(&self, environment: &str) -> usize {
        processes::instances(&self.state(environment))
    }

    /// The environment's target.
    pub(crate) fn target(&self, environment: &str) -> LocalTarget {
        let settings = LocalSettings {
            root: self.path("state"),
            environment: environment.parse().expect("a name"),
            exe: binary::schleuse().to_owned(),
            listen: Some(self.front_door(environment)),
            port: Some(3000),
            env: BTreeMap::new(),
            stop_grace: STOP_GRACE,
            drain: DRAIN,
        };
        LocalTarget::new(settings, Arc::new(self.client()))
    }

    pub(crate) fn git(&self, arguments: &[&str]) -> String {
        let mut git = Command::new("git");
        git.args(arguments).current_dir(self.folder.path()).env_clear().env("PATH", "/usr/local/bin:/usr/bin:/bin");
        git.env("HOME", self.folder.path());
        let output = git.output().expect("git starts");
        assert!(output.status.success(), "git {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    }
}

impl Drop for Project {
    fn drop(&mut self) {
        for environment in self.doors.keys() {
            let target = self.target(environment);
            // What does not stop now is killed below.
            let _ = runtime().block_on(target.remove());
        }
        let left = processes::kill_below(self.folder.path());
        assert!(left.is_empty() || std::thread::panicking(), "left behind: {left:#?}");
    }
}

fn serve(kind: Kind, folder: &Path) -> (Server, SocketAddr) {
    let registry = match kind {
        Kind::Memory => Registry::memory(),
        Kind::Disk => Registry::disk(folder.join("registry")).expect("a registry"),
        Kind::Docker => {
            let registry = DockerRegistry::start();
            let address = registry.address();
            return (Server::Docker { _registry: registry }, address);
        }
    };
    let running = runtime().block_on(registry.spawn(SocketAddr::from(([127, 0, 0, 1], 0)))).expect("a registry");
    let address = running.addr();
    (Server::Ours { _running: running }, address)
}

/// Ports that are free now, no two alike in this process. Below those that the kernel gives to whoever connects (ip(7)), and beside
/// those that the local target takes: the front door listens only later.
fn free_ports(count: usize) -> Vec<SocketAddr> {
    const FIRST: u32 = 10_000;
    const COUNT: u32 = 10_000;
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let start = std::process::id() * 97;
    let ports = std::iter::repeat_with(|| FIRST + start.wrapping_add(NEXT.fetch_add(1, Ordering::Relaxed)) % COUNT);
    let addresses = ports.map(|port| SocketAddr::from(([127, 0, 0, 1], u16::try_from(port).expect("a port"))));
    addresses.filter(|at| TcpListener::bind(at).is_ok()).take(count).collect()
}
