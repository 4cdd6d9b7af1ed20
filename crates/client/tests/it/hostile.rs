//! Answers that no registry should give. None may read as "not there", "there", or "done".

use std::time::Duration;

use schleuse_client::{Deadlines, Limits};
use schleuse_model::Digest;
use schleuse_oci::{Body, Delete as _, Descriptor, Error, Pull as _, Push as _, Referrers as _, collect, media_type};
use tokio::time::Instant;

use crate::fake::{Fake, Reply, client, image, quick, reply};

const PAGE: &str = "<!doctype html><html><title>Please log in to the airport's network</title></html>";

fn unexpected<T: std::fmt::Debug>(result: Result<T, Error>) {
    assert!(matches!(result, Err(Error::Unexpected { .. })), "{result:?}");
}

fn web_page<T: std::fmt::Debug>(result: Result<T, Error>) {
    assert!(matches!(result, Err(Error::WebPage { .. })), "{result:?}");
}

/// Every reading and writing call against a server that answers the same to everything.
async fn everything_is_a_web_page(answer: Reply) {
    let fake = Fake::start(move |_, _| answer.clone()).await;
    let client = client();
    let manifest = image("x");
    let blob = Descriptor::of(media_type::LAYER_TAR, b"layer");
    web_page(client.resolve(&fake.tag("v1")).await);
    web_page(client.tagged(&fake.tag("v1")).await);
    web_page(client.referrers(&fake.pin(b"x"), 9).await);
    web_page(client.push_blob(&fake.repository(), &blob, Body::from(&b"layer"[..])).await);
    web_page(client.push_manifest(&fake.repository(), &manifest).await);
    web_page(client.tag(&fake.tag("v1"), &manifest).await);
    web_page(client.create_tag(&fake.tag("v1"), &manifest).await);
    web_page(client.has_blob(&fake.repository(), &blob.digest).await);
    web_page(client.mount_blob(&fake.repository(), &blob.digest, &fake.repository()).await);
    web_page(client.attach(&fake.pin(b"x"), &manifest).await);
    web_page(client.manifest(&fake.pin(b"x")).await);
    web_page(client.blob(&fake.repository(), &blob.digest, 4096).await);
    web_page(client.tags(&fake.repository(), "", 9).await);
    web_page(client.blob_stream(&fake.repository(), &blob).await.map(drop));
    web_page(client.delete_tag(&fake.tag("v1")).await);
    web_page(client.delete_manifest(&fake.pin(b"x")).await);
}

#[tokio::test]
async fn a_captive_portal() {
    everything_is_a_web_page(reply(200).body("text/html", PAGE)).await;
}

#[tokio::test]
async fn a_portal_that_redirects() {
    let login = reply(200).body("text/html", PAGE);
    let redirect = reply(302).header("location", "/login");
    let fake =
        Fake::start(move |_, asked| if asked.target == "/login" { login.clone() } else { redirect.clone() }).await;
    let blob = Descriptor::of(media_type::LAYER_TAR, b"layer");
    unexpected(client().resolve(&fake.tag("v1")).await);
    unexpected(client().tag(&fake.tag("v1"), &image("x")).await);
    unexpected(client().push_blob(&fake.repository(), &blob, Body::from(&b"layer"[..])).await);
    // Where redirects are followed, the page at their end is seen.
    web_page(client().blob(&fake.repository(), &blob.digest, 4096).await);
    web_page(client().has_blob(&fake.repository(), &blob.digest).await);
}

#[tokio::test]
async fn a_proxy_that_knows_no_such_page() {
    everything_is_a_web_page(reply(404).body("text/html; charset=utf-8", PAGE)).await;
}

#[tokio::test]
async fn an_error_envelope_with_status_200() {
    // What `oci-client` 0.18 took for "no referrers".
    let fake = Fake::start(|_, _| reply(200).error("MANIFEST_UNKNOWN")).await;
    unexpected(client().resolve(&fake.tag("v1")).await);
    unexpected(client().referrers(&fake.pin(b"x"), 9).await);
    assert!(matches!(client().tags(&fake.repository(), "", 9).await, Err(Error::Malformed { .. })));
}

