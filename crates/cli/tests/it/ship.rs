//! Build, sign, verify: against a registry of our own.

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::support::{Checkout, PASSWORD, nobody, registry};

/// Builds, answers the image by digest.
fn build(checkout: &Checkout) -> String {
    checkout.run(&["build", "--output", "build.json"]).done().exits(0).stdout().trim().to_owned()
}

fn sign(checkout: &Checkout, image: &str) {
    checkout.run(&["sign", "--key", "schleuse.key", "--build-manifest", "build.json", image]).done().exits(0);
}

#[test]
fn the_same_commit_gives_the_same_digest_and_only_that_is_on_stdout() {
    let server = registry();
    let checkout = Checkout::new(server.address);
    let first = checkout.run(&["build"]).done().exits(0);
    let expected = format!("{}@sha256:", checkout.image);
    assert!(first.stdout().starts_with(&expected) && first.stdout().lines().count() == 1, "{}", first.stdout());
    let second = checkout.run(&["build"]).done().exits(0);
    assert_eq!(second.stdout(), first.stdout());
    assert!(second.stderr().contains("is not reused: no trusted key says where it comes from"), "{}", second.stderr());
    let json = checkout.run(&["build", "--format", "json"]).done().exits(0).json("result");
    assert_eq!(format!("{}\n", json["image"].as_str().unwrap()), first.stdout());
    assert_eq!(json["build"]["tag"], format!("sha-{}", checkout.git(&["rev-parse", "HEAD"])));
}

#[test]
fn sign_and_verify_and_once_signed_the_image_is_reused() {
    let server = registry();
    let checkout = Checkout::new(server.address);
    let image = build(&checkout);
    let unsigned = checkout.run(&["verify", &image]).done().exits(11);
    assert!(unsigned.stderr().contains("is not signed"), "{}", unsigned.stderr());

    sign(&checkout, &image);
    let again = ["sign", "--key", "schleuse.key", "--build-manifest", "build.json", "--format", "json", image.as_str()];
    let again = checkout.run(&again).done().exits(0).json("result");
    for what in ["/signatures/0/bundle", "/signatures/0/legacy", "/provenance"] {
        assert_eq!(again.pointer(what).unwrap(), "already", "{what}");
    }
    let verified = checkout.run(&["verify", &image]).done().exits(0).stdout();
    assert!(verified.contains("no transparency log was consulted"), "{verified}");
    let json = checkout.run(&["verify", &image, "--format", "json"]).done().exits(0).json("result");
    assert_eq!((&json["images"][0]["image"], &json["role"]), (&image.as_str().into(), &"build".into()));
    let tag = format!("{}:sha-{}", checkout.image, checkout.git(&["rev-parse", "HEAD"]));
    checkout.run(&["verify", &tag, "--key", "schleuse.pub"]).done().exits(0);

    let manifest = std::fs::read(checkout.path().join("build.json")).unwrap();
    // What is on disk no longer matters: the commit has its image. (Ignored files are no change.)
    let reused = checkout.run(&["build", "--output", "build.json", "--format", "json"]).done().exits(0);
    assert_eq!(reused.json("result")["reused"], true);
    assert!(reused.stderr().contains("reused"));
    assert_eq!(std::fs::read(checkout.path().join("build.json")).unwrap(), manifest, "the record is the same");
}

#[test]
fn provenance_of_another_workflow_or_by_another_key_is_not_reused() {
    let server = registry();
    let checkout = Checkout::new(server.address);
    let image = build(&checkout);
    sign(&checkout, &image);
    let elsewhere = checkout.run(&["build"]).env("GITHUB_REPOSITORY", "acme/billing");
    let elsewhere = elsewhere.env("GITHUB_WORKFLOW_REF", "acme/billing/.github/workflows/x.yml@refs/heads/main");
    let done = elsewhere.done().exits(0);
    assert!(done.stderr().contains("is not reused: its workflow is none, this run's is"), "{}", done.stderr());
    checkout.generate("other");
    std::fs::rename(checkout.path().join("other.pub"), checkout.path().join("schleuse.pub")).unwrap();
    checkout.git(&["commit", "--quiet", "--all", "--message", "another key"]);
    let tag = format!("{}:sha-{}", checkout.image, checkout.git(&["rev-parse", "HEAD"]));
    let rebuilt = build(&checkout);
    sign(&checkout, &rebuilt);
    let done = checkout.run(&["build"]).done().exits(0);
    assert!(done.stderr().contains("is not reused: no trusted key"), "signed by the old key: {}", done.stderr());
    let done = checkout.run(&["verify", &tag]).done().exits(11);
    assert!(done.stderr().contains("not signed by any trusted key"), "{}", done.stderr());
}

