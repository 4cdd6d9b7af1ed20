//! Blobs that lie elsewhere: credentials stay at home, and plain HTTP stays on this machine.

use std::sync::Arc;

use schleuse_client::credentials::StaticCredentials;
use schleuse_model::Digest;
use schleuse_oci::{Error, Pull as _};

use crate::fake::{Fake, client, image, password, quick, reply};

#[tokio::test]
async fn credentials_stay_at_home() {
    let storage = Fake::start(|_, _| reply(200).body("application/octet-stream", "layer")).await;
    let target = format!("http://{}/bucket/layer?signature=s3cret", storage.host);
    let registry = Fake::start(move |_, asked| match asked.header("authorization") {
        Some("Basic dXNlcjpodW50ZXIy") => reply(307).header("location", target.clone()),
        _ => reply(401).header("www-authenticate", "Basic realm=x"),
    })
    .await;
    let logins = StaticCredentials::new()
        .with(&registry.host, password("user", "hunter2"))
        // Even if the storage's host has a login of its own: it was not asked for.
        .with(&storage.host, password("user", "other"));
    let client = quick().credentials(Arc::new(logins)).build().unwrap();
    let digest = Digest::sha256(b"layer");
    let blob = client.blob(&registry.repository(), &digest, 99).await.unwrap().unwrap();
    assert_eq!(blob, &b"layer"[..]);
    assert_eq!(storage.lines(), ["GET /bucket/layer?signature=s3cret"]);
    assert_eq!(storage.asked()[0].header("authorization"), None);
}

#[tokio::test]
async fn on_the_same_registry_they_are_kept() {
    let registry = Fake::start(|_, asked| {
        if asked.header("authorization").is_none() {
            reply(401).header("www-authenticate", "Basic realm=x")
        } else if asked.target == "/elsewhere" {
            reply(200).body("application/octet-stream", "layer")
        } else {
            reply(307).header("location", "/elsewhere")
        }
    })
    .await;
    let logins = StaticCredentials::new().with(&registry.host, password("user", "hunter2"));
    let client = quick().credentials(Arc::new(logins)).build().unwrap();
    assert!(client.blob(&registry.repository(), &Digest::sha256(b"layer"), 99).await.unwrap().is_some());
}

#[tokio::test]
async fn a_storage_s_404_is_not_the_registry_s_word() {
    let storage = Fake::start(|_, _| reply(404)).await;
    let target = format!("http://{}/gone", storage.host);
    let registry = Fake::start(move |_, _| reply(307).header("location", target.clone())).await;
    let gone = client().blob(&registry.repository(), &Digest::sha256(b"layer"), 99).await;
    assert!(matches!(&gone, Err(Error::Unexpected { host, status: 404, .. }) if *host == storage.host), "{gone:?}");
}

#[tokio::test]
async fn no_plain_http_to_other_machines() {
    for target in ["http://storage.invalid/layer", "http://192.0.2.1/layer"] {
        let registry = Fake::start(move |_, _| reply(307).header("location", target)).await;
        let refused = client().blob(&registry.repository(), &Digest::sha256(b"layer"), 99).await;
        assert!(matches!(refused, Err(Error::Insecure { .. })), "{refused:?}");
    }
    for target in ["file:///etc/passwd", "ftp://127.0.0.1/x", "https://user:word@127.0.0.1/x"] {
        let registry = Fake::start(move |_, _| reply(307).header("location", target)).await;
        let refused = client().blob(&registry.repository(), &Digest::sha256(b"layer"), 99).await;
        assert!(matches!(refused, Err(Error::Unexpected { .. })), "{refused:?}");
    }
}

#[tokio::test]
async fn five_at_most_and_none_for_manifests() {
    let registry = Fake::start(|before, _| reply(302).header("location", format!("/hop/{before}"))).await;
    let circle = client().blob(&registry.repository(), &Digest::sha256(b"layer"), 99).await;
    assert!(matches!(circle, Err(Error::Unexpected { status: 302, .. })), "{circle:?}");
    assert_eq!(registry.asked().len(), 6);
    let moved = image("moved");
    let elsewhere = Fake::start(move |_, _| reply(200).manifest(&moved)).await;
    let target = format!("http://{}/v2/a/b/manifests/v1", elsewhere.host);
    let registry = Fake::start(move |_, _| reply(307).header("location", target.clone())).await;
    assert!(matches!(client().resolve(&registry.tag("v1")).await, Err(Error::Unexpected { status: 307, .. })));
    // Whatever the repository is called.
    let blobs: schleuse_model::Repository = format!("{}/a/blobs/b", registry.host).parse().unwrap();
    assert!(client().resolve(&blobs.tag("v1".parse().unwrap())).await.is_err());
    assert_eq!(elsewhere.asked().len(), 0);
}
