//! `schleuse build` with a Dockerfile, by the real builders. They come from tools/peers (engines.sh, buildkit.sh); without them these
//! tests fail. A daemon of BuildKit needs root; so does a buildah that is not set up for anybody else.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use schleuse_testkit::peers::peer;

use crate::support::{Checkout, Done, PASSWORD, Server, registry, schleuse};

const DOCKERFILE: &str = "FROM scratch AS base\nARG GREETING=none\nLABEL greeting=$GREETING\nCOPY app /app\nCMD [\"/app/run\"]\n\
                          FROM base AS other\nCOPY Dockerfile /other\n";

/// A checkout whose image comes from a Dockerfile.
fn checkout(server: &Server, build: &str) -> Checkout {
    let checkout = Checkout::new(server.address);
    let text = std::fs::read_to_string(checkout.path().join("schleuse.toml")).unwrap();
    let own = text.lines().filter(|line| !line.starts_with("copy") && !line.starts_with("entrypoint"));
    let own = own.collect::<Vec<_>>().join("\n").replace("[build]", &format!("[build]\n{build}"));
    checkout.write("schleuse.toml", &own);
    checkout.write("Dockerfile", DOCKERFILE);
    checkout.git(&["add", "."]);
    checkout.git(&["commit", "--quiet", "--message", "Dockerfile"]);
    checkout
}

/// The folder of the builder's program, for PATH.
fn at(program: &str) -> String {
    let folder: PathBuf = peer(program).parent().unwrap().into();
    format!("{}:/usr/bin:/bin:/usr/sbin:/sbin", folder.display())
}

/// With a storage of its own: nothing of the machine's is used or left behind.
fn buildah(checkout: &Checkout, storage: &str, arguments: &[&str]) -> Done {
    let root = checkout.path().join(storage);
    let conf = format!("[storage]\ndriver = \"vfs\"\ngraphroot = \"{0}/g\"\nrunroot = \"{0}/r\"\n", root.display());
    std::fs::create_dir_all(&root).unwrap();
    std::fs::write(root.join("storage.conf"), conf).unwrap();
    let run = checkout.run(arguments).env("PATH", &at("buildah")).env("BUILDAH_ISOLATION", "chroot");
    run.env("CONTAINERS_STORAGE_CONF", &root.join("storage.conf").display().to_string()).done()
}

#[test]
fn buildah_builds_the_same_image_from_the_same_commit() {
    let server = registry();
    let checkout = checkout(&server, "builder = \"buildah\"\nargs = { GREETING = \"hello\" }\ntarget = \"base\"\n");
    let build = ["build", "--version", "1.2.3", "--output", "build.json"];
    let first = buildah(&checkout, "one", &build).exits(0);
    let image = first.stdout().trim().to_owned();
    // Neither the time of day nor the storage's own state is in it.
    std::fs::write(checkout.path().join("app/run"), "#!/bin/sh\necho hello\n").unwrap();
    assert_eq!(buildah(&checkout, "two", &build).exits(0).stdout().trim(), image);

    let json = checkout.run(&["image", "inspect", "--format", "json", &image]).done().exits(0).json("result");
    let labels = &json["images"][0]["config"]["config"]["Labels"];
    let commit = checkout.git(&["rev-parse", "HEAD"]);
    assert_eq!((&labels["greeting"], &labels["org.opencontainers.image.version"]), (&"hello".into(), &"1.2.3".into()));
    assert_eq!(labels["org.opencontainers.image.revision"], commit);
    assert_eq!(json["images"][0]["layers"].as_array().unwrap().len(), 1, "the stage `base`, not `other`");
    let manifest = std::fs::read_to_string(checkout.path().join("build.json")).unwrap();
    assert!(manifest.contains("\"builder\":\"buildah\"") && manifest.contains(&commit), "{manifest}");

    // From here on it is as any image: signed, attested, reused.
    let sign = ["sign", "--key", "schleuse.key", "--build-manifest", "build.json", &image];
    checkout.run(&sign).done().exits(0);
    let again = buildah(&checkout, "one", &["build", "--output", "again.json"]).exits(0);
    assert!(again.stderr().contains("reused"), "{}", again.stderr());
    let again = std::fs::read_to_string(checkout.path().join("again.json")).unwrap();
    assert_eq!(again, manifest);
}

/// A daemon of BuildKit, ended when dropped.
struct BuildKit {
    daemon: Child,
    folder: PathBuf,
}

