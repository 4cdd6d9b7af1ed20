//! Docker, skopeo and crane push to the embedded registry and pull from it what another of them has pushed: with and without
//! users, with and without TLS.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use schleuse_testkit::{Certificates, peer};
use tempfile::TempDir;

use super::Server;

/// `ci` with the password `U*U` (Openwall's first vector, as `htpasswd` would write it).
const USERS: &str = "ci:$2y$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW\n";
const USER: &str = "ci";
const PASSWORD: &str = "U*U";

/// A private Docker Engine (tools/engine.sh); it needs root. Ended when dropped.
struct Engine {
    folder: TempDir,
    host: String,
}

impl Engine {
    fn start() -> Self {
        let folder = tempfile::Builder::new().prefix("schleuse-engine-").tempdir().expect("a temporary folder");
        let (good, said) = run(Self::script().arg("start").arg(folder.path().join("engine")), "");
        assert!(good, "{said}");
        let host = said.lines().find(|line| line.starts_with("unix://")).expect("where it listens").to_owned();
        Self { folder, host }
    }

    fn script() -> Command {
        Command::new(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tools/engine.sh"))
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        let (good, said) = run(Self::script().arg("stop").arg(self.folder.path().join("engine")), "");
        // A second panic would hide the first.
        if !good && !std::thread::panicking() {
            panic!("{said}");
        }
    }
}

/// Runs it with `input`. Answers whether it succeeded, and all that it said.
fn run(command: &mut Command, input: &str) -> (bool, String) {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    // One that reads no input may have ended.
    let _ = child.stdin.take().expect("piped").write_all(input.as_bytes());
    let output = child.wait_with_output().expect("its end");
    let said = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat();
    (output.status.success(), said)
}

#[track_caller]
fn good(command: &mut Command) -> String {
    let (good, said) = run(command, "");
    assert!(good, "{command:?}\n{said}");
    said
}

/// A registry, and how its clients reach it.
struct Scene {
    server: Server,
    /// Where users or TLS are switched on.
    users: bool,
    authority: Option<PathBuf>,
}

impl Scene {
    fn start(users: bool, tls: bool) -> Self {
        let mut authority = None;
        let mut arguments = Vec::new();
        if users {
            arguments.extend(["--htpasswd", "users"]);
        }
        if tls {
            arguments.extend(["--tls-cert", "x-cert.pem", "--tls-key", "x-key.pem"]);
        }
        let server = Server::start(&arguments, |folder| {
            fs::write(folder.join("users"), USERS).expect("the file of users");
            let files = tls.then(|| Certificates::make(folder, "x"));
            // skopeo takes a folder of certificates.
            fs::create_dir(folder.join("certs")).expect("a folder");
            if let Some(files) = files {
                fs::copy(&files.authority, folder.join("certs/ca.crt")).expect("a copy");
                authority = Some(files.authority);
            }
        });
        let scene = Self { server, users, authority };
        fs::create_dir(scene.server.path("config")).expect("a folder");
        scene.write_login(PASSWORD);
        scene
    }

    fn image(&self, name: &str) -> String {
        format!("{}/{name}", self.server.address)
    }

    /// Docker's file of logins, which all three read.
    fn write_login(&self, password: &str) {
        let text = if self.users {
            let address = self.server.address;
            let pair = format!("{USER}:{password}");
            format!("{{\"auths\":{{\"{address}\":{{\"auth\":\"{}\"}}}}}}", base64(pair.as_bytes()))
        } else {
            "{}".to_owned()
        };
        fs::write(self.server.path("config/config.json"), text).expect("the file of logins");
    }

    fn docker(&self, engine: &Engine, arguments: &[&str]) -> Command {
        let mut command = Command::new(peer("docker"));
        command.env_clear().env("HOME", self.server.path(".")).env("DOCKER_CONFIG", self.server.path("config"));
        command.args(["--host", &engine.host]).args(arguments);
        command
    }

    /// `skopeo copy`; `side` is the one that is the registry, `src` or `dest`.
    fn skopeo(&self, side: &str, from: &str, to: &str) -> Command {
        let mut command = Command::new(peer("skopeo"));
        command.env_clear().env("HOME", self.server.path(".")).current_dir(self.server.path("."));
        command.env("REGISTRY_AUTH_FILE", self.server.path("config/config.json"));
        command.args(["--insecure-policy", "copy", "--preserve-digests"]);
        match &self.authority {
            Some(_) => command.arg(format!("--{side}-cert-dir")).arg(self.server.path("certs")),
            None => command.arg(format!("--{side}-tls-verify=false")),
        };
        command.args([from, to]);
        command
    }

    fn crane(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(peer("crane"));
        command.env_clear().env("HOME", self.server.path(".")).env("DOCKER_CONFIG", self.server.path("config"));
        match &self.authority {
            Some(authority) => command.env("SSL_CERT_FILE", authority),
            None => command.arg("--insecure"),
        };
        command.current_dir(self.server.path(".")).args(arguments);
        command
    }
}

fn base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for three in bytes.chunks(3) {
        let bits = three.iter().fold(0_usize, |bits, byte| bits << 8 | usize::from(*byte)) << (8 * (3 - three.len()));
        for place in 0..4 {
            let sign = if place <= three.len() { ALPHABET[bits >> (18 - 6 * place) & 63] } else { b'=' };
            text.push(char::from(sign));
        }
    }
    text
}

