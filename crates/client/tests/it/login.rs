//! Logging in: what is sent where, and how often.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use schleuse_client::Client;
use schleuse_client::credentials::StaticCredentials;
use schleuse_model::Repository;
use schleuse_oci::{Credential, CredentialSource, Error, Pull as _, Push as _};

use crate::fake::{Asked, Fake, Reply, image, password, quick, reply};

/// A registry whose own path `/token` gives out tokens `t<number>` that are good for `expires_in` seconds.
async fn registry_with_tokens(expires_in: u64) -> Fake {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let host = listener.local_addr().unwrap();
    Fake::on(listener, move |before, asked| {
        if asked.target.starts_with("/token") {
            let token =
                format!(r#"{{"token":"t{before}","expires_in":{expires_in},"issued_at":"2001-01-01T00:00:00Z"}}"#);
            return reply(200).body("application/json", token);
        }
        match asked.header("authorization") {
            Some(login) if login.starts_with("Bearer t") => reply(200).manifest(&image("private")),
            _ => challenge(&format!("http://{host}/token"), asked),
        }
    })
}

fn challenge(realm: &str, asked: &Asked) -> Reply {
    let path = asked.target.split("/v2/").nth(1).unwrap().split("/manifests").next().unwrap().to_owned();
    let scope = format!("repository:{path}:pull");
    reply(401)
        .header("www-authenticate", format!(r#"Bearer realm="{realm}",service="the service",scope="{scope}""#))
        .error("UNAUTHORIZED")
}

fn client(fake: &Fake, credential: Credential) -> Client {
    quick().credentials(Arc::new(StaticCredentials::new().with(&fake.host, credential))).build().unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_token_is_fetched_once_until_it_expires() {
    let fake = registry_with_tokens(300).await;
    let client = client(&fake, password("user", "hunter2"));
    for _ in 0..3 {
        assert!(client.resolve(&fake.tag("v1")).await.unwrap().is_some());
    }
    let lines = fake.lines();
    assert_eq!(
        lines,
        [
            "GET /v2/a/b/manifests/v1",
            "GET /token?service=the+service&scope=repository%3Aa%2Fb%3Apull",
            "GET /v2/a/b/manifests/v1",
            "GET /v2/a/b/manifests/v1",
            "GET /v2/a/b/manifests/v1",
        ]
    );
    let asked = fake.asked();
    assert_eq!(asked[0].header("authorization"), None, "nothing is sent unasked");
    assert_eq!(asked[1].header("authorization"), Some("Basic dXNlcjpodW50ZXIy"));
    assert_eq!(asked[4].header("authorization"), Some("Bearer t1"));

    tokio::time::advance(Duration::from_secs(296)).await;
    client.resolve(&fake.tag("v1")).await.unwrap();
    assert_eq!(
        fake.lines()[5..],
        ["GET /token?service=the+service&scope=repository%3Aa%2Fb%3Apull", "GET /v2/a/b/manifests/v1"]
    );

    // Another repository: another scope, but the question is not paid for again.
    let other: Repository = format!("{}/other", fake.host).parse().unwrap();
    client.resolve(&other.tag("v1".parse().unwrap())).await.unwrap();
    assert_eq!(
        fake.lines()[7..],
        ["GET /token?service=the+service&scope=repository%3Aother%3Apull", "GET /v2/other/manifests/v1"]
    );
}

#[tokio::test]
async fn calls_that_start_together_fetch_one_token() {
    let fake = registry_with_tokens(300).await;
    let client = client(&fake, password("user", "hunter2"));
    client.resolve(&fake.tag("v1")).await.unwrap();
    let other: Repository = format!("{}/other", fake.host).parse().unwrap();
    let tags: Vec<_> = (0..8).map(|n| other.tag(format!("v{n}").parse().unwrap())).collect();
    futures_util::future::try_join_all(tags.iter().map(|tag| client.resolve(tag))).await.unwrap();
    assert_eq!(fake.lines().iter().filter(|line| line.starts_with("GET /token")).count(), 2);
}

#[tokio::test]
async fn a_token_for_writing_serves_for_reading() {
    let fake = registry_with_tokens(300).await;
    let client = client(&fake, password("user", "hunter2"));
    // The fake takes no uploads; what matters is what was asked for.
    assert!(client.push_manifest(&fake.repository(), &image("x")).await.is_err());
    client.resolve(&fake.tag("v1")).await.unwrap();
    let tokens: Vec<_> = fake.lines().into_iter().filter(|line| line.starts_with("GET /token")).collect();
    assert_eq!(tokens, ["GET /token?service=the+service&scope=repository%3Aa%2Fb%3Apull%2Cpush"]);
}

#[tokio::test]
async fn anonymous_tokens() {
    let fake = registry_with_tokens(300).await;
    assert!(quick().build().unwrap().resolve(&fake.tag("v1")).await.unwrap().is_some());
    assert_eq!(fake.asked()[1].header("authorization"), None);
}

#[tokio::test]
async fn an_identity_token_is_posted_and_never_in_an_address() {
    let fake = registry_with_tokens(300).await;
    let client = client(&fake, Credential::IdentityToken("refresh&me".to_owned().into()));
    assert!(client.resolve(&fake.tag("v1")).await.unwrap().is_some());
    let asked = fake.asked();
    assert_eq!(asked[1].line(), "POST /token");
    assert_eq!(
        String::from_utf8_lossy(&asked[1].body),
        "grant_type=refresh_token&client_id=schleuse&scope=repository%3Aa%2Fb%3Apull&service=the+service&\
         refresh_token=refresh%26me"
    );
}

#[tokio::test]
async fn a_ready_token_is_presented_as_it_is() {
    let fake = registry_with_tokens(300).await;
    let client = client(&fake, Credential::Bearer("tready".to_owned().into()));
    assert!(client.resolve(&fake.tag("v1")).await.unwrap().is_some());
    assert_eq!(fake.lines().len(), 2);
}

/// Tokens can be revoked before they expire: one that is refused is fetched again, once.
#[tokio::test]
async fn a_token_that_is_refused_is_renewed_once() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let realm = format!("http://{}/token", listener.local_addr().unwrap());
    let uses = std::sync::atomic::AtomicUsize::new(0);
    let fake = Fake::on(listener, move |before, asked| {
        if asked.target.starts_with("/token") {
            return reply(200).body("application/json", format!(r#"{{"token":"t{before}","expires_in":300}}"#));
        }
        // The first token is good twice.
        let good = match asked.header("authorization") {
            None => false,
            Some("Bearer t1") => uses.fetch_add(1, std::sync::atomic::Ordering::SeqCst) < 2,
            Some(_) => true,
        };
        if good { reply(200).manifest(&image("private")) } else { challenge(&realm, asked) }
    });
    let client = client(&fake, password("user", "hunter2"));
    for _ in 0..4 {
        assert!(client.resolve(&fake.tag("v1")).await.unwrap().is_some());
    }
    let presented: Vec<_> =
        fake.asked().iter().filter_map(|asked| asked.header("authorization").map(str::to_owned)).collect();
    let (login, bearer) = ("Basic dXNlcjpodW50ZXIy".to_owned(), |token: &str| format!("Bearer {token}"));
    assert_eq!(presented, [login.clone(), bearer("t1"), bearer("t1"), bearer("t1"), login, bearer("t5"), bearer("t5")]);
}

#[tokio::test]
async fn a_token_for_two_repositories_serves_for_each() {
    let fake = registry_with_tokens(300).await;
    let client = client(&fake, password("user", "hunter2"));
    let from: Repository = format!("{}/from", fake.host).parse().unwrap();
    // The fake mounts nothing; what matters is what was asked for.
    assert!(client.mount_blob(&fake.repository(), image("x").digest(), &from).await.is_err());
    client.resolve(&fake.tag("v1")).await.unwrap();
    client.resolve(&from.tag("v1".parse().unwrap())).await.unwrap();
    let tokens: Vec<_> = fake.lines().into_iter().filter(|line| line.starts_with("GET /token")).collect();
    assert_eq!(
        tokens,
        ["GET /token?service=the+service&scope=repository%3Aa%2Fb%3Apull%2Cpush&scope=repository%3Afrom%3Apull"]
    );
}

#[tokio::test(start_paused = true)]
async fn a_token_service_may_ask_to_wait() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let realm = format!("http://{}/token", listener.local_addr().unwrap());
    let fake = Fake::on(listener, move |before, asked| match asked.header("authorization") {
        _ if before == 1 => reply(429).header("retry-after", "11"),
        _ if asked.target.starts_with("/token") => reply(200).body("application/json", r#"{"token":"t"}"#),
        Some("Bearer t") => reply(200).manifest(&image("private")),
        _ => challenge(&realm, asked),
    });
    let started = tokio::time::Instant::now();
    assert!(client(&fake, password("user", "hunter2")).resolve(&fake.tag("v1")).await.unwrap().is_some());
    assert_eq!(started.elapsed().as_secs(), 11);
}

#[tokio::test]
async fn one_login_and_no_more() {
    // The registry does not take any token: two questions, one token more, then the answer is no.
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let realm = format!("http://{}/token", listener.local_addr().unwrap());
    let fake = Fake::on(listener, move |_, asked| {
        if asked.target.starts_with("/token") {
            return reply(200).body("application/json", r#"{"access_token":"t","expires_in":300}"#);
        }
        challenge(&realm, asked)
    });
    let refused = client(&fake, password("user", "wrong")).resolve(&fake.tag("v1")).await;
    assert!(matches!(refused, Err(Error::Unauthorized { .. })), "{refused:?}");
    assert_eq!(fake.lines().len(), 3);
    // Basic likewise.
    let fake = Fake::start(|_, _| reply(401).header("www-authenticate", "Basic realm=x")).await;
    let refused = client(&fake, password("user", "wrong")).resolve(&fake.tag("v1")).await;
    assert!(matches!(refused, Err(Error::Unauthorized { .. })), "{refused:?}");
    assert_eq!(fake.lines().len(), 2);
    // Without a login there is nothing to try.
    let refused = quick().build().unwrap().resolve(&fake.tag("v1")).await;
    assert!(matches!(refused, Err(Error::Unauthorized { .. })), "{refused:?}");
    assert_eq!(fake.lines().len(), 3);
}

#[tokio::test]
async fn a_realm_on_plain_http_elsewhere_gets_nothing() {
    let fake = Fake::start(|_, asked| challenge("http://tokens.invalid/token", asked)).await;
    let refused = client(&fake, password("user", "hunter2")).resolve(&fake.tag("v1")).await;
    assert!(matches!(&refused, Err(Error::Insecure { host }) if host == "tokens.invalid"), "{refused:?}");
}

#[tokio::test]
async fn a_token_service_s_strange_answers() {
    for (answer, expected) in [
        (reply(401).error("UNAUTHORIZED"), "wants a login"),
        (reply(403).error("DENIED"), "wants a login"),
        (reply(200).body("text/html", "<html>portal</html>"), "with a web page"),
        (reply(200).body("application/json", r#"{"token":""}"#), "it holds no token"),
        (reply(200).body("application/json", r#"{"token":"a","token":"b"}"#), "not a token service's answer"),
        (reply(200).body("application/json", r#"{"token":"a\nb"}"#), "it holds no token"),
        (reply(307).header("location", "https://elsewhere.invalid/"), "307"),
        (reply(503), "503"),
    ] {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let realm = format!("http://{}/token", listener.local_addr().unwrap());
        let fake = Fake::on(listener, move |_, asked| {
            if asked.target.starts_with("/token") { answer.clone() } else { challenge(&realm, asked) }
        });
        let error = client(&fake, password("user", "hunter2")).resolve(&fake.tag("v1")).await.unwrap_err();
        assert!(error.to_string().contains(expected), "{error}");
        assert!(!format!("{error:?}").contains("hunter2"));
    }
}

/// A login that is never answered ends at the call's deadline, also for those who wait for it.
#[tokio::test(start_paused = true)]
async fn a_login_that_hangs() {
    #[derive(Debug)]
    struct Hanging;
    #[async_trait]
    impl CredentialSource for Hanging {
        async fn credential(&self, _: &Repository) -> Result<Option<Credential>, Error> {
            std::future::pending().await
        }
    }
    let fake = registry_with_tokens(300).await;
    let client = quick().credentials(Arc::new(Hanging)).build().unwrap();
    let started = tokio::time::Instant::now();
    let tag = fake.tag("v1");
    let (one, other) = tokio::join!(client.resolve(&tag), client.resolve(&tag));
    for failed in [one, other] {
        assert!(matches!(&failed, Err(Error::Unavailable { message, .. }) if message.contains("login")), "{failed:?}");
    }
    assert_eq!(started.elapsed().as_secs(), 120);
}

/// "Don't know" is not "there are none".
#[tokio::test]
async fn a_source_that_fails_is_an_error() {
    #[derive(Debug)]
    struct Broken;
    #[async_trait]
    impl CredentialSource for Broken {
        async fn credential(&self, repository: &Repository) -> Result<Option<Credential>, Error> {
            Err(Error::Credentials { host: repository.host().to_owned(), message: "the helper hung".to_owned() })
        }
    }
    let fake = registry_with_tokens(300).await;
    let client = quick().credentials(Arc::new(Broken)).build().unwrap();
    assert!(matches!(client.resolve(&fake.tag("v1")).await, Err(Error::Credentials { .. })));
}

#[tokio::test]
async fn secrets_do_not_print() {
    let fake = registry_with_tokens(300).await;
    let client = client(&fake, password("user", "hunter2"));
    client.resolve(&fake.tag("v1")).await.unwrap();
    let builder = quick().credentials(Arc::new(StaticCredentials::new().with("x", password("user", "hunter2"))));
    let shown = format!("{client:?} {builder:?}");
    assert!(!shown.contains("hunter2") && !shown.contains("t1"), "{shown}");
}
