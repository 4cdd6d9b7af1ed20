//! What goes wrong at registries, one line each: the answer, the error that it becomes, and the hint that a person gets.

use std::sync::Arc;

use schleuse_client::credentials::StaticCredentials;
use schleuse_model::{Digest, Explain as _};
use schleuse_oci::{Body, Descriptor, Error, Pull as _, Push as _, Referrers as _, media_type};

use crate::fake::{Asked, Fake, Reply, image, password, quick, reply};

const JSON: &str = "application/json";
const BYTES: &str = "application/octet-stream";
const PAGE: &str = "<!doctype html><title>Welcome to the hotel's network</title>";

/// What is asked of the registry.
#[derive(Clone, Copy, Debug)]
enum Ask {
    Tag,
    Manifest,
    Blob,
    Stream,
    Tags,
    Referrers,
    Upload,
    Move,
}
use Ask::*;

/// Asks with a login at hand, and answers what the error says, and its hints after a bar.
async fn ask(what: Ask, answer: impl Fn(&Asked) -> Reply + Send + Sync + 'static) -> String {
    let fake = Fake::start(move |_, asked| answer(asked)).await;
    let logins = StaticCredentials::new().with(&fake.host, password("user", "hunter2"));
    let client = quick().credentials(Arc::new(logins)).build().unwrap();
    let repository = fake.repository();
    let layer = Descriptor::of(media_type::LAYER_TAR, b"layer");
    let result = match what {
        Tag => client.resolve(&fake.tag("v1")).await.map(drop),
        Manifest => client.manifest(&fake.pin(b"x")).await.map(drop),
        Blob => client.blob(&repository, &layer.digest, 99).await.map(drop),
        Stream => match client.blob_stream(&repository, &layer).await {
            Ok(Some(stream)) => schleuse_oci::collect(stream, 99, "layer").await.map(drop),
            other => other.map(drop),
        },
        Tags => client.tags(&repository, "", 9).await.map(drop),
        Referrers => client.referrers(&fake.pin(b"x"), 9).await.map(drop),
        Upload => client.push_blob(&repository, &layer, Body::from(&b"layer"[..])).await,
        Move => client.tag(&fake.tag("v1"), &image("x")).await,
    };
    let Err(error) = result else { return "no error".to_owned() };
    let shown = format!("{error} | {}", error.hints().join(" / "));
    assert!(!format!("{shown} {error:?}").contains("hunter2"), "{shown}");
    shown.replace(&fake.host, "HOST")
}

fn denied() -> Reply {
    reply(403).error("DENIED")
}

fn logs_in(asked: &Asked) -> bool {
    asked.header("authorization").is_some()
}

/// Each row: what is asked, the answer, words of the error, words of the hint.
macro_rules! table {
    ($($name:ident: $ask:expr, $answer:expr => $error:literal, $hint:literal;)*) => {$(
        #[tokio::test]
        async fn $name() {
            let shown = ask($ask, $answer).await;
            let (error, hint) = shown.split_once(" | ").unwrap_or((&shown, ""));
            assert!(error.contains($error), "the error is: {error}");
            assert!(hint.contains($hint), "the hint is: {hint}");
        }
    )*};
}

