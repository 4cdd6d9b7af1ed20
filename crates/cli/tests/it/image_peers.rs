//! Archives and layouts between us and the programs that made the formats: skopeo, and Docker Engine's `docker save` and `docker load`.

use std::path::{Path, PathBuf};
use std::process::Command;

use schleuse_testkit::peers::peer;

use crate::support::{Checkout, registry};

/// Runs a peer to its end; its stdout.
#[allow(clippy::disallowed_methods, reason = "a test runs a peer of the program under test")]
fn run(folder: &Path, program: &Path, arguments: &[&str], variables: &[(&str, &str)]) -> String {
    let mut command = Command::new(program);
    command
        .args(arguments)
        .current_dir(folder)
        .env_clear()
        .env("PATH", "/usr/bin:/bin:/usr/sbin:/sbin")
        .env("HOME", folder);
    let done = command.envs(variables.iter().copied()).output().unwrap();
    assert!(done.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&done.stderr));
    String::from_utf8_lossy(&done.stdout).into_owned()
}

fn skopeo(folder: &Path, arguments: &[&str]) -> String {
    run(folder, &peer("skopeo"), &[&["--insecure-policy"], arguments].concat(), &[])
}

/// What skopeo says is the digest of the manifest there.
fn digest_by_skopeo(folder: &Path, place: &str) -> String {
    skopeo(folder, &["inspect", "--tls-verify=false", "--format", "{{.Digest}}", place]).trim().to_owned()
}

#[test]
fn skopeo_reads_what_we_write_and_we_what_it_writes() {
    let server = registry();
    let checkout = Checkout::new(server.address);
    let folder = checkout.path();
    let built = checkout.run(&["build"]).done().exits(0).stdout().trim().to_owned();
    let digest = built.split_once('@').unwrap().1;
    let copy = |from: &str, to: &str| {
        let done = checkout.run(&["image", "copy", from, to]).done().exits(0).stdout();
        done.trim().split_once('@').unwrap().1.to_owned()
    };
    for (place, named) in [("oci:ours", "oci:ours:v1"), ("oci-archive:ours.tar", "oci-archive:ours.tar:v1")] {
        assert_eq!(copy(&built, named), digest);
        assert_eq!(digest_by_skopeo(&folder, place), digest, "{place}");
    }
    // And back: its archive, then its layout, to a registry.
    skopeo(&folder, &["copy", "--quiet", "oci-archive:ours.tar:v1", "oci-archive:theirs.tar:v2"]);
    skopeo(&folder, &["copy", "--quiet", "oci:ours:v1", "oci:theirs:v2"]);
    let again = format!("{}/again/billing", server.address);
    assert_eq!(copy("oci-archive:theirs.tar", &format!("{again}:a")), digest);
    assert_eq!(copy("oci:theirs:v2", &format!("{again}:b")), digest);
    assert_eq!(digest_by_skopeo(&folder, &format!("docker://{again}:a")), digest);
    // Docker's format keeps no manifest; the configuration is the same.
    skopeo(&folder, &["copy", "--quiet", "oci:ours:v1", "docker-archive:docker.tar:acme/billing:v3"]);
    let made = copy("docker-archive:docker.tar", "oci:made:v3");
    assert_ne!(made, digest);
    let config = |place: &str| skopeo(&folder, &["inspect", "--config", "--raw", place]);
    assert_eq!(config("oci:made:v3"), config("docker-archive:docker.tar"));
    let tag = checkout.run(&["image", "tag", &format!("{again}:a"), "c"]).done().exits(0);
    assert_eq!(tag.stdout().trim(), format!("{again}@{digest}"));
    assert_eq!(digest_by_skopeo(&folder, &format!("docker://{again}:c")), digest);
}

/// A private Docker Engine, stopped when dropped. It needs root.
struct Engine {
    folder: PathBuf,
    host: String,
}

impl Engine {
    fn start(folder: &Path) -> Self {
        let folder = folder.join("engine");
        let host = Self::script(&folder, "start");
        Self { host: host.trim().to_owned(), folder }
    }

    fn script(folder: &Path, verb: &str) -> String {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tools/engine.sh");
        let home = std::env::home_dir().unwrap();
        let home = home.display().to_string();
        run(Path::new("/"), &script, &[verb, &folder.display().to_string()], &[("HOME", &home)])
    }

    fn docker(&self, folder: &Path, arguments: &[&str]) -> String {
        run(folder, &peer("docker"), arguments, &[("DOCKER_HOST", &self.host), ("DOCKER_BUILDKIT", "0")])
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        Self::script(&self.folder, "stop");
    }
}

#[test]
fn docker_saves_and_we_read_we_copy_and_docker_runs() {
    let server = registry();
    let checkout = Checkout::new(server.address);
    let folder = checkout.path();
    let temporary = tempfile::tempdir().unwrap();
    let engine = Engine::start(temporary.path());
    checkout.write("one/Dockerfile", "FROM scratch\nCOPY file /one\nCMD [\"/one\"]\n");
    checkout.write("one/file", "one");
    checkout.write("two/Dockerfile", "FROM acme/one:1\nCOPY file /two\n");
    checkout.write("two/file", "two");
    for name in ["one", "two"] {
        engine.docker(&folder, &["build", "--quiet", "--tag", &format!("acme/{name}:1"), name]);
    }
    // Two images that share a layer, in one archive.
    engine.docker(&folder, &["save", "--output", "saved.tar", "acme/one:1", "acme/two:1"]);
    let listed = checkout.run(&["image", "list", "docker-archive:saved.tar"]).done().exits(0).stdout();
    assert!(listed.contains("acme/one:1 ") && listed.contains("acme/two:1 "), "{listed}");
    let to = format!("{}/acme/two:1", server.address);
    let copied = checkout.run(&["image", "copy", "docker-archive:saved.tar:acme/two:1", &to]).done().exits(0).stdout();
    // The engine's identity of an image is its configuration's digest: the same image comes back.
    let id = |image: &str| engine.docker(&folder, &["image", "inspect", "--format", "{{.Id}}", image]);
    let before = id("acme/two:1");
    engine.docker(&folder, &["pull", "--quiet", &to]);
    assert_eq!(id(&to), before);
    // A save of another day gives the same digest.
    engine.docker(&folder, &["save", "--output", "again.tar", "acme/two:1"]);
    let again = checkout.run(&["image", "copy", "docker-archive:again.tar", &to]).done().exits(0);
    assert_eq!(again.stdout(), copied);
    assert!(again.stderr().starts_with("0 blobs sent"), "{}", again.stderr());
}