#[allow(clippy::disallowed_methods, reason = "a test starts the peer of the program under test, and waits for it")]
impl BuildKit {
    fn start(folder: &Path) -> Self {
        let folder = folder.join("kit");
        std::fs::create_dir(&folder).unwrap();
        let mut command = Command::new(peer("buildkitd"));
        command.arg("--root").arg(folder.join("root")).arg("--addr").arg(format!("unix://{}/s", folder.display()));
        command.args(["--oci-worker-snapshotter=native", "--containerd-worker=false"]);
        command.env("PATH", "/usr/bin:/bin:/usr/sbin:/sbin").stdin(Stdio::null());
        let log = std::fs::File::create(folder.join("log")).unwrap();
        let daemon = command.stdout(log.try_clone().unwrap()).stderr(log).spawn().expect("buildkitd starts");
        let kit = Self { daemon, folder };
        let began = Instant::now();
        while !kit.folder.join("s").exists() {
            let log = || std::fs::read_to_string(kit.folder.join("log")).unwrap();
            assert!(began.elapsed() < Duration::from_secs(30), "buildkitd does not answer: {}", log());
            std::thread::sleep(Duration::from_millis(20));
        }
        // What `docker buildx create` would remember is said by a variable of the client's.
        let config = kit.folder.join("docker");
        let instances = config.join("buildx/instances");
        std::fs::create_dir_all(&instances).unwrap();
        let plugins = peer("docker").parent().unwrap().parent().unwrap().join("cli-plugins");
        std::os::unix::fs::symlink(plugins, config.join("cli-plugins")).unwrap();
        let node = format!("{{\"Name\":\"kit0\",\"Endpoint\":\"unix://{}/s\"}}", kit.folder.display());
        let instance = format!("{{\"Name\":\"kit\",\"Driver\":\"remote\",\"Nodes\":[{node}]}}");
        std::fs::write(instances.join("kit"), instance).unwrap();
        kit
    }

    fn build(&self, folder: &Path, arguments: &[&str]) -> Done {
        let config = self.folder.join("docker").display().to_string();
        let run = schleuse(folder, arguments).env("PATH", &at("docker")).env("BUILDX_BUILDER", "kit");
        run.env("DOCKER_CONFIG", &config).done()
    }
}

impl Drop for BuildKit {
    fn drop(&mut self) {
        let _ = self.daemon.kill();
        let _ = self.daemon.wait();
    }
}

#[test]
fn buildx_builds_the_same_image_from_the_same_commit() {
    let server = registry();
    let checkout = checkout(&server, "builder = \"buildx\"\nargs = { GREETING = \"hello\" }\n");
    let output = checkout.path().join("build.json").display().to_string();
    let build = ["build", "--version", "1.2.3", "--output", &output];
    let mut images = Vec::new();
    for name in ["first", "second"] {
        // Each in a clone of its own, by a daemon of its own that knows nothing of the other's.
        let temporary = tempfile::tempdir().unwrap();
        let clone = temporary.path().join(name);
        checkout.git(&["clone", "--quiet", ".", &clone.display().to_string()]);
        let kit = BuildKit::start(temporary.path());
        images.push(kit.build(&clone, &build).exits(0).stdout().trim().to_owned());
    }
    assert_eq!(images[0], images[1]);
    let image = images.remove(0);
    let json = checkout.run(&["image", "inspect", "--format", "json", &image]).done().exits(0).json("result");
    let config = &json["images"][0]["config"];
    assert_eq!(config["config"]["Labels"]["org.opencontainers.image.revision"], checkout.git(&["rev-parse", "HEAD"]));
    assert_eq!((&config["config"]["Labels"]["greeting"], &json["others"]), (&"hello".into(), &serde_json::Value::Null));
    assert_eq!(json["images"][0]["layers"].as_array().unwrap().len(), 2);
    let manifest = std::fs::read_to_string(checkout.path().join("build.json")).unwrap();
    assert!(manifest.contains("\"builder\":\"buildx\""), "{manifest}");
    let sign = ["sign", "--key", "schleuse.key", "--build-manifest", "build.json", &image];
    checkout.run(&sign).done().exits(0);
    checkout.run(&["verify", &image]).done().exits(0);

    let temporary = tempfile::tempdir().unwrap();
    let kit = BuildKit::start(temporary.path());
    let again = kit.build(&checkout.path(), &["build"]).exits(0);
    assert!(again.stderr().contains("reused"), "{}", again.stderr());
    checkout.write("Dockerfile", "FROM scratch\nCOPY nothing-of-this-name /x\n");
    let failed = kit.build(&checkout.path(), &["build"]).exits(1).stderr();
    assert!(failed.contains("buildx did not build the image") && failed.contains("nothing-of-this-name"), "{failed}");
}