#[tokio::test]
async fn refusals_are_told_apart() {
    let fake =
        Fake::start(|_, asked| if asked.target.ends_with("/denied") { reply(403).error("DENIED") } else { reply(401) })
            .await;
    let denied = client().resolve(&fake.tag("denied")).await;
    assert!(matches!(&denied, Err(Error::Denied { message, .. }) if message == "DENIED: says the test"), "{denied:?}");
    assert!(matches!(client().resolve(&fake.tag("other")).await, Err(Error::Unauthorized { .. })));
    assert_eq!(fake.asked().len(), 2, "neither is tried again");
}

#[tokio::test]
async fn other_content_than_asked_for() {
    let (good, bad) = (image("good"), image("bad"));
    let served = bad.clone();
    let fake = Fake::start(move |_, asked| match asked.target.as_str() {
        target if target.contains("/blobs/") => reply(200).body("application/octet-stream", "other"),
        // The header tells the truth about what was asked for; the content is another.
        target if target.ends_with("/lying") => reply(200)
            .body(media_type::IMAGE_MANIFEST, served.bytes().clone())
            .header("docker-content-digest", Digest::sha256(b"x").to_string()),
        target if target.ends_with("/nonsense") => reply(200)
            .body(media_type::IMAGE_MANIFEST, served.bytes().clone())
            .header("docker-content-digest", "sha256:short"),
        _ => reply(200).manifest(&served),
    })
    .await;
    let client = client();
    let wrong = client.manifest(&fake.repository().pin(good.digest().clone())).await;
    assert!(
        matches!(&wrong, Err(Error::WrongDigest { expected, actual, .. })
            if expected == good.digest() && actual == bad.digest()),
        "{wrong:?}"
    );
    assert!(matches!(client.resolve(&fake.tag("lying")).await, Err(Error::WrongDigest { .. })));
    unexpected(client.resolve(&fake.tag("nonsense")).await);
    let digest = Digest::sha256(b"right");
    assert!(matches!(client.blob(&fake.repository(), &digest, 99).await, Err(Error::WrongDigest { .. })));
    let blob = Descriptor::new(media_type::LAYER_TAR, digest, 5);
    let stream = client.blob_stream(&fake.repository(), &blob).await.unwrap().unwrap();
    assert!(matches!(collect(stream, 99, "blob").await, Err(Error::WrongDigest { .. })));
    assert_eq!(fake.asked().len(), 5, "wrong content is not asked for again");
}

#[tokio::test]
async fn too_much() {
    let fake = Fake::start(|_, asked| {
        // With and without an announced length.
        let big = reply(200).body(media_type::IMAGE_MANIFEST, vec![b' '; (4 << 20) + 1]);
        if asked.target.contains("/announced") { big } else { big.then_stall() }
    })
    .await;
    for tag in ["announced", "streamed"] {
        assert!(
            matches!(client().resolve(&fake.tag(tag)).await, Err(Error::TooLarge { limit: 0x40_0000, .. })),
            "{tag}"
        );
    }
    let blob = Descriptor::of(media_type::LAYER_TAR, b"five5");
    let announced = client().blob(&fake.repository(), &blob.digest, 5).await;
    assert!(matches!(announced, Err(Error::TooLarge { limit: 5, .. })), "{announced:?}");
    let stream = client().blob_stream(&fake.repository(), &blob).await.unwrap().unwrap();
    let streamed = collect(stream, 99_999_999, "blob").await;
    assert!(matches!(streamed, Err(Error::TooLarge { limit: 5, .. })), "{streamed:?}");
}

