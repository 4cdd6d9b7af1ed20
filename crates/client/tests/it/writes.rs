//! Writing against servers that take liberties.

use std::sync::Arc;

use schleuse_client::credentials::StaticCredentials;
use schleuse_model::Digest;
use schleuse_oci::{Body, Created, Descriptor, Error, Push as _, media_type};

use crate::fake::{Fake, client, image, password, quick, reply};

fn blob() -> (Descriptor, Body) {
    (Descriptor::of(media_type::LAYER_TAR, b"layer"), Body::from(&b"layer"[..]))
}

#[tokio::test]
async fn an_upload_without_location_says_so() {
    let fake = Fake::start(|_, _| reply(202)).await;
    let (descriptor, body) = blob();
    let error = client().push_blob(&fake.repository(), &descriptor, body).await.unwrap_err();
    assert!(error.to_string().contains("no `Location`"), "{error}");
}

#[tokio::test]
async fn an_upload_may_go_on_elsewhere_without_credentials() {
    let storage = Fake::start(|_, _| reply(201)).await;
    let location = format!("http://{}/bucket?upload=7", storage.host);
    let registry = Fake::start(move |_, asked| match asked.header("authorization") {
        None => reply(401).header("www-authenticate", "Basic realm=x"),
        Some(_) => reply(202).header("location", location.clone()),
    })
    .await;
    let logins = StaticCredentials::new().with(&registry.host, password("user", "hunter2"));
    let client = quick().credentials(Arc::new(logins)).build().unwrap();
    let (descriptor, body) = blob();
    client.push_blob(&registry.repository(), &descriptor, body).await.unwrap();
    let put = &storage.asked()[0];
    assert!(put.target.starts_with("/bucket?upload=7&digest=sha256%3A"), "{}", put.target);
    assert_eq!((put.header("authorization"), &put.body[..]), (None, &b"layer"[..]));

    let registry = Fake::start(|_, _| reply(202).header("location", "http://storage.invalid/x")).await;
    let (descriptor, body) = blob();
    let refused = quick().build().unwrap().push_blob(&registry.repository(), &descriptor, body).await;
    assert!(matches!(refused, Err(Error::Insecure { .. })), "{refused:?}");
}

#[tokio::test]
async fn what_the_descriptor_does_not_describe_is_not_sent() {
    let fake = Fake::start(|_, _| reply(202)).await;
    let (mut descriptor, body) = blob();
    descriptor.size = 6;
    let refused = client().push_blob(&fake.repository(), &descriptor, body).await;
    assert!(matches!(refused, Err(Error::Local { .. })), "{refused:?}");
    let missing = Body::File("/nonexistent/layer".into());
    assert!(matches!(client().push_blob(&fake.repository(), &descriptor, missing).await, Err(Error::Local { .. })));
    assert_eq!(fake.asked().len(), 0);
}

/// The last piece of a file that nobody has looked at leaves only if the whole is right.
#[tokio::test]
async fn a_file_that_is_something_else_is_not_sent_to_its_end() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("layer");
    let good: Vec<u8> = (0..600_000_u32).map(|number| number.to_le_bytes()[0]).collect();
    let descriptor = Descriptor::of(media_type::LAYER_TAR, &good);
    let fake = Fake::start(|_, asked| match asked.method.as_str() {
        "HEAD" => reply(404),
        "POST" => reply(202).header("location", "/v2/a/blobs/uploads/1"),
        _ => reply(201),
    })
    .await;
    let push = || async { client().push_blob(&fake.repository(), &descriptor, Body::Unchecked(path.clone())).await };
    let mut flipped = good.clone();
    flipped[7] ^= 1;
    std::fs::write(&path, &flipped).unwrap();
    let refused = push().await;
    let wrong = Digest::sha256(&flipped);
    assert!(matches!(&refused, Err(Error::WrongDigest { actual, .. }) if *actual == wrong), "{refused:?}");
    let sent = |fake: &Fake| {
        fake.asked().iter().filter(|asked| asked.method == "PUT" && asked.body.len() == good.len()).count()
    };
    assert_eq!(sent(&fake), 0);
    std::fs::write(&path, &good).unwrap();
    push().await.unwrap();
    assert_eq!(sent(&fake), 1);
}

#[tokio::test]
async fn small_blobs_are_sent_unasked_and_large_ones_only_if_missing() {
    let fake = Fake::start(|_, asked| match asked.method.as_str() {
        "HEAD" => reply(200),
        "POST" => reply(202).header("location", "/u"),
        _ => reply(201),
    })
    .await;
    for (size, expected) in [(65_535, ["POST", "PUT"].as_slice()), (65_536, &["HEAD"])] {
        let before = fake.asked().len();
        let bytes = vec![0; size];
        let descriptor = Descriptor::of(media_type::LAYER_TAR, &bytes);
        client().push_blob(&fake.repository(), &descriptor, Body::from(bytes)).await.unwrap();
        let methods: Vec<String> = fake.asked()[before..].iter().map(|asked| asked.method.to_string()).collect();
        assert_eq!(methods, expected);
    }
}