/// A layer of some megabytes, of which a push of Docker's makes several chunks.
fn layer(folder: &Path) -> PathBuf {
    let content = folder.join("content");
    let mut state = 1_u32;
    let noise = std::iter::repeat_with(|| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        state.to_le_bytes()[3]
    });
    fs::write(&content, noise.take(5_000_000).collect::<Vec<u8>>()).expect("a file");
    let tar = folder.join("layer.tar");
    good(Command::new("tar").arg("-C").arg(folder).arg("-cf").arg(&tar).arg("content"));
    tar
}

/// Docker pushes, skopeo takes it and pushes it elsewhere, crane takes that and pushes it, Docker pulls crane's: one digest.
fn around(engine: &Engine, scene: &Scene) {
    let [by_docker, by_skopeo, by_crane] = ["by/docker:1", "by/skopeo:1", "by/crane:1"].map(|name| scene.image(name));
    let tar = layer(engine.folder.path());
    good(&mut scene.docker(engine, &["import", tar.to_str().expect("a path"), &by_docker]));
    let id = good(&mut scene.docker(engine, &["image", "inspect", "--format", "{{.Id}}", &by_docker]));
    let pushed = good(&mut scene.docker(engine, &["push", &by_docker]));
    let digest =
        pushed.split_once("digest: ").and_then(|(_, rest)| rest.split(' ').next()).expect("a digest").to_owned();

    good(&mut scene.skopeo("src", &format!("docker://{by_docker}"), "dir:taken"));
    good(&mut scene.skopeo("dest", "dir:taken", &format!("docker://{by_skopeo}")));
    assert_eq!(good(&mut scene.crane(&["digest", &by_skopeo])).trim(), digest);

    good(&mut scene.crane(&["validate", "--remote", &by_skopeo]));
    good(&mut scene.crane(&["pull", "--format", "oci", &by_skopeo, "layout"]));
    good(&mut scene.crane(&["push", "layout", &by_crane]));
    good(&mut scene.crane(&["copy", &by_crane, &scene.image("by/copy:1")]));
    assert!(good(&mut scene.crane(&["ls", &scene.image("by/copy")])).contains('1'));

    for image in [&by_docker, &by_crane] {
        let _ = run(&mut scene.docker(engine, &["image", "rm", "--force", image]), "");
    }
    let pulled = good(&mut scene.docker(engine, &["pull", &by_crane]));
    assert!(pulled.contains(&digest), "{pulled}");
    assert_eq!(good(&mut scene.docker(engine, &["image", "inspect", "--format", "{{.Id}}", &by_crane])), id);
    let _ = run(&mut scene.docker(engine, &["image", "rm", "--force", &by_crane]), "");
}

/// None of them gets in with another password, or without one.
fn strangers(engine: &Engine, scene: &Scene) {
    let image = scene.image("by/docker:1");
    let login = ["login", "--username", USER, "--password-stdin", &scene.server.address.to_string()];
    let (right, said) = run(&mut scene.docker(engine, &login), PASSWORD);
    assert!(right, "{said}");
    let (right, said) = run(&mut scene.docker(engine, &login), "wrong");
    assert!(!right && said.contains("401"), "{said}");
    for password in ["wrong", ""] {
        scene.write_login(password);
        for (mut command, refusal) in [
            (scene.docker(engine, &["pull", &image]), "unauthorized"),
            (scene.skopeo("src", &format!("docker://{image}"), "dir:stolen"), "nauthorized"),
            (scene.crane(&["digest", &image]), "401"),
        ] {
            let (right, said) = run(&mut command, "");
            // Docker, refused on loopback, may try without TLS as well, and shows only what came of that.
            let refused = [refusal, "no basic auth", "malformed HTTP response"].iter().any(|it| said.contains(it));
            assert!(!right && refused, "{command:?}\n{said}");
        }
    }
}

#[test]
fn docker_skopeo_and_crane_push_and_pull() {
    let engine = Engine::start();
    for (users, tls) in [(false, false), (true, false), (false, true), (true, true)] {
        let scene = Scene::start(users, tls);
        around(&engine, &scene);
        if users {
            strangers(&engine, &scene);
        }
        let output = scene.server.stop().exits(0);
        assert!(!output.stderr.contains(PASSWORD), "{output}");
    }
}

/// Without the authority that signed the certificate, skopeo and crane refuse the registry. (Docker does not verify on loopback.)
#[test]
fn a_certificate_of_nobodys_is_refused() {
    let mut scene = Scene::start(false, true);
    fs::remove_file(scene.server.path("certs/ca.crt")).expect("it is there");
    scene.authority = Some(scene.server.path("users"));
    let image = scene.image("a:1");
    for mut command in
        [scene.skopeo("src", &format!("docker://{image}"), "dir:taken"), scene.crane(&["digest", &image])]
    {
        let (right, said) = run(&mut command, "");
        assert!(!right && said.contains("certificate"), "{command:?}\n{said}");
    }
}
