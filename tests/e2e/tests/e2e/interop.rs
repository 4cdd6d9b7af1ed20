//! Others check what we write, and we check what others write: the real cosign, 2.5 and 3.1, and docker-registry 2.8. And what
//! nobody may believe.

use std::process::{Command, Output, Stdio};

use rand_core::OsRng;
use schleuse_model::{Digest, Secret};
use schleuse_oci::{Pull as _, Push as _, Referrers as _};
use schleuse_sign::{KeyPair, Signer as _};
use schleuse_testkit::peer;

use crate::project::{Kind, PASSWORD, Project, Rung, Setup, key, runtime};

/// 2 reads and writes the legacy format only, 3 prefers bundles.
const COSIGN_2: &str = "cosign-2.5";
const COSIGN_3: &str = "cosign-3.1";

/// No transparency log: this is the tests' loopback interface.
const OFFLINE: &str =
    r#"{"mediaType":"application/vnd.dev.sigstore.signingconfig.v0.2+json","rekorTlogConfig":{},"tsaConfig":{}}"#;

/// Requests per promotion, at most (issue 2).
const MOST_REQUESTS: usize = 30;
/// Once in an environment's life: its commit point is proven by a race.
const FIRST_OF_A_JOURNAL: usize = 5;

fn ladder() -> Vec<Rung> {
    vec![
        Rung { name: "dev", local: false },
        Rung { name: "staging", local: false },
        Rung { name: "canary", local: true },
        Rung { name: "production", local: true },
    ]
}

fn embedded() -> Setup {
    Setup { registry: Kind::Disk, ladder: ladder(), ..Setup::default() }
}

fn docker() -> Setup {
    Setup { registry: Kind::Docker, git: true, ladder: ladder(), ..Setup::default() }
}