#[tokio::test]
async fn a_registry_that_stored_something_else() {
    let other = Digest::sha256(b"other").to_string();
    let fake = Fake::start(move |_, asked| match asked.method.as_str() {
        "POST" => reply(202).header("location", "/u"),
        "HEAD" => reply(200).header("docker-content-digest", other.clone()),
        _ => reply(201).header("docker-content-digest", other.clone()),
    })
    .await;
    let (descriptor, body) = blob();
    let wrong = |result: Result<(), Error>| assert!(matches!(result, Err(Error::WrongDigest { .. })), "{result:?}");
    wrong(client().push_blob(&fake.repository(), &descriptor, body).await);
    wrong(client().push_manifest(&fake.repository(), &image("x")).await.map(drop));
    wrong(client().tag(&fake.tag("v1"), &image("x")).await);
    wrong(client().create_tag(&fake.tag("v1"), &image("x")).await.map(drop));
    wrong(client().has_blob(&fake.repository(), &descriptor.digest).await.map(drop));
}

#[tokio::test]
async fn who_was_there_first() {
    let ecr = r#"{"errors":[{"code":"TAG_INVALID","message":"The image tag 'v1' already exists and is immutable."}]}"#;
    for answer in [reply(412), reply(409).error("CONFLICT"), reply(400).body("application/json", ecr)] {
        let fake = Fake::start(move |_, _| answer.clone()).await;
        assert_eq!(client().create_tag(&fake.tag("v1"), &image("x")).await.unwrap(), Created::Exists);
        // A plain tag has no condition: there it is a failure.
        assert!(client().tag(&fake.tag("v1"), &image("x")).await.is_err());
        let asked = fake.asked();
        assert_eq!((asked[0].header("if-none-match"), asked[1].header("if-none-match")), (Some("*"), None));
        assert_eq!(asked[0].header("content-type"), Some(media_type::IMAGE_MANIFEST));
    }
    let fake = Fake::start(|_, _| reply(400).error("MANIFEST_INVALID")).await;
    assert!(matches!(client().create_tag(&fake.tag("v1"), &image("x")).await, Err(Error::Unexpected { .. })));
}

#[tokio::test]
async fn mounting() {
    let digest = Digest::sha256(b"layer");
    let (mounted, uploading, denied) = (
        Fake::start(|_, _| reply(201)).await,
        Fake::start(|before, asked| match asked.method.as_str() {
            "POST" => reply(202).header("location", format!("/v2/a/b/blobs/uploads/{before}")),
            _ => reply(201),
        })
        .await,
        Fake::start(|_, _| reply(403).error("DENIED")).await,
    );
    for (fake, done) in [(&mounted, true), (&uploading, false), (&denied, false)] {
        let from = format!("{}/from", fake.host).parse().unwrap();
        assert_eq!(client().mount_blob(&fake.repository(), &digest, &from).await.unwrap(), done);
        let encoded = digest.to_string().replace(':', "%3A");
        assert_eq!(fake.lines()[0], format!("POST /v2/a/b/blobs/uploads/?mount={encoded}&from=from"));
    }
    // The push that follows goes on with the upload that the mount opened.
    let (descriptor, body) = blob();
    let (twice, same) = (client(), format!("{}/from", uploading.host).parse().unwrap());
    let before = uploading.lines().len();
    assert!(!twice.mount_blob(&uploading.repository(), &descriptor.digest, &same).await.unwrap());
    twice.push_blob(&uploading.repository(), &descriptor, body).await.unwrap();
    let encoded = digest.to_string().replace(':', "%3A");
    assert_eq!(uploading.lines()[before + 1..], [format!("PUT /v2/a/b/blobs/uploads/{}?digest={encoded}", before)]);
    // It is used once.
    let (descriptor, body) = blob();
    twice.push_blob(&uploading.repository(), &descriptor, body).await.unwrap();
    assert_eq!(uploading.lines()[before + 2], "POST /v2/a/b/blobs/uploads/");
    // Another registry cannot mount from this one, and is not asked.
    let elsewhere = "other.example/from".parse().unwrap();
    assert!(!client().mount_blob(&mounted.repository(), &digest, &elsewhere).await.unwrap());
    assert_eq!(mounted.lines().len(), 1);
}

#[tokio::test]
async fn a_mount_s_upload_that_is_forgotten_is_opened_anew() {
    for lost in [reply(404).error("BLOB_UPLOAD_UNKNOWN"), reply(503), reply(500), reply(416)] {
        let fake = Fake::start(move |before, asked| match (before, asked.method.as_str()) {
            (_, "POST") => reply(202).header("location", format!("/v2/a/b/blobs/uploads/{before}")),
            (1, _) => lost.clone(),
            _ => reply(201),
        })
        .await;
        let (client, (descriptor, body)) = (client(), blob());
        let from = format!("{}/from", fake.host).parse().unwrap();
        assert!(!client.mount_blob(&fake.repository(), &descriptor.digest, &from).await.unwrap());
        client.push_blob(&fake.repository(), &descriptor, body).await.unwrap();
        let methods: Vec<String> = fake.asked().iter().map(|asked| asked.method.to_string()).collect();
        assert_eq!(methods, ["POST", "PUT", "POST", "PUT"]);
    }
}
