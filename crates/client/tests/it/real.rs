//! The same scenarios on real registries: docker-registry 2.8 (no referrers API, no conditions) and our own (both), with and
//! without login and HTTPS.

mod place;

use std::sync::Arc;
use std::sync::atomic::Ordering;

use schleuse_client::Client;
use schleuse_model::{Digest, Repository, Tag};
use schleuse_oci::{
    Body, Created, Delete as _, Descriptor, Error, ImageManifest, Index, Manifest, Platform, Pull as _, Push as _,
    Referrers as _, collect, media_type,
};
use schleuse_registry::Registry;

use crate::fake::{evidence, image};
use place::{Place, bad_line};
use schleuse_testkit::DockerRegistry;

fn tag(name: &str) -> Tag {
    name.parse().unwrap()
}

fn client() -> Client {
    Client::builder().build().unwrap()
}

/// Pushes an image with one layer of `size` bytes and answers its manifest.
async fn push_image(client: &Client, repository: &Repository, layer: Vec<u8>) -> Manifest {
    let config = b"{\"architecture\":\"amd64\",\"os\":\"linux\",\"rootfs\":{\"type\":\"layers\",\"diff_ids\":[]}}";
    let config_blob = Descriptor::of(media_type::IMAGE_CONFIG, config);
    let layer_blob = Descriptor::of(media_type::LAYER_TAR, &layer);
    client.push_blob(repository, &config_blob, Body::from(&config[..])).await.unwrap();
    client.push_blob(repository, &layer_blob, Body::from(layer)).await.unwrap();
    let manifest = ImageManifest::new(config_blob, vec![layer_blob]).to_manifest();
    client.push_manifest(repository, &manifest).await.unwrap();
    manifest
}

async fn push_and_pull(place: &Place) {
    let client = place.client();
    let repository = place.repository("acme/billing");
    let layer: Vec<u8> = (0..3_000_000u32).flat_map(u32::to_le_bytes).take(3_000_000).collect();
    let layer_blob = Descriptor::of(media_type::LAYER_TAR, &layer);

    assert_eq!(client.resolve(&repository.tag(tag("v1"))).await.unwrap(), None);
    assert!(!client.has_blob(&repository, &layer_blob.digest).await.unwrap());
    let manifest = push_image(&client, &repository, layer.clone()).await;
    assert!(client.has_blob(&repository, &layer_blob.digest).await.unwrap());
    // By file, and once more: nothing changes.
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), &layer).unwrap();
    client.push_blob(&repository, &layer_blob, Body::File(file.path().to_owned())).await.unwrap();
    let other = place.repository("acme/other");
    client.push_blob(&other, &layer_blob, Body::File(file.path().to_owned())).await.unwrap();

    client.tag(&repository.tag(tag("v1")), &manifest).await.unwrap();
    let pinned = client.resolve(&repository.tag(tag("v1"))).await.unwrap().unwrap();
    assert_eq!(pinned.digest(), manifest.digest());
    assert_eq!(client.manifest(&pinned).await.unwrap().unwrap(), manifest);
    assert_eq!(client.tagged(&repository.tag(tag("v1"))).await.unwrap().unwrap(), manifest);

    let blob = client.blob(&repository, &layer_blob.digest, 3_000_000).await.unwrap().unwrap();
    assert_eq!(blob, layer);
    let small = client.blob(&repository, &layer_blob.digest, 2_999_999).await;
    assert!(matches!(small, Err(Error::TooLarge { .. })), "{small:?}");
    let stream = client.blob_stream(&repository, &layer_blob).await.unwrap().unwrap();
    assert_eq!(collect(stream, 3_000_000, "layer").await.unwrap(), layer);

    let absent = Descriptor::of(media_type::LAYER_TAR, b"never pushed");
    assert!(client.blob(&repository, &absent.digest, 100).await.unwrap().is_none());
    assert!(client.blob_stream(&repository, &absent).await.unwrap().is_none());
    assert!(client.manifest(&repository.pin(absent.digest.clone())).await.unwrap().is_none());
    let nowhere = place.repository("no/such");
    assert!(client.resolve(&nowhere.tag(tag("v1"))).await.unwrap().is_none());
    assert!(client.blob(&nowhere, &absent.digest, 100).await.unwrap().is_none());

    let skew = client.registry_time().unwrap();
    assert!(skew.registry.since(skew.local).as_secs() < 5 && skew.local.since(skew.registry).as_secs() < 5);
}