#[test]
fn a_changed_checkout_is_no_commits_image() {
    let server = registry();
    let checkout = Checkout::new(server.address);
    let clean = build(&checkout);
    checkout.write("app/run", "#!/bin/sh\necho changed\n");
    let done =
        checkout.run(&["build", "--version", "1.0", "--output", "build.json", "--format", "json"]).done().exits(0);
    assert!(done.stderr().starts_with("warning: tracked files differ from the commit"), "{}", done.stderr());
    let json = done.json("result");
    let dirty = json["image"].as_str().unwrap().to_owned();
    assert_ne!(dirty, clean);
    assert_eq!((&json["dirty"], &json["build"]["version"]), (&true.into(), &"1.0+dirty".into()));
    assert!(json["build"]["tag"].as_str().unwrap().ends_with("-dirty"));
    let arguments = ["sign", "--key", "schleuse.key", "--build-manifest", "build.json", dirty.as_str()];
    let done = checkout.run(&arguments).done().exits(2);
    assert!(done.stderr().contains("was built from a checkout with changes"), "{}", done.stderr());
}

#[test]
fn only_what_the_build_made_is_signed() {
    let server = registry();
    let checkout = Checkout::new(server.address);
    let first = build(&checkout);
    checkout.write("app/run", "#!/bin/sh\necho second\n");
    checkout.git(&["commit", "--quiet", "--all", "--message", "second"]);
    let second = build(&checkout);
    let done =
        checkout.run(&["sign", "--key", "schleuse.key", "--build-manifest", "build.json", &first]).done().exits(11);
    assert!(done.stderr().contains(&format!("hint: `schleuse sign {second}`")), "{}", done.stderr());
    checkout.run(&["verify", &first]).done().exits(11);
}

#[test]
fn a_wrong_key_is_a_no_and_a_registry_that_is_down_is_no_answer() {
    let server = registry();
    let checkout = Checkout::new(server.address);
    let image = build(&checkout);
    sign(&checkout, &image);
    checkout.generate("other");
    checkout.run(&["verify", "--key", "other.pub", &image]).done().exits(11);
    let none = checkout.run(&["verify", &format!("{}:none", checkout.image)]).done().exits(1);
    assert!(none.stderr().contains("is not in the registry"));
    let absent = format!("{}@sha256:{}", checkout.image, "0".repeat(64));
    checkout.run(&["verify", &absent]).done().exits(1);
    drop(server);
    let down = checkout.run(&["verify", "--format", "json", &image]).done().exits(1).json("error");
    assert_eq!((&down["code"], &down["exit"]), (&"error".into(), &1.into()));
    assert!(!down["hints"].as_array().unwrap().is_empty());
}

#[test]
fn a_build_says_what_it_lacks() {
    let checkout = Checkout::new(nobody());
    let wrong = |arguments: &[&str]| checkout.run(arguments).done().exits(2).stderr();
    assert!(wrong(&["build", "--commit", "main"]).contains("is not a commit"));
    assert!(wrong(&["build", "--commit", &"1".repeat(40)]).contains("the checkout is at"));
    assert!(wrong(&["build", "--version", ""]).contains("the version must have"));
    let epoch = checkout.run(&["build"]).env("SOURCE_DATE_EPOCH", "yesterday").done().exits(2);
    assert!(epoch.stderr().contains("SOURCE_DATE_EPOCH is `yesterday`"));
    assert!(wrong(&["sign", "not an image"]).contains("is not an image reference"));
    assert!(wrong(&["sign", "x/y"]).contains("no signing key"));
    assert!(wrong(&["verify", "--key", "schleuse.key", "x/y"]).contains("this is a private key"));

    let elsewhere = tempfile::tempdir().unwrap();
    let build = || crate::support::schleuse(elsewhere.path(), &["build"]).done().exits(2);
    assert!(build().stderr().contains("schleuse.toml has no [build]"));
    std::fs::copy(checkout.path().join("schleuse.toml"), elsewhere.path().join("schleuse.toml")).unwrap();
    let done = build();
    assert!(done.stderr().contains("git does not tell which commit"), "{}", done.stderr());
}