#[test]
fn a_dockerfile_that_fails_says_why() {
    let server = registry();
    let checkout = checkout(&server, "builder = \"buildah\"\n");
    checkout.write("Dockerfile", "FROM scratch\nCOPY nothing-of-this-name /x\n");
    let failed = buildah(&checkout, "storage", &["build"]).exits(1).stderr();
    assert!(failed.contains("error: buildah did not build the image"), "{failed}");
    assert!(failed.contains("nothing-of-this-name"), "{failed}");
    std::fs::remove_file(checkout.path().join("Dockerfile")).unwrap();
    let missing = buildah(&checkout, "storage", &["build"]).exits(2).stderr();
    assert!(missing.contains("the Dockerfile ") && missing.contains("hint: name it in [build]"), "{missing}");
}

#[test]
fn a_builder_that_is_not_here_says_how_to_get_it() {
    let server = registry();
    let checkout = checkout(&server, "builder = \"buildx\"\n");
    let none = checkout.run(&["build"]).env("PATH", "/nowhere").env("SOURCE_DATE_EPOCH", "1700000000");
    let none = none.done();
    assert!(none.stderr().contains("error"), "{}", none.stderr());
    // git is needed to know the commit; docker is what is missing.
    let bin = checkout.path().join("bin");
    std::fs::create_dir(&bin).unwrap();
    std::os::unix::fs::symlink("/usr/bin/git", bin.join("git")).unwrap();
    let none = checkout.run(&["build"]).env("PATH", &bin.display().to_string()).done().exits(2).stderr();
    assert!(none.contains("`docker` was not found") && none.contains("hint: install Docker"), "{none}");
}

/// A program in the builder's place.
fn impostor(checkout: &Checkout, script: &str) -> String {
    let bin = checkout.path().join("bin");
    std::fs::create_dir_all(&bin).unwrap();
    let path = bin.join("buildah");
    std::fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
    std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    format!("{}:/usr/bin:/bin", bin.display())
}

#[test]
fn a_builder_is_handed_no_secret_and_shows_none() {
    let server = registry();
    let checkout = checkout(&server, "builder = \"buildah\"\n");
    let path = impostor(&checkout, "env | grep -e SECRET -e PASSWORD -e KEY >&2; echo \"by $HTTPS_PROXY\" >&2; exit 3");
    let run = checkout.run(&["build", "--verbose"]).env("PATH", &path).env("REGISTRY_USERNAME", "ci");
    let run = run.env("REGISTRY_PASSWORD", "registry-secret").env("COSIGN_PRIVATE_KEY", "key-secret");
    let run = run.env("STORAGE_DRIVER", "vfs").env("HTTPS_PROXY", "http://me:proxy-secret@proxy.example");
    let said = run.done().exits(1).stderr();
    assert!(said.contains("`buildah` failed: exit code 3: by [redacted]"), "{said}");
    for secret in [PASSWORD, "registry-secret", "key-secret", "proxy-secret"] {
        assert!(!said.contains(secret), "{said}");
    }
    // What it needs, it has: the script can look.
    let path = impostor(&checkout, "test \"$STORAGE_DRIVER\" = vfs && test -n \"$HTTPS_PROXY\" && exit 4; exit 5");
    let run = checkout.run(&["build"]).env("PATH", &path).env("STORAGE_DRIVER", "vfs").env("HTTPS_PROXY", "http://x");
    assert!(run.done().exits(1).stderr().contains("exit code 4"));
}

#[test]
#[allow(clippy::disallowed_methods, reason = "measures the program under test")]
fn a_builder_that_hangs_is_ended_and_one_that_writes_nothing_is_no_build() {
    let server = registry();
    let checkout = checkout(&server, "builder = \"buildah\"\ntimeout = \"1s\"\n");
    let path = impostor(&checkout, "echo step 7 of 9 >&2; sleep 60 & sleep 60");
    let began = Instant::now();
    let said = checkout.run(&["build"]).env("PATH", &path).done().exits(1).stderr();
    for words in ["was stopped: not done after 1.0s", "hint: it said last: step 7 of 9", "hint: give it longer"] {
        assert!(said.contains(words), "{said}");
    }
    assert!(began.elapsed() < Duration::from_secs(30));
    let path = impostor(&checkout, "exit 0");
    let said = checkout.run(&["build"]).env("PATH", &path).done().exits(1).stderr();
    assert!(said.contains("image.tar"), "{said}");
    // What it writes is read like any archive.
    let path = impostor(&checkout, "for to; do :; done; case \"$1\" in push) echo x >\"${to#oci-archive:}\";; esac");
    let said = checkout.run(&["build"]).env("PATH", &path).done();
    assert!(said.stderr().contains("image.tar is refused"), "{}", said.stderr());
}