async fn tags_and_mount(place: &Place) {
    let client = place.client();
    let repository = place.repository("acme/tags");
    assert_eq!(client.tags(&repository, "", 10).await.unwrap(), []);
    let manifest = push_image(&client, &repository, b"layer".to_vec()).await;
    for name in ["v1", "v2", "sha-1", "sha-2", "sha-3"] {
        client.tag(&repository.tag(tag(name)), &manifest).await.unwrap();
    }
    let mut found = client.tags(&repository, "sha-", 3).await.unwrap();
    // docker-registry lists them in the order of its folder.
    found.sort();
    assert_eq!(found, [tag("sha-1"), tag("sha-2"), tag("sha-3")]);
    assert_eq!(client.tags(&repository, "", 5).await.unwrap().len(), 5);
    assert!(matches!(client.tags(&repository, "sha-", 2).await, Err(Error::TooLarge { .. })));
    assert_eq!(client.tags(&repository, "w", 2).await.unwrap(), []);

    let mounted = place.repository("acme/mounted");
    let layer = Digest::sha256(b"layer");
    assert!(client.mount_blob(&mounted, &layer, &repository).await.unwrap());
    assert_eq!(client.blob(&mounted, &layer, 10).await.unwrap().unwrap(), &b"layer"[..]);
    assert!(!client.mount_blob(&mounted, &Digest::sha256(b"no such blob"), &repository).await.unwrap());
}

/// A tag is moved by the raw bytes, whoever wrote them and however they look.
async fn retag_keeps_the_bytes(place: &Place) {
    let client = place.client();
    let repository = place.repository("acme/retag");
    let original = push_image(&client, &repository, b"layer".to_vec()).await;
    let odd = String::from_utf8(original.bytes().to_vec()).unwrap().replace(',', " ,\n\t");
    let odd = Manifest::new(media_type::IMAGE_MANIFEST, odd.into_bytes());
    client.tag(&repository.tag(tag("dev")), &odd).await.unwrap();
    let read = client.tagged(&repository.tag(tag("dev"))).await.unwrap().unwrap();
    client.tag(&repository.tag(tag("production")), &read).await.unwrap();
    let moved = client.resolve(&repository.tag(tag("production"))).await.unwrap().unwrap();
    assert_eq!(moved.digest(), odd.digest());

    let index = Index::new(vec![original.descriptor(), odd.descriptor()]).to_manifest();
    client.tag(&repository.tag(tag("index")), &index).await.unwrap();
    let read = client.tagged(&repository.tag(tag("index"))).await.unwrap().unwrap();
    assert_eq!((read.media_type(), read.digest()), (media_type::IMAGE_INDEX, index.digest()));
}

/// A subject with its blobs, and the blob that evidence needs.
async fn subject(client: &Client, repository: &Repository) -> Manifest {
    client.push_blob(repository, &Descriptor::empty(), Body::from(&b"{}"[..])).await.unwrap();
    let subject = image("subject");
    client.push_manifest(repository, &subject).await.unwrap();
    subject
}

async fn evidence_is_found(place: &Place) {
    let client = place.client();
    let repository = place.repository("acme/evidence");
    let subject = subject(&client, &repository).await;
    let pinned = repository.pin(subject.digest().clone());
    assert_eq!(client.referrers(&pinned, 10).await.unwrap(), []);
    let first = evidence(&subject, "first");
    client.attach(&pinned, &first).await.unwrap();
    // Twice is once.
    client.attach(&pinned, &first).await.unwrap();
    let second = evidence(&subject, "second");
    client.attach(&pinned, &second).await.unwrap();
    for reader in [client, place.client()] {
        let found = reader.referrers(&pinned, 10).await.unwrap();
        assert_eq!(found.len(), 2, "{found:?}");
        let one = found.iter().find(|descriptor| descriptor.digest == *first.digest()).unwrap();
        assert_eq!(one.artifact_type.as_deref(), Some("application/vnd.example.evidence"));
        assert_eq!(one.annotations["remark"], "first");
        assert_eq!((one.size, one.media_type.as_str()), (first.bytes().len() as u64, media_type::IMAGE_MANIFEST));
        assert!(matches!(reader.referrers(&pinned, 1).await, Err(Error::TooLarge { .. })));
    }
}

