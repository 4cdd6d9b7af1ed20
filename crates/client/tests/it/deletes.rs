//! Taking away, where a registry can.

use schleuse_client::Client;
use schleuse_model::{Explain as _, Repository};
use schleuse_oci::{Body, Delete as _, Descriptor, Error, Manifest, Pull as _, Push as _};
use schleuse_registry::Registry;
use schleuse_testkit::DockerRegistry;
use schleuse_testkit::docker_registry::Setup;

use crate::fake::{Fake, client, image, reply};

async fn pushed(client: &Client, repository: &Repository) -> Manifest {
    client.push_blob(repository, &Descriptor::empty(), Body::from(&b"{}"[..])).await.unwrap();
    let manifest = image("to be deleted");
    for tag in ["v1", "v2"] {
        client.tag(&repository.tag(tag.parse().unwrap()), &manifest).await.unwrap();
    }
    manifest
}

fn undeletable<T: std::fmt::Debug>(result: Result<T, Error>) {
    let Err(error @ Error::Undeletable { .. }) = result else { panic!("{result:?}") };
    assert!(error.hints().iter().any(|hint| hint.contains("REGISTRY_STORAGE_DELETE_ENABLED")), "{error:?}");
}

#[tokio::test]
async fn ours_deletes_a_tag_and_keeps_its_manifest() {
    let registry = Registry::memory().spawn(([127, 0, 0, 1], 0).into()).await.unwrap();
    let (client, repository) = (client(), format!("{}/a/b", registry.addr()).parse::<Repository>().unwrap());
    let manifest = pushed(&client, &repository).await;
    let (pinned, tag) = (repository.pin(manifest.digest().clone()), repository.tag("v1".parse().unwrap()));
    assert!(client.delete_tag(&tag).await.unwrap());
    assert!(!client.delete_tag(&tag).await.unwrap(), "it was there once");
    assert_eq!(client.resolve(&tag).await.unwrap(), None);
    assert_eq!(client.resolve(&repository.tag("v2".parse().unwrap())).await.unwrap(), Some(pinned.clone()));
    assert!(client.delete_manifest(&pinned).await.unwrap());
    assert!(!client.delete_manifest(&pinned).await.unwrap());
    assert_eq!(client.manifest(&pinned).await.unwrap(), None);
    assert_eq!(client.tags(&repository, "", 9).await.unwrap(), []);
}

#[tokio::test]
async fn docker_registry_deletes_manifests_but_no_tags() {
    let registry = DockerRegistry::start();
    let (client, repository) = (client(), format!("{}/a/b", registry.address()).parse::<Repository>().unwrap());
    let manifest = pushed(&client, &repository).await;
    let (pinned, tag) = (repository.pin(manifest.digest().clone()), repository.tag("v1".parse().unwrap()));
    undeletable(client.delete_tag(&tag).await);
    assert!(client.delete_manifest(&pinned).await.unwrap());
    assert!(!client.delete_manifest(&pinned).await.unwrap());
    assert_eq!(client.resolve(&tag).await.unwrap(), None);
}

#[tokio::test]
async fn docker_registry_with_deletion_switched_off() {
    let registry = DockerRegistry::start_as(Setup { delete: false, ..Setup::default() });
    let (client, repository) = (client(), format!("{}/a/b", registry.address()).parse::<Repository>().unwrap());
    let manifest = pushed(&client, &repository).await;
    undeletable(client.delete_manifest(&repository.pin(manifest.digest().clone())).await);
    undeletable(client.delete_tag(&repository.tag("v1".parse().unwrap())).await);
    assert!(client.resolve(&repository.tag("v1".parse().unwrap())).await.unwrap().is_some());
}

#[tokio::test]
async fn what_an_answer_means() {
    for refusal in
        [reply(405), reply(405).error("UNSUPPORTED"), reply(400).error("UNSUPPORTED"), reply(404).error("UNSUPPORTED")]
    {
        let fake = Fake::start(move |_, _| refusal.clone()).await;
        undeletable(client().delete_tag(&fake.tag("v1")).await);
        undeletable(client().delete_manifest(&fake.pin(b"x")).await);
        assert_eq!(fake.asked().len(), 2, "not asked twice");
    }
    let absent = Fake::start(|_, _| reply(404).error("MANIFEST_UNKNOWN")).await;
    assert!(!client().delete_tag(&absent.tag("v1")).await.unwrap());
    assert_eq!(absent.lines(), ["DELETE /v2/a/b/manifests/v1"]);
    // A portal says 200 or 404 to anything: neither is "done" or "not there".
    for strange in [reply(200), reply(404).body("text/html", "<html>"), reply(400).error("DIGEST_INVALID")] {
        let fake = Fake::start(move |_, _| strange.clone()).await;
        let error = client().delete_manifest(&fake.pin(b"x")).await.unwrap_err();
        assert!(matches!(error, Error::Unexpected { .. } | Error::WebPage { .. }), "{error:?}");
    }
    let denied = Fake::start(|_, _| reply(403).error("DENIED")).await;
    assert!(matches!(client().delete_manifest(&denied.pin(b"x")).await, Err(Error::Denied { .. })));
}
