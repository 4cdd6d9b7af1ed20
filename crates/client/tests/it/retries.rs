//! What is tried again, when, and what is not.

use std::sync::Arc;
use std::time::Duration;

use schleuse_client::{Client, NoJitter, RetryPolicy};
use schleuse_model::{Clock, Timestamp};
use schleuse_oci::{Body, Created, Descriptor, Error, Pull as _, Push as _, media_type};
use tokio::time::Instant;

use crate::fake::{Fake, Reply, client, image, reply};

/// A server that fails `times` times, then has the manifest and takes everything.
async fn failing(times: usize, failure: Reply) -> Fake {
    let good = image("good");
    Fake::start(move |before, asked| match asked.method.as_str() {
        _ if before < times => failure.clone(),
        "GET" => reply(200).manifest(&good),
        "POST" => reply(202).header("location", "/v2/upload/1"),
        _ => reply(201),
    })
    .await
}

#[tokio::test]
async fn reads_survive_what_passes() {
    for status in [429, 500, 502, 503, 504] {
        let fake = failing(2, reply(status)).await;
        assert!(client().resolve(&fake.tag("v1")).await.unwrap().is_some(), "{status}");
        let fake = failing(3, reply(status).error("TOOMANYREQUESTS")).await;
        let error = client().resolve(&fake.tag("v1")).await.unwrap_err();
        assert!(
            matches!(&error, Error::Failing { status: said, message, .. }
                if *said == status && message == "TOOMANYREQUESTS: says the test"),
            "{error:?}"
        );
        assert_eq!(fake.asked().len(), 3);
    }
    for status in [400, 405, 501, 505] {
        let fake = failing(1, reply(status)).await;
        assert!(matches!(client().resolve(&fake.tag("v1")).await, Err(Error::Unexpected { .. })), "{status}");
        assert_eq!(fake.asked().len(), 1, "{status}");
    }
}

#[tokio::test]
async fn writes_survive_too_but_for_500() {
    for status in [429, 502, 503, 504] {
        let fake = failing(2, reply(status)).await;
        client().tag(&fake.tag("v1"), &image("x")).await.unwrap();
    }
    let fake = failing(1, reply(500)).await;
    assert!(matches!(client().tag(&fake.tag("v1"), &image("x")).await, Err(Error::Failing { .. })));
    assert_eq!(fake.asked().len(), 1);
}

/// After a failure that may have come after the deed, a repetition would meet its own success and call it somebody else's.
#[tokio::test]
async fn a_create_once_write_is_not_repeated_unless_it_surely_did_not_happen() {
    for status in [500, 502, 503, 504] {
        let fake = failing(1, reply(status)).await;
        let error = client().create_tag(&fake.tag("j-1"), &image("x")).await.unwrap_err();
        assert!(matches!(error, Error::Failing { .. }) && error.is_transient(), "{error:?}");
        assert_eq!(fake.asked().len(), 1, "{status}");
    }
    // The connection breaks after the request: nobody knows.
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let tag = format!("{}/a/b", listener.local_addr().unwrap()).parse::<schleuse_model::Repository>().unwrap();
    let connections = tokio::spawn(async move {
        use tokio::io::AsyncReadExt as _;
        let (mut stream, _) = listener.accept().await.unwrap();
        let _ = stream.read(&mut [0; 1024]).await;
        drop(stream);
        tokio::time::timeout(Duration::from_millis(200), listener.accept()).await.is_ok()
    });
    let error = client().create_tag(&tag.tag("j-1".parse().unwrap()), &image("x")).await.unwrap_err();
    assert!(matches!(error, Error::Unavailable { .. }), "{error:?}");
    assert!(!connections.await.unwrap(), "it was sent twice");
    // 429 is answered before anything is done.
    let fake = failing(2, reply(429)).await;
    assert_eq!(client().create_tag(&fake.tag("j-1"), &image("x")).await.unwrap(), Created::Won);
}