/// docker-registry loses most of eight concurrent index updates. Ours must all be found.
async fn concurrent_attachers(place: &Place) {
    let repository = place.repository("acme/concurrent");
    let subject = subject(&place.client(), &repository).await;
    let pinned = Arc::new(repository.pin(subject.digest().clone()));
    let mut tasks = Vec::new();
    for number in 0..8 {
        // A client each: nothing is known from one to the other.
        let (client, pinned) = (place.client(), pinned.clone());
        let manifest = evidence(&subject, &number.to_string());
        tasks.push(tokio::spawn(async move {
            client.attach(&pinned, &manifest).await.unwrap();
            manifest.digest().clone()
        }));
    }
    let mut attached = Vec::new();
    for task in tasks {
        attached.push(task.await.unwrap());
    }
    let found = place.client().referrers(&pinned, 8).await.unwrap();
    for digest in &attached {
        assert!(found.iter().any(|descriptor| descriptor.digest == *digest), "{digest} is lost");
    }
    assert_eq!(found.len(), 8);
}

/// A large layer over a line that breaks twice: no byte is sent twice, and the whole arrives.
async fn a_download_goes_on(place: &Place) {
    let repository = place.repository("acme/large");
    let layer: Vec<u8> = (0..1_500_000u32).flat_map(u32::to_le_bytes).collect();
    let blob = Descriptor::of(media_type::LAYER_TAR, &layer);
    place.client().push_blob(&repository, &blob, Body::from(layer.clone())).await.unwrap();
    let (host, connections) = bad_line(&place.host, 2, 2_000_000).await;
    let through: Repository = format!("{host}/acme/large").parse().unwrap();
    let stream = place.client_at(&host).blob_stream(&through, &blob).await.unwrap().unwrap();
    assert_eq!(collect(stream, layer.len(), "layer").await.unwrap(), layer);
    assert_eq!(connections.load(Ordering::SeqCst), 3);
}

/// Blobs that cannot be mounted are pushed after all, with the upload that the registry opened meanwhile.
async fn a_mount_in_vain(place: &Place) {
    let (client, repository) = (place.client(), place.repository("acme/vain"));
    for layer in [b"small".to_vec(), vec![5; 300_000]] {
        let blob = Descriptor::of(media_type::LAYER_TAR, &layer);
        assert!(!client.mount_blob(&repository, &blob.digest, &place.repository("acme/empty")).await.unwrap());
        client.push_blob(&repository, &blob, Body::from(layer.clone())).await.unwrap();
        assert_eq!(client.blob(&repository, &blob.digest, 300_000).await.unwrap().unwrap(), layer);
    }
}

async fn two_platforms(place: &Place) {
    let (client, repository) = (place.client(), place.repository("acme/platforms"));
    let mut children = Vec::new();
    for architecture in ["amd64", "arm64"] {
        let manifest = push_image(&client, &repository, architecture.as_bytes().to_vec()).await;
        let mut child = manifest.descriptor();
        child.platform =
            Some(Platform { os: "linux".to_owned(), architecture: architecture.to_owned(), variant: None });
        children.push(child);
    }
    let index = Index::new(children).to_manifest();
    client.tag(&repository.tag(tag("v1")), &index).await.unwrap();
    let read = client.tagged(&repository.tag(tag("v1"))).await.unwrap().unwrap();
    assert_eq!(read, index);
    for child in read.as_index().unwrap().manifests {
        let manifest = client.manifest(&repository.pin(child.digest)).await.unwrap().unwrap();
        let layer = manifest.as_image().unwrap().layers.remove(0);
        let content = client.blob(&repository, &layer.digest, 99).await.unwrap().unwrap();
        assert_eq!(content, child.platform.unwrap().architecture.as_bytes());
    }
}

