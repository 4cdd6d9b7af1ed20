//! Images signed by us and verified by cosign, and the reverse: on docker-registry 2.8 (no referrers API) and on ours (with it).

use std::path::Path;

use rand_core::OsRng;
use schleuse_client::Client;
use schleuse_model::predicate::{COSIGN_SIGN_V1, SLSA_PROVENANCE_V1};
use schleuse_model::{PinnedRef, Secret};
use schleuse_oci::Pull as _;
use schleuse_registry::Registry;
use schleuse_sign::fetch::attestation_candidates;
use schleuse_sign::{
    Error, KeyPair, Limits, PublicKey, Role, SignOptions, Signer as _, Statement, VerifyError, attach_statement,
    attestations, find_signature, sign_image,
};
use schleuse_testkit::DockerRegistry;
use tempfile::TempDir;

use crate::peers::{COSIGN_2, COSIGN_3, PASSWORD, cosign, words};
use crate::world::{NOW, client, image, key, source, store, trust, trusting};

/// A folder with our key pair in it (`our.key`, `our.pub`), a stranger's public key (`other.pub`), and what cosign 3 needs to
/// sign without a network.
fn desk(pair: &KeyPair) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: String| std::fs::write(folder.path().join(name), text).unwrap();
    write("our.key", pair.encrypt(&Secret::new(PASSWORD.to_owned()), &mut OsRng).unwrap());
    write("our.pub", pair.public_key().to_pem());
    write("other.pub", key().public_key().to_pem());
    write("predicate.json", r#"{"buildDefinition":{},"runDetails":{}}"#.to_owned());
    write(
        "offline.json",
        r#"{"mediaType":"application/vnd.dev.sigstore.signingconfig.v0.2+json","rekorTlogConfig":{},"tsaConfig":{}}"#
            .to_owned(),
    );
    folder
}

/// Runs cosign beside the runtime, which may be serving the registry that cosign talks to.
async fn run(version: &'static str, folder: &Path, args: &[&str]) -> std::process::Output {
    let folder = folder.to_owned();
    let args: Vec<String> = args.iter().map(|arg| (*arg).to_owned()).collect();
    tokio::task::spawn_blocking(move || cosign(version, &folder, &args.iter().map(String::as_str).collect::<Vec<_>>()))
        .await
        .unwrap()
}

async fn verifies(version: &'static str, folder: &Path, key: &str, image: &PinnedRef) -> Result<(), String> {
    let image = image.to_string();
    let args = ["verify", "--key", key, "--insecure-ignore-tlog", "--allow-http-registry", &image];
    let output = run(version, folder, &args).await;
    if output.status.success() { Ok(()) } else { Err(words(&output)) }
}

async fn ours_is_accepted(client: &Client, host: &str) {
    let pair = key();
    let desk = desk(&pair);
    let both = image(client, host, "both").await;
    sign_image(store(client), &both, &pair, &SignOptions::default(), NOW).await.unwrap();
    for version in [COSIGN_2, COSIGN_3] {
        verifies(version, desk.path(), "our.pub", &both).await.unwrap();
        verifies(version, desk.path(), "other.pub", &both).await.unwrap_err();
    }

    let bundle = image(client, host, "bundle only").await;
    let options = SignOptions { legacy: false, ..SignOptions::default() };
    sign_image(store(client), &bundle, &pair, &options, NOW).await.unwrap();
    verifies(COSIGN_3, desk.path(), "our.pub", &bundle).await.unwrap();
    let error = verifies(COSIGN_2, desk.path(), "our.pub", &bundle).await.unwrap_err();
    assert!(error.contains("no signatures found"), "{error}");

    let subject = client.manifest(&both).await.unwrap().unwrap().descriptor();
    let predicate = br#"{"buildDefinition":{},"runDetails":{}}"#;
    let statement = Statement::new(SLSA_PROVENANCE_V1, "billing", both.digest(), predicate).unwrap();
    attach_statement(store(client), &both, &subject, &statement, &pair, NOW).await.unwrap();
    let target = both.to_string();
    let args = ["verify-attestation", "--key", "our.pub", "--type", SLSA_PROVENANCE_V1, "--insecure-ignore-tlog"];
    let output = run(COSIGN_3, desk.path(), &[&args[..], &["--allow-http-registry", &target]].concat()).await;
    assert!(output.status.success(), "{}", words(&output));
}