#[tokio::test]
async fn too_little() {
    let fake = Fake::start(|_, _| reply(200).body("application/octet-stream", "begin").then_cut()).await;
    let blob = Descriptor::of(media_type::LAYER_TAR, b"begin and end");
    let whole = client().blob(&fake.repository(), &blob.digest, 99).await;
    assert!(matches!(whole, Err(Error::Interrupted { .. })), "{whole:?}");
    assert_eq!(fake.asked().len(), 3, "a body that breaks off is asked for again");
    let stream = client().blob_stream(&fake.repository(), &blob).await.unwrap().unwrap();
    assert!(matches!(collect(stream, 99, "blob").await, Err(Error::Interrupted { .. })));
    // A body that ends early but cleanly is the wrong content.
    let fake = Fake::start(|_, _| reply(200).body("application/octet-stream", "begin")).await;
    let stream = client().blob_stream(&fake.repository(), &blob).await.unwrap().unwrap();
    assert!(matches!(collect(stream, 99, "blob").await, Err(Error::WrongDigest { .. })));
}

#[tokio::test(start_paused = true)]
async fn a_body_that_stalls() {
    let fake = Fake::start(|_, _| reply(200).body("application/octet-stream", "begin").then_stall()).await;
    let blob = Descriptor::of(media_type::LAYER_TAR, b"begin and end");
    let started = Instant::now();
    let stream = client().blob_stream(&fake.repository(), &blob).await.unwrap().unwrap();
    let stalled = collect(stream, 99, "blob").await;
    assert!(matches!(&stalled, Err(Error::Interrupted { message, .. }) if message.contains("stalled")), "{stalled:?}");
    assert_eq!(started.elapsed().as_secs(), 3 * 30, "each of three attempts");
}

#[tokio::test(start_paused = true)]
async fn a_body_that_trickles_for_ever() {
    // Never idle: what ends it is the deadline of the whole call.
    let every = Duration::from_secs(20);
    let fake = Fake::start(move |_, _| reply(200).body(media_type::IMAGE_MANIFEST, "{").then_trickle(every)).await;
    let started = Instant::now();
    let endless = client().resolve(&fake.tag("v1")).await;
    assert!(matches!(endless, Err(Error::Interrupted { .. })), "{endless:?}");
    assert_eq!(started.elapsed(), Deadlines::default().operation);
}

#[tokio::test]
async fn listings_that_never_end() {
    // Each page has a new next one; then one that leads to itself, and one that leads away.
    let endless = Fake::start(|before, _| {
        reply(200)
            .body("application/json", r#"{"name":"a/b","tags":["t"]}"#)
            .header("link", format!("</v2/a/b/tags/list?last={before}>; rel=\"next\""))
    })
    .await;
    let client = quick().limits(Limits { pages: 7, ..Limits::default() }).build().unwrap();
    assert!(matches!(client.tags(&endless.repository(), "x", 9).await, Err(Error::TooLarge { limit: 7, .. })));
    assert_eq!(endless.asked().len(), 7);
    for next in ["?n=1000", "http://127.0.0.1:1/v2/a/b/tags/list", "https://elsewhere.example/v2/a/b/tags/list"] {
        let strange = Fake::start(move |_, _| {
            reply(200)
                .body("application/json", r#"{"name":"a/b","tags":["t"]}"#)
                .header("link", format!("<{next}>; rel=\"next\""))
        })
        .await;
        unexpected(client.tags(&strange.repository(), "x", 9).await);
        assert_eq!(strange.asked().len(), 1, "{next}");
    }
}

#[tokio::test]
async fn pages_are_put_together() {
    let fake = Fake::start(|before, _| match before {
        0 => reply(200)
            .body("application/json", r#"{"name":"a/b","tags":["a","b"]}"#)
            .header("link", "</v2/a/b/tags/list?n=2&last=b>; rel=\"next\""),
        _ => reply(200).body("application/json", r#"{"name":"a/b","tags":["c"]}"#),
    })
    .await;
    let tags = client().tags(&fake.repository(), "", 9).await.unwrap();
    assert_eq!(tags.iter().map(|tag| tag.as_str()).collect::<Vec<_>>(), ["a", "b", "c"]);
    assert_eq!(fake.lines(), ["GET /v2/a/b/tags/list?n=1000", "GET /v2/a/b/tags/list?n=2&last=b"]);
    let empty = Fake::start(|_, _| reply(200).body("application/json", r#"{"name":"a/b","tags":null}"#)).await;
    assert_eq!(client().tags(&empty.repository(), "", 9).await.unwrap(), []);
}