async fn deleting(place: &Place) {
    let (client, repository) = (place.client(), place.repository("acme/deleting"));
    let (manifest, kept) =
        (push_image(&client, &repository, b"a".to_vec()).await, push_image(&client, &repository, b"b".to_vec()).await);
    let name = |name: &str| repository.tag(tag(name));
    for (tag, manifest) in [("v1", &manifest), ("v2", &manifest), ("v3", &kept)] {
        client.tag(&name(tag), manifest).await.unwrap();
    }
    match client.delete_tag(&name("v1")).await {
        Ok(deleted) => assert!(deleted && place.deletes_tags),
        Err(Error::Undeletable { .. }) => assert!(!place.deletes_tags),
        Err(error) => panic!("{error}"),
    }
    assert_eq!(client.resolve(&name("v2")).await.unwrap().unwrap().digest(), manifest.digest());
    let pinned = repository.pin(manifest.digest().clone());
    assert!(client.delete_manifest(&pinned).await.unwrap());
    assert!(!client.delete_manifest(&pinned).await.unwrap());
    assert_eq!(client.resolve(&name("v2")).await.unwrap(), None);
    assert_eq!(client.resolve(&name("v3")).await.unwrap().unwrap().digest(), kept.digest());
}

/// Where a login is needed, nothing is to be had without, and it is said what to do.
async fn strangers(place: &Place) {
    let Some(stranger) = place.stranger() else { return };
    let (repository, blob) = (place.repository("acme/billing"), Descriptor::of(media_type::LAYER_TAR, b"x"));
    let refused = |result: Result<(), Error>| assert!(matches!(result, Err(Error::Unauthorized { .. })), "{result:?}");
    refused(stranger.resolve(&repository.tag(tag("v1"))).await.map(drop));
    refused(stranger.push_blob(&repository, &blob, Body::from(&b"x"[..])).await);
    refused(stranger.tags(&repository, "", 9).await.map(drop));
    refused(stranger.delete_tag(&repository.tag(tag("v1"))).await.map(drop));
}

async fn every_scenario(place: &Place) {
    strangers(place).await;
    push_and_pull(place).await;
    tags_and_mount(place).await;
    a_mount_in_vain(place).await;
    retag_keeps_the_bytes(place).await;
    two_platforms(place).await;
    a_download_goes_on(place).await;
    evidence_is_found(place).await;
    concurrent_attachers(place).await;
    deleting(place).await;
}

macro_rules! everywhere {
    ($($name:ident: $login:expr, $tls:expr;)*) => {$(
        mod $name {
            use super::{Place, every_scenario};

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn docker_registry() {
                every_scenario(&Place::docker_registry($login, $tls).await).await;
            }

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn ours() {
                every_scenario(&Place::ours($login, $tls).await).await;
            }
        }
    )*};
}
everywhere! {
    open: false, false;
    with_login: true, false;
    over_https: false, true;
    with_login_over_https: true, true;
}

#[tokio::test]
async fn create_once_has_one_winner_where_the_registry_honours_it() {
    let registry = Registry::memory().spawn(([127, 0, 0, 1], 0).into()).await.unwrap();
    let repository: Repository = format!("{}/acme/journal", registry.addr()).parse().unwrap();
    subject(&client(), &repository).await;
    let mut tasks = Vec::new();
    for number in 0..8 {
        let (client, tag) = (client(), repository.tag(tag("j-1")));
        tasks.push(tokio::spawn(async move { client.create_tag(&tag, &image(&number.to_string())).await.unwrap() }));
    }
    let mut won = 0;
    for task in tasks {
        won += u32::from(task.await.unwrap() == Created::Won);
    }
    assert_eq!(won, 1);
}

#[tokio::test]
async fn docker_registry_lets_everybody_win() {
    // Why create-once must be proven before it is relied upon (DESIGN §7).
    let registry = DockerRegistry::start();
    let repository: Repository = format!("{}/acme/journal", registry.address()).parse().unwrap();
    subject(&client(), &repository).await;
    for number in 0..2 {
        let created = client().create_tag(&repository.tag(tag("j-1")), &image(&number.to_string())).await.unwrap();
        assert_eq!(created, Created::Won);
    }
}