async fn theirs_is_accepted(client: &Client, host: &str) {
    let pair = key();
    let desk = desk(&pair);
    let legacy = image(client, host, "signed by cosign 2").await;
    let target = legacy.to_string();
    let sign = ["sign", "--yes", "--key", "our.key", "--allow-http-registry"];
    let output = run(COSIGN_2, desk.path(), &[&sign[..], &["--tlog-upload=false", &target]].concat()).await;
    assert!(output.status.success(), "{}", words(&output));
    believed(client, &legacy, pair.public_key()).await;

    let bundle = image(client, host, "signed by cosign 3").await;
    let target = bundle.to_string();
    let offline = ["--signing-config", "offline.json"];
    let output = run(COSIGN_3, desk.path(), &[&sign[..], &offline, &[&target]].concat()).await;
    assert!(output.status.success(), "{}", words(&output));
    believed(client, &bundle, pair.public_key()).await;

    // An attestation by the same key signs nothing.
    let attested = image(client, host, "attested by cosign 3").await;
    let target = attested.to_string();
    let attest = ["attest", "--yes", "--key", "our.key", "--allow-http-registry", "--predicate", "predicate.json"];
    let kind = ["--type", SLSA_PROVENANCE_V1];
    let output = run(COSIGN_3, desk.path(), &[&attest[..], &kind, &offline, &[&target]].concat()).await;
    assert!(output.status.success(), "{}", words(&output));
    attestation_believed(client, &attested, &pair).await;
    let error = find_signature(source(client), &attested, &trusting(&pair), Role::Build, Limits::SIGNATURES, NOW).await;
    assert!(matches!(error, Err(Error::Untrusted(VerifyError::NotTrusted { .. }))), "{error:?}");

    let old = image(client, host, "attested by cosign 2").await;
    let target = old.to_string();
    let output = run(COSIGN_2, desk.path(), &[&attest[..], &kind, &["--tlog-upload=false", &target]].concat()).await;
    assert!(output.status.success(), "{}", words(&output));
    attestation_believed(client, &old, &pair).await;
}

async fn believed(client: &Client, image: &PinnedRef, by: &PublicKey) {
    let find = |trust| async move {
        find_signature(source(client), image, &trust, Role::Build, Limits::SIGNATURES, NOW).await
    };
    let verified = find(trust(by)).await.unwrap();
    assert_eq!((verified.image(), verified.signer().key()), (image, by));
    let stranger = find(trusting(&key())).await;
    assert!(matches!(stranger, Err(Error::Untrusted(VerifyError::NotTrusted { .. }))), "{stranger:?}");
}

async fn attestation_believed(client: &Client, image: &PinnedRef, pair: &KeyPair) {
    let candidates =
        attestation_candidates(source(client), image, SLSA_PROVENANCE_V1, Limits::ATTESTATIONS).await.unwrap();
    let found = attestations(image.digest(), &candidates, &trusting(pair), Role::Build, SLSA_PROVENANCE_V1);
    assert_eq!((found.accepted.len(), found.rejected.as_slice()), (1, &[][..]));
    let other = attestations(image.digest(), &candidates, &trusting(&key()), Role::Build, SLSA_PROVENANCE_V1);
    assert_eq!((other.accepted.len(), other.rejected.len()), (0, 1));
    let none = attestations(image.digest(), &candidates, &trusting(pair), Role::Build, COSIGN_SIGN_V1);
    assert_eq!(none.accepted.len(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn docker_registry_ours_is_accepted() {
    let registry = DockerRegistry::start();
    ours_is_accepted(&client(), &registry.address().to_string()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn docker_registry_theirs_is_accepted() {
    let registry = DockerRegistry::start();
    theirs_is_accepted(&client(), &registry.address().to_string()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn our_registry_ours_is_accepted() {
    let registry = Registry::memory().spawn("127.0.0.1:0".parse().unwrap()).await.unwrap();
    ours_is_accepted(&client(), &registry.addr().to_string()).await;
    registry.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn our_registry_theirs_is_accepted() {
    let registry = Registry::memory().spawn("127.0.0.1:0".parse().unwrap()).await.unwrap();
    theirs_is_accepted(&client(), &registry.addr().to_string()).await;
    registry.stop().await.unwrap();
}