table! {
    // Refusals.
    no_login_helps: Tag, |_| reply(401).header("www-authenticate", "Basic realm=x") =>
        "HOST wants a login", "docker login HOST";
    no_login_is_asked_for: Upload, |_| reply(401) =>
        "HOST wants a login", "REGISTRY_USERNAME";
    forbidden: Move, |_| denied() =>
        "HOST refused the upload of manifest HOST/a/b:v1: DENIED: says the test", "packages: write";
    forbidden_to_read: Blob, |_| denied() =>
        "HOST refused blob", "token's scopes";

    // 404, but not a registry's.
    json_of_something_else: Tag, |_| reply(404).body(JSON, r#"{"message":"no Route matched"}"#) =>
        r#"answered 404 to manifest HOST/a/b:v1: {"message":"no Route matched"}"#, "not as a registry does";
    json_of_something_else_for_a_blob: Stream, |_| reply(404).body(JSON, r#"{"error":"not found"}"#) =>
        "answered 404", "not as a registry does";
    json_of_something_else_for_tags: Tags, |_| reply(404).body(JSON, "[]") =>
        "answered 404", "repository's name right";
    an_upload_to_nowhere: Upload, |_| reply(404).body(JSON, r#"{"status":404}"#) =>
        "answered 404", "not as a registry does";

    // The registry's own failures.
    broken: Tag, |_| reply(500).error("UNKNOWN") =>
        "HOST failed at manifest HOST/a/b:v1: 500: UNKNOWN: says the test", "the fault is with HOST";
    broken_on_a_write: Move, |_| reply(500) =>
        "500: Internal Server Error", "try again later";
    too_often: Tag, |_| reply(429).header("retry-after", "7200").error("TOOMANYREQUESTS") =>
        "429: TOOMANYREQUESTS: says the test (it asks to wait 2h00m)", "logged in, the limit is often higher";

    // Content that did not arrive, or is another.
    truncated: Blob, |_| reply(200).body(BYTES, "lay").then_cut() =>
        "did not arrive whole: it broke off", "firewall may cut long transfers";
    truncated_stream: Stream, |_| reply(200).body(BYTES, "lay").then_cut() =>
        "did not arrive whole: it broke off", "try again";
    ends_early: Stream, |_| reply(200).body(BYTES, "lay") =>
        "the content was changed or damaged", "do not use this content";
    wrong_digest: Blob, |_| reply(200).body(BYTES, "LAYER") =>
        "the content was changed or damaged", "a proxy or the registry altered it";
    wrong_digest_of_a_manifest: Manifest, |_| reply(200).body(media_type::IMAGE_MANIFEST, image("other").bytes().clone()) =>
        "the content was changed or damaged", "do not use this content";
    says_another_digest: Tag, |_| reply(200)
        .body(media_type::IMAGE_MANIFEST, image("x").bytes().clone())
        .header("docker-content-digest", Digest::sha256(b"other").to_string()) =>
        "the content was changed or damaged", "do not use this content";

    // A captive portal.
    portal: Tag, |_| reply(200).body("text/html", PAGE) =>
        "HOST answered 200 to manifest HOST/a/b:v1 with a web page", "open https://HOST/v2/ in a browser";
    portal_for_a_blob: Stream, |_| reply(200).body("text/html", PAGE) =>
        "with a web page", "NO_PROXY";
    portal_that_does_not_say_so: Tags, |_| reply(200).body(JSON, PAGE) =>
        "with a web page", "in a browser";
    portal_for_an_upload: Upload, |_| reply(200).body("text/html", PAGE) =>
        "with a web page", "network's login page";
    portal_for_referrers: Referrers, |_| reply(404).body("text/html", PAGE) =>
        "answered 404 to manifest", "in a browser";
    portal_behind_a_redirect: Blob, |asked| match asked.target.as_str() {
        "/login" => reply(200).body("text/html", PAGE),
        _ => reply(302).header("location", "/login"),
    } => "with a web page", "in a browser";

    // Redirects.
    redirect_with_a_login_in_it: Blob, |asked| match logs_in(asked) {
        false => reply(401).header("www-authenticate", "Basic realm=x"),
        true => reply(307).header("location", "https://user:hunter2@storage.example/layer"),
    } => "answered 307 to a redirect: it leads to no usable address", "name the registry by the address that it sends to";
    redirect_to_plain_http: Blob, |_| reply(307).header("location", "http://storage.example/layer") =>
        "storage.example is not this machine, and plain HTTP is not allowed", "insecure_registries";
    redirect_of_a_manifest: Tag, |_| reply(301).header("location", "https://registry.example/v2/a/b/manifests/v1") =>
        "answered 301", "HOST sends elsewhere";

    // Uploads that go nowhere.
    no_location: Upload, |_| reply(202) =>
        "does not say where (no `Location`)", "does not keep to the distribution specification";
    useless_location: Upload, |_| reply(202).header("location", "ftp://x/y") =>
        "`Location` is no usable address", "its log may say why";

    // Referrers that lie: 200 is not enough.
    referrers_without_a_list: Referrers, |_| reply(200).body(media_type::IMAGE_INDEX, r#"{"schemaVersion":2}"#) =>
        "is malformed", "did not keep to its format";
    referrers_of_another_kind: Referrers, |_| reply(200)
        .body(media_type::IMAGE_MANIFEST, image("x").bytes().clone()) =>
        "not a list of referrers", "does not keep to the distribution specification";
    referrers_that_are_an_error: Referrers, |_| reply(200).error("MANIFEST_UNKNOWN") =>
        "not a list of referrers", "does not keep to the distribution specification";
    referrers_with_nonsense_in_the_list: Referrers, |_| reply(200)
        .body(media_type::IMAGE_INDEX, r#"{"schemaVersion":2,"manifests":[{"digest":"sha256:short","size":1}]}"#) =>
        "is malformed", "altered on the way";
    referrers_twice_in_one_list: Referrers, |_| reply(200)
        .body(media_type::IMAGE_INDEX, r#"{"schemaVersion":2,"manifests":[],"manifests":[]}"#) =>
        "is malformed", "did not keep to its format";
}

/// A list may name what it likes; what is behind a name is checked where it is read.
#[tokio::test]
async fn referrers_that_are_not_what_the_list_says() {
    let genuine = image("genuine");
    let listed = genuine.descriptor();
    let fake = Fake::start(move |_, asked| match asked.target.as_str() {
        target if target.contains("/referrers/") => {
            let index = schleuse_oci::Index::new(vec![listed.clone()]).to_manifest();
            reply(200).body(media_type::IMAGE_INDEX, index.bytes().clone())
        }
        target if target.contains(&listed.digest.to_string()) => {
            reply(200).body(media_type::IMAGE_MANIFEST, image("swapped").bytes().clone())
        }
        _ => reply(404).error("MANIFEST_UNKNOWN"),
    })
    .await;
    let client = quick().build().unwrap();
    let found = client.referrers(&fake.pin(b"x"), 9).await.unwrap();
    let read = client.manifest(&fake.repository().pin(found[0].digest.clone())).await;
    assert!(matches!(read, Err(Error::WrongDigest { .. })), "{read:?}");
}

/// The login goes to the registry, never to where it sends.
#[tokio::test]
async fn redirect_to_another_host_gets_no_credentials() {
    let storage = Fake::start(|_, _| reply(401).header("www-authenticate", "Basic realm=storage")).await;
    let target = format!("http://{}/layer", storage.host);
    let shown = ask(Blob, move |asked| match logs_in(asked) {
        false => reply(401).header("www-authenticate", "Basic realm=x"),
        true => reply(307).header("location", target.clone()),
    })
    .await;
    assert!(shown.contains("answered 401"), "{shown}");
    assert_eq!(storage.asked().len(), 1);
    assert_eq!(storage.asked()[0].header("authorization"), None);
}