/// A project with what cosign needs beside it: the trusted key, a stranger's, and a predicate.
fn project(setup: Setup) -> Project {
    let project = Project::with(setup);
    project.write("trusted.key", &key().1);
    let stranger = KeyPair::generate(&mut OsRng).expect("a key");
    let file = stranger.encrypt(&Secret::new(PASSWORD.to_owned()), &mut OsRng).expect("a key file");
    project.write("stranger.key", &file);
    project.write("stranger.pub", &stranger.public_key().to_pem());
    project.write("offline.json", OFFLINE);
    project.write("predicate.json", r#"{"buildDefinition":{},"runDetails":{}}"#);
    project
}

fn cosign(version: &str, project: &Project, arguments: &[&str]) -> Output {
    let mut command = Command::new(peer(version));
    // A home of its own: no user's configuration, and no trust root fetched from the network into it.
    command.args(arguments).current_dir(project.path(".")).env_clear().env("HOME", project.path("."));
    command.env("COSIGN_PASSWORD", PASSWORD).stdin(Stdio::null()).output().expect("cosign starts")
}

fn words(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

#[track_caller]
fn cosign_verifies(version: &str, project: &Project, public: &str, image: &str) -> Result<String, String> {
    let flags = ["verify", "--key", public, "--insecure-ignore-tlog", "--allow-http-registry", image];
    let output = cosign(version, project, &flags);
    if output.status.success() { Ok(words(&output)) } else { Err(words(&output)) }
}

#[track_caller]
fn cosign_signs(version: &str, project: &Project, key: &str, release: &Digest) {
    let image = project.image(release);
    let offline: &[&str] =
        if version == COSIGN_2 { &["--tlog-upload=false"] } else { &["--signing-config", "offline.json"] };
    let sign = ["sign", "--yes", "--key", key, "--allow-http-registry"];
    let output = cosign(version, project, &[&sign[..], offline, &[&image]].concat());
    assert!(output.status.success(), "{}", words(&output));
}

#[track_caller]
fn cosign_attests(project: &Project, release: &Digest) {
    let image = project.image(release);
    let attest = ["attest", "--yes", "--key", "trusted.key", "--allow-http-registry", "--predicate", "predicate.json"];
    let kind = ["--type", "https://slsa.dev/provenance/v1", "--signing-config", "offline.json", &image];
    let output = cosign(COSIGN_3, project, &[&attest[..], &kind].concat());
    assert!(output.status.success(), "{}", words(&output));
}

/// Up the whole ladder. What ends in production is the build's digest, and any verifier with the public key says so.
fn to_production(project: &Project, release: &Digest, version: &str) {
    project.run(&["promote", "dev", &project.image(release)]).exits(0);
    for environment in ["staging", "canary", "production"] {
        project.run(&["promote", environment]).exits(0);
    }
    let served = Some((200, format!("billing {version}")));
    for environment in ["canary", "production"] {
        assert_eq!(project.get(environment, "/"), served, "{environment}");
    }
    assert_eq!(project.tag("production").as_ref(), Some(release));
}

fn ours_is_verified_by_cosign(setup: Setup) {
    let project = project(setup);
    let release = project.release("1.0.0", "");
    to_production(&project, &release, "1.0.0");
    let production = format!("{}:production", project.repository());
    for version in [COSIGN_2, COSIGN_3] {
        let said = cosign_verifies(version, &project, "schleuse.pub", &production).unwrap();
        // cosign itself says which digest the tag led it to.
        assert!(said.contains(&release.to_string()), "{version}: {said}");
        cosign_verifies(version, &project, "stranger.pub", &production).unwrap_err();
    }
    project.run(&["history", "--verify"]).exits(0);
}

fn cosigns_is_promoted(setup: Setup) {
    let project = project(setup);
    for (signer, version) in [(COSIGN_2, "2.0.0"), (COSIGN_3, "3.0.0")] {
        let release = project.build(version, "");
        cosign_signs(signer, &project, "trusted.key", &release);
        to_production(&project, &release, version);
    }
    for (signer, version) in [(COSIGN_2, "2.6.6"), (COSIGN_3, "3.6.6")] {
        let release = project.build(version, "");
        cosign_signs(signer, &project, "stranger.key", &release);
        is_refused(&project, &release);
    }
    project.run(&["history", "--verify"]).exits(0);
}

/// Nothing of it gets in: exit 11, no entry, no tag, nothing runs.
#[track_caller]
fn is_refused(project: &Project, release: &Digest) {
    let stands = |environment| {
        let history = project.run(&["history", environment, "--format", "json"]).exits(0).stdout;
        (history, project.tag(environment))
    };
    for environment in ["dev", "canary"] {
        let before = stands(environment);
        // Named outright, as by somebody with push rights.
        project.run(&["promote", environment, &project.image(release)]).exits(11);
        assert_eq!(stands(environment), before);
    }
}

#[test]
fn ours_is_verified_by_cosign_from_the_embedded_registry() {
    ours_is_verified_by_cosign(embedded());
}

#[test]
fn ours_is_verified_by_cosign_from_docker_registry() {
    ours_is_verified_by_cosign(docker());
}

#[test]
fn cosigns_is_promoted_on_the_embedded_registry() {
    cosigns_is_promoted(embedded());
}

#[test]
fn cosigns_is_promoted_on_docker_registry() {
    cosigns_is_promoted(docker());
}

/// Each forgery in turn, on both registries. A promoted good release before shows that the gate is not merely shut.
#[test]
fn what_is_not_signed_is_not_promoted() {
    for setup in [embedded(), docker()] {
        let project = project(setup);
        let good = project.release("1.0.0", "");
        project.run(&["promote", "dev", &project.image(&good)]).exits(0);

        let unsigned = project.build("6.0.0", "");
        is_refused(&project, &unsigned);

        // A little changed, with all the evidence of the original attached to it.
        let tampered = change(&project, &good);
        copy_evidence(&project, &good, &tampered, None);
        is_refused(&project, &tampered);

        // The trusted key attests how it was built. That is no signature...
        let attested = project.build("6.0.1", "");
        cosign_attests(&project, &attested);
        is_refused(&project, &attested);
        // ... nor does it become one by a label that says so.
        let labelled = project.build("6.0.2", "");
        cosign_attests(&project, &labelled);
        copy_evidence(&project, &labelled, &labelled, Some("https://sigstore.dev/cosign/sign/v1"));
        is_refused(&project, &labelled);
    }
}

/// Another image: the same layers and config, another annotation.
fn change(project: &Project, original: &Digest) -> Digest {
    runtime().block_on(async {
        let (client, repository) = (project.client(), project.repository());
        let manifest = client.manifest(&repository.pin(original.clone())).await.unwrap().expect("the release");
        let mut manifest = manifest.as_image().unwrap();
        manifest.annotations.insert("org.opencontainers.image.title".to_owned(), "not what was built".to_owned());
        let manifest = manifest.to_manifest();
        client.push_manifest(&repository, &manifest).await.unwrap();
        manifest.digest().clone()
    })
}

/// Attaches all that is attached to `from`, old format and new, to `to`; says of it that it is of this predicate type.
fn copy_evidence(project: &Project, from: &Digest, to: &Digest, predicate: Option<&str>) {
    runtime().block_on(async {
        let (client, repository) = (project.client(), project.repository());
        let subject = client.manifest(&repository.pin(to.clone())).await.unwrap().expect("it is there").descriptor();
        let found = client.referrers(&repository.pin(from.clone()), 64).await.unwrap();
        assert!(!found.is_empty(), "nothing is attached to {from}");
        for referrer in found {
            let evidence = client.manifest(&repository.pin(referrer.digest)).await.unwrap().expect("the evidence");
            let mut stolen = evidence.as_image().unwrap();
            stolen.subject = Some(subject.clone());
            if let Some(predicate) = predicate {
                let name = "dev.sigstore.bundle.predicateType".to_owned();
                stolen.annotations.insert(name, predicate.to_owned());
            }
            client.attach(&repository.pin(to.clone()), &stolen.to_manifest()).await.unwrap();
        }
        let legacy = |of: &Digest| repository.tag(format!("sha256-{}.sig", of.hex()).parse().expect("a tag"));
        if from != to
            && let Some(signatures) = client.tagged(&legacy(from)).await.unwrap()
        {
            client.tag(&legacy(to), &signatures).await.unwrap();
        }
    });
}

/// Signature check, journal, tag; with and without a rollout. Counted by a proxy before the registry.
#[test]
fn a_promotion_makes_few_requests() {
    let project = Project::with(Setup { proxy: true, ..embedded() });
    let proxy = project.proxy.as_ref().expect("the proxy");
    for version in ["1.0.0", "1.1.0"] {
        let release = project.release(version, "");
        let image = project.image(&release);
        let promotions: [&[&str]; 4] =
            [&["promote", "dev", &image], &["promote", "staging"], &["promote", "canary"], &["promote", "production"]];
        for promotion in promotions {
            proxy.reset();
            project.run(promotion).exits(0);
            let requests = proxy.count();
            eprintln!("{version} into {}: {requests} requests", promotion[1]);
            let log: String = proxy.log().iter().map(|record| format!("{record}\n")).collect();
            let most = if version == "1.0.0" { MOST_REQUESTS + FIRST_OF_A_JOURNAL } else { MOST_REQUESTS };
            assert!(requests <= most, "{version} into {}: {requests} requests\n{log}", promotion[1]);
        }
    }
}