#[test]
fn secrets_are_in_no_output() {
    let server = registry();
    let checkout = Checkout::new(server.address);
    let private = std::fs::read_to_string(checkout.path().join("schleuse.key")).unwrap();
    let image = build(&checkout);
    let body = private.lines().nth(3).unwrap();
    let lines: [&[&str]; 7] = [
        &["build", "-v"],
        &["sign", "-v", &image],
        &["sign", "-v", "--key", "env://COSIGN_PRIVATE_KEY", "--format", "json", &image],
        &["verify", "-v", &image],
        &["config", "show"],
        &["config", "show", "--format", "json"],
        &["key", "public", "env://COSIGN_PASSWORD"],
    ];
    for arguments in lines {
        let run = checkout.run(arguments).env("COSIGN_PRIVATE_KEY", &private);
        let done = run.env("REGISTRY_USERNAME", "robot").env("REGISTRY_PASSWORD", "hunter2").done();
        let said = format!("{}{}", done.stdout(), done.stderr());
        assert!(!said.is_empty());
        for secret in [PASSWORD, "hunter2", body] {
            assert!(!said.contains(secret), "{arguments:?} shows a secret: {said}");
        }
    }
}

#[test]
fn an_interrupted_run_says_how_to_go_on() {
    // Takes the connection and never answers.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let checkout = Checkout::new(silent.local_addr().unwrap());
    let image = format!("{}:x", checkout.image);
    let mut command = checkout.run(&["verify", &image]).command();
    let child = command.stderr(std::process::Stdio::piped()).spawn().unwrap();
    drop(silent.accept().unwrap().0.peer_addr());
    kill(Pid::from_raw(i32::try_from(child.id()).unwrap()), Signal::SIGINT).unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(130));
    insta::assert_snapshot!(String::from_utf8_lossy(&output.stderr), @r"
    error: interrupted by SIGINT
    hint: nothing is left half done: run the same command again
    ");
}

/// DESIGN law 7: the same commit, the same image, for whoever builds it and wherever.
#[test]
#[allow(clippy::disallowed_methods, reason = "the program under test, from another place")]
fn another_time_zone_language_umask_and_user_build_the_same_image() {
    let server = registry();
    let checkout = Checkout::new(server.address);
    // Content that compresses, or the compressor would not be tested.
    checkout.write("app/text", &"the same commit gives the same digest on every machine\n".repeat(4000));
    checkout.git(&["add", "."]);
    checkout.git(&["commit", "--quiet", "--message", "text"]);
    let image = build(&checkout);
    let elsewhere = checkout.run(&["build"]).env("TZ", "Pacific/Kiritimati").env("LC_ALL", "tr_TR.UTF-8");
    assert_eq!(elsewhere.done().exits(0).stdout().trim(), image);

    // A second checkout: other inodes, times and permissions, files made in another order, and if we may, another owner.
    let second = tempfile::tempdir().unwrap();
    let folder = second.path().join("clone");
    checkout.git(&["clone", "--quiet", ".", &folder.display().to_string()]);
    for name in ["app/text", "app/run"] {
        let content = std::fs::read(folder.join(name)).unwrap();
        std::fs::remove_file(folder.join(name)).unwrap();
        std::fs::write(folder.join(name), content).unwrap();
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o600);
        std::fs::set_permissions(folder.join(name), mode).unwrap();
    }
    // Somebody else may not be let into the folder where it was compiled.
    let program = second.path().join("schleuse");
    std::fs::copy(env!("CARGO_BIN_EXE_schleuse"), &program).unwrap();
    let ours = crate::support::schleuse(&folder, &["build"]).env("TZ", "America/St_Johns").command();
    let mut command = std::process::Command::new(&program);
    command.args(ours.get_args()).current_dir(&folder).env_clear().stdin(std::process::Stdio::null());
    command.envs(ours.get_envs().filter_map(|(name, value)| Some((name, value?))));
    if nix::unistd::geteuid().is_root() {
        const NOBODY: u32 = 65534;
        let mut open = vec![second.path().to_owned()];
        while let Some(path) = open.pop() {
            std::os::unix::fs::lchown(&path, Some(NOBODY), Some(NOBODY)).unwrap();
            if path.is_dir() {
                open.extend(std::fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
            }
        }
        std::os::unix::process::CommandExt::uid(&mut command, NOBODY);
        std::os::unix::process::CommandExt::gid(&mut command, NOBODY);
    }
    let done = command.output().unwrap();
    let said = String::from_utf8_lossy(&done.stderr);
    assert_eq!(String::from_utf8_lossy(&done.stdout).trim(), image, "{said}");
}
