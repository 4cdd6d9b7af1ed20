//! Credential helpers, run for real: `helpers/docker-credential-fixture`.

use std::sync::Arc;
use std::time::Duration;

use schleuse_client::credentials::{DockerConfig, Helpers};
use schleuse_model::{Explain as _, Repository};
use schleuse_oci::{Credential, CredentialSource as _, Error, Pull as _};
use tokio::time::Instant;

use crate::fake::{Fake, image, quick, reply};

const FIXTURES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/helpers");

fn helpers(environment: &[(&str, &str)]) -> Helpers {
    let environment = environment.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned().into()));
    Helpers::new(format!("{FIXTURES}:/usr/bin:/bin"), environment)
}

fn config(text: &str, helpers: Helpers) -> (tempfile::TempDir, DockerConfig) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("config.json");
    std::fs::write(&path, text).unwrap();
    (folder, DockerConfig::new(path).helpers(Arc::new(helpers)))
}

async fn asked(host: &str, helpers: Helpers) -> Result<Option<Credential>, Error> {
    let (_folder, config) = config(r#"{"credsStore":"fixture"}"#, helpers);
    config.credential(&format!("{host}/a/b").parse::<Repository>().unwrap()).await
}

fn basic(found: Result<Option<Credential>, Error>) -> (String, String) {
    match found {
        Ok(Some(Credential::Basic { username, password })) => (username, password.expose().clone()),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn what_a_helper_answers() {
    let quiet = || helpers(&[]);
    assert_eq!(basic(asked("quoted.example", quiet()).await), ("user".into(), "hunter2".into()));
    let token = asked("token.example", quiet()).await.unwrap();
    assert!(matches!(&token, Some(Credential::IdentityToken(token)) if token.expose() == "refresh"), "{token:?}");
    assert!(asked("none.example", quiet()).await.unwrap().is_none());
    // Docker Hub's login may be kept under either of its names.
    assert_eq!(basic(asked("docker.io", quiet()).await).0, "podman");
}

#[tokio::test]
async fn it_sees_what_it_is_given_and_nothing_else() {
    let given = [("HOME", "/home/someone"), ("AWS_PROFILE", "x"), ("USER", "user")];
    let names = basic(asked("env.example", helpers(&given)).await).0;
    // PWD is the shell's own.
    assert_eq!(
        names.split_whitespace().filter(|name| *name != "PWD").collect::<Vec<_>>(),
        ["AWS_PROFILE", "HOME", "PATH", "USER"]
    );
    // A value of the environment that stands in the answer stays there.
    assert_eq!(basic(asked("home.example", helpers(&given)).await).0, "/home/someone");
}

#[tokio::test]
async fn a_helper_that_fails_is_an_error_without_its_output() {
    let given = [("FIXTURE_TOKEN", "t0ken-of-the-vault")];
    for (host, expected) in [
        ("broken.example", "`docker-credential-fixture` failed: cannot reach the vault with [redacted]"),
        ("nonsense.example", "what `docker-credential-fixture` answers is no login"),
        ("empty.example", "is no login"),
        ("endless.example", "stopped"),
        ("hang.example", "stopped"),
        ("other.example", "`docker-credential-fixture` failed"),
    ] {
        let started = Instant::now();
        let error = asked(host, helpers(&given).deadline(Duration::from_millis(500))).await.unwrap_err();
        let shown = format!("{error} {error:?} {:?}", error.hints());
        assert!(matches!(error, Error::Credentials { .. }) && shown.contains(expected), "{shown}");
        assert!(!shown.contains("hunter2") && !shown.contains("t0ken"), "{shown}");
        assert!(shown.contains("REGISTRY_USERNAME"), "{shown}");
        assert!(started.elapsed() < Duration::from_secs(10));
    }
}

#[tokio::test]
async fn a_helper_that_is_not_there_or_has_no_name() {
    for (name, expected) in
        [("nowhere", "was not found"), ("../fixture", "no name of a credential helper"), ("a b", "no name")]
    {
        let (_folder, config) = config(&format!(r#"{{"credHelpers":{{"r.io":"{name}"}}}}"#), helpers(&[]));
        let error = config.credential(&"r.io/a".parse().unwrap()).await.unwrap_err();
        assert!(error.to_string().contains(expected), "{error}");
    }
}

/// One run for all the tokens of a moment.
#[tokio::test]
async fn a_helper_is_asked_once_for_many_repositories() {
    let fake = Fake::start(|_, asked| match asked.header("authorization") {
        Some("Basic dXNlcjpodW50ZXIy") => reply(200).manifest(&image("private")),
        _ => reply(401).header("www-authenticate", "Basic realm=x"),
    })
    .await;
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("log");
    let (_folder, config) = config(r#"{"credsStore":"fixture"}"#, helpers(&[("FIXTURE_LOG", log.to_str().unwrap())]));
    let client = quick().credentials(Arc::new(config)).build().unwrap();
    for path in ["a", "b", "c"] {
        let repository: Repository = format!("{}/{path}", fake.host).parse().unwrap();
        assert!(client.resolve(&repository.tag("v1".parse().unwrap())).await.unwrap().is_some());
    }
    assert_eq!(std::fs::read_to_string(&log).unwrap(), format!("{}\n", fake.host));
}