#[tokio::test]
async fn nobody_there() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let repository: schleuse_model::Repository = format!("{}/a/b", listener.local_addr().unwrap()).parse().unwrap();
    drop(listener);
    let error = client().resolve(&repository.tag("v1".parse().unwrap())).await.unwrap_err();
    assert!(error.is_transient() && error.to_string().contains("refused"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn retry_after_is_obeyed_within_the_budget() {
    let client = || Client::builder().jitter(Arc::new(NoJitter)).build().unwrap();
    let fake = failing(1, reply(429).header("retry-after", "17")).await;
    let started = Instant::now();
    client().resolve(&fake.tag("v1")).await.unwrap();
    assert_eq!(started.elapsed().as_secs(), 17);

    let fake = failing(1, reply(429).header("retry-after", "3600")).await;
    let started = Instant::now();
    assert!(client().resolve(&fake.tag("v1")).await.is_err());
    assert_eq!(started.elapsed().as_secs(), 0, "an hour is beyond the budget: said at once");
}

#[tokio::test(start_paused = true)]
async fn retry_after_may_be_a_date() {
    #[derive(Debug)]
    struct At(Timestamp);
    impl Clock for At {
        fn now(&self) -> Timestamp {
            self.0
        }
    }
    // 8:49:37 by our clock, and the registry asks to come back at 8:50:00.
    let clock = Arc::new(At(Timestamp::from_seconds(784_111_777)));
    let client = Client::builder().jitter(Arc::new(NoJitter)).clock(clock).build().unwrap();
    let fake = failing(1, reply(503).header("retry-after", "Sun, 06 Nov 1994 08:50:00 GMT")).await;
    let started = Instant::now();
    client.resolve(&fake.tag("v1")).await.unwrap();
    assert_eq!(started.elapsed().as_secs(), 23);
}

/// However politely it is asked: the waits of one call have a sum.
#[tokio::test(start_paused = true)]
async fn the_budget_is_for_all_waits_of_a_call() {
    let fake = failing(99, reply(429).header("retry-after", "25")).await;
    let client = Client::builder().jitter(Arc::new(NoJitter)).build().unwrap();
    let started = Instant::now();
    assert!(client.resolve(&fake.tag("v1")).await.is_err());
    assert_eq!((started.elapsed().as_secs(), fake.asked().len()), (50, 3), "a third wait would be beyond 60 s");
}

#[tokio::test(start_paused = true)]
async fn waits_grow_and_end() {
    let fake = failing(99, reply(503)).await;
    let client = Client::builder().jitter(Arc::new(NoJitter)).build().unwrap();
    let started = Instant::now();
    assert!(client.resolve(&fake.tag("v1")).await.is_err());
    assert_eq!(fake.asked().len(), RetryPolicy::default().attempts as usize);
    assert_eq!(started.elapsed().as_millis(), 200 + 400 + 800 + 1600 + 3200);
}

#[tokio::test(start_paused = true)]
async fn no_answer_at_all() {
    // It accepts and is silent.
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let repository: schleuse_model::Repository = format!("{}/a/b", listener.local_addr().unwrap()).parse().unwrap();
    tokio::spawn(async move {
        let mut held = Vec::new();
        while let Ok((stream, _)) = listener.accept().await {
            held.push(stream);
        }
    });
    let started = Instant::now();
    let client = Client::builder().jitter(Arc::new(NoJitter)).build().unwrap();
    let error = client.resolve(&repository.tag("v1".parse().unwrap())).await.unwrap_err();
    assert!(matches!(&error, Error::Unavailable { message, .. } if message.contains("in time")), "{error}");
    assert!(started.elapsed() <= Duration::from_secs(120), "{:?}", started.elapsed());
}

#[tokio::test]
async fn an_upload_starts_from_scratch() {
    let fake = Fake::start(|before, asked| match (asked.method.as_str(), before) {
        ("POST", _) => reply(202).header("location", format!("/v2/upload/{before}?state=s{before}")),
        ("PUT", 1) => reply(502),
        ("PUT", 3) => reply(404).error("BLOB_UPLOAD_UNKNOWN"),
        _ => reply(201),
    })
    .await;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("layer");
    let layer = vec![7; 700_000];
    std::fs::write(&path, &layer).unwrap();
    let blob = Descriptor::of(media_type::LAYER_TAR, &layer);
    let client = crate::fake::quick()
        .limits(schleuse_client::Limits { head_from: u64::MAX, ..schleuse_client::Limits::default() })
        .build()
        .unwrap();
    client.push_blob(&fake.repository(), &blob, Body::File(path)).await.unwrap();
    let asked = fake.asked();
    let digest = blob.digest.to_string().replace(':', "%3A");
    let put = |number: usize| format!("PUT /v2/upload/{number}?state=s{number}&digest={digest}");
    let post = || "POST /v2/a/b/blobs/uploads/".to_owned();
    assert_eq!(fake.lines(), [post(), put(0), post(), put(2), post(), put(4)]);
    for put in asked.iter().filter(|asked| asked.method == "PUT") {
        assert_eq!((put.body.len(), put.header("content-length")), (700_000, Some("700000")));
    }
}
