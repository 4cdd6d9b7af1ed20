//! The same scenarios on real registries: docker-registry 2.8 (no referrers API, no conditions) and our own (both).

use std::sync::Arc;

use schleuse_client::Client;
use schleuse_model::{Digest, Repository, Tag};
use schleuse_oci::{
    Body, Created, Descriptor, Error, ImageManifest, Index, Manifest, Pull as _, Push as _, Referrers as _, collect,
    media_type,
};
use schleuse_registry::Registry;

use crate::fake::{evidence, image};
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

async fn push_and_pull(host: &str) {
    let client = client();
    let repository: Repository = format!("{host}/acme/billing").parse().unwrap();
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
    let other: Repository = format!("{host}/acme/other").parse().unwrap();
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
    let nowhere: Repository = format!("{host}/no/such").parse().unwrap();
    assert!(client.resolve(&nowhere.tag(tag("v1"))).await.unwrap().is_none());
    assert!(client.blob(&nowhere, &absent.digest, 100).await.unwrap().is_none());

    let skew = client.registry_time().unwrap();
    assert!(skew.registry.since(skew.local).as_secs() < 5 && skew.local.since(skew.registry).as_secs() < 5);
}

async fn tags_and_mount(host: &str) {
    let client = client();
    let repository: Repository = format!("{host}/acme/tags").parse().unwrap();
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

    let mounted: Repository = format!("{host}/acme/mounted").parse().unwrap();
    let layer = Digest::sha256(b"layer");
    assert!(client.mount_blob(&mounted, &layer, &repository).await.unwrap());
    assert_eq!(client.blob(&mounted, &layer, 10).await.unwrap().unwrap(), &b"layer"[..]);
    assert!(!client.mount_blob(&mounted, &Digest::sha256(b"no such blob"), &repository).await.unwrap());
}

/// A tag is moved by the raw bytes, whoever wrote them and however they look.
async fn retag_keeps_the_bytes(host: &str) {
    let client = client();
    let repository: Repository = format!("{host}/acme/retag").parse().unwrap();
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

async fn evidence_is_found(host: &str) {
    let client = client();
    let repository: Repository = format!("{host}/acme/evidence").parse().unwrap();
    let subject = subject(&client, &repository).await;
    let pinned = repository.pin(subject.digest().clone());
    assert_eq!(client.referrers(&pinned, 10).await.unwrap(), []);
    let first = evidence(&subject, "first");
    client.attach(&pinned, &first).await.unwrap();
    // Twice is once.
    client.attach(&pinned, &first).await.unwrap();
    let second = evidence(&subject, "second");
    client.attach(&pinned, &second).await.unwrap();
    for reader in [client, self::client()] {
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
async fn concurrent_attachers(host: &str) {
    let repository: Repository = format!("{host}/acme/concurrent").parse().unwrap();
    let subject = subject(&client(), &repository).await;
    let pinned = Arc::new(repository.pin(subject.digest().clone()));
    let mut tasks = Vec::new();
    for number in 0..8 {
        // A client each: nothing is known from one to the other.
        let (client, pinned) = (client(), pinned.clone());
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
    let found = client().referrers(&pinned, 8).await.unwrap();
    for digest in &attached {
        assert!(found.iter().any(|descriptor| descriptor.digest == *digest), "{digest} is lost");
    }
    assert_eq!(found.len(), 8);
}

macro_rules! on_both {
    ($($name:ident),*) => {$(
        mod $name {
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn docker_registry() {
                let registry = super::DockerRegistry::start();
                super::$name(&registry.address().to_string()).await;
            }

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn ours() {
                let registry = super::Registry::memory().spawn(([127, 0, 0, 1], 0).into()).await.unwrap();
                super::$name(&registry.addr().to_string()).await;
            }
        }
    )*};
}
on_both!(push_and_pull, tags_and_mount, retag_keeps_the_bytes, evidence_is_found, concurrent_attachers);

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
