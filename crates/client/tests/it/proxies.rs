//! Proxies: what goes through, with which login, and what never does.

use std::sync::Arc;

use schleuse_client::{Client, Proxies};
use schleuse_model::{Explain as _, Repository, Secret, TagRef};
use schleuse_oci::{Error, Pull as _};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use crate::fake::{Fake, image, password, quick, reply};
use crate::tls::{MUTUAL, identity, serve_as, server_config};
use schleuse_client::credentials::StaticCredentials;

fn address(text: String) -> Secret<String> {
    Secret::new(text)
}

fn tag(host: &str) -> TagRef {
    format!("{host}/a/b").parse::<Repository>().unwrap().tag("v1".parse().unwrap())
}

/// A registry of that name in plain HTTP, reached through `proxy`.
fn plain(proxy: &Fake, login: &str, except: &str) -> Client {
    let proxies = Proxies::new().http(&address(format!("http://{login}{}", proxy.host))).unwrap().except(except);
    let logins = StaticCredentials::new().with("registry.test", password("user", "hunter2"));
    quick().insecure_hosts(["registry.test"]).proxies(proxies).credentials(Arc::new(logins)).build().unwrap()
}

#[tokio::test]
async fn plain_http_goes_through_with_the_proxy_s_own_login() {
    let proxy = Fake::start(|_, asked| match asked.header("authorization") {
        Some("Basic dXNlcjpodW50ZXIy") => reply(200).manifest(&image("behind a proxy")),
        _ => reply(401).header("www-authenticate", "Basic realm=x"),
    })
    .await;
    assert!(plain(&proxy, "me:s3cret@", "").resolve(&tag("registry.test")).await.unwrap().is_some());
    assert_eq!(proxy.lines(), ["GET http://registry.test/v2/a/b/manifests/v1"; 2]);
    for asked in proxy.asked() {
        assert_eq!(asked.header("proxy-authorization"), Some("Basic bWU6czNjcmV0"));
    }
}

#[tokio::test]
async fn this_machine_and_what_is_listed_are_reached_without() {
    let proxy = Fake::start(|_, _| reply(500)).await;
    let here = Fake::start(|_, _| reply(200).manifest(&image("here"))).await;
    let client = plain(&proxy, "", "registry.test");
    assert!(client.resolve(&here.tag("v1")).await.unwrap().is_some());
    // There is no such host, so it is not found; the proxy is not asked.
    let error = client.resolve(&tag("registry.test")).await.unwrap_err();
    assert!(matches!(error, Error::Unavailable { .. }) && !error.to_string().contains("proxy"), "{error}");
    assert_eq!(proxy.asked().len(), 0);
}

#[tokio::test]
async fn a_proxy_that_wants_a_login_says_so() {
    let proxy = Fake::start(|_, _| reply(407).body("text/html", "<html>who are you?</html>")).await;
    let error = plain(&proxy, "me:s3cret@", "").resolve(&tag("registry.test")).await.unwrap_err();
    assert!(matches!(&error, Error::ProxyLogin { host, .. } if host == "registry.test"), "{error:?}");
    assert!(error.hints().join(" ").contains("HTTPS_PROXY"), "{:?}", error.hints());
    assert_eq!(proxy.asked().len(), 1, "not asked twice: accounts get locked");
    assert!(!format!("{error:?} {error}").contains("s3cret"));
}

#[tokio::test]
async fn a_proxy_that_is_not_there_is_named() {
    let gone = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let proxies = Proxies::new().https(&address(format!("http://me:s3cret@{gone}"))).unwrap();
    let client = quick().proxies(proxies).build().unwrap();
    let error = client.resolve(&tag("registry.test")).await.unwrap_err();
    assert!(error.to_string().contains(&format!("(through the proxy {gone})")), "{error}");
    assert!(!format!("{error:?} {client:?}").contains("s3cret"));
}

/// A proxy for tunnels that sends every one of them to `to`; what it was asked for. Without the login it refuses.
async fn tunnels(to: String) -> (String, Arc<std::sync::Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let host = listener.local_addr().unwrap().to_string();
    let asked = Arc::new(std::sync::Mutex::new(Vec::new()));
    let record = asked.clone();
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let (to, record) = (to.clone(), record.clone());
            tokio::spawn(async move {
                let mut head = Vec::new();
                while !head.ends_with(b"\r\n\r\n") {
                    head.push(stream.read_u8().await.unwrap());
                }
                let head = String::from_utf8(head).unwrap();
                record.lock().unwrap().push(head.lines().next().unwrap().to_owned());
                if !head.to_lowercase().contains("proxy-authorization: basic bwu6cznjcmv0") {
                    let _ = stream.write_all(b"HTTP/1.1 407 Who are you\r\ncontent-length: 0\r\n\r\n").await;
                    return;
                }
                assert!(!head.to_lowercase().contains("\r\nauthorization"), "{head}");
                let mut there = TcpStream::connect(to).await.unwrap();
                stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.unwrap();
                let _ = tokio::io::copy_bidirectional(&mut stream, &mut there).await;
            });
        }
    });
    (host, asked)
}

#[tokio::test]
async fn https_goes_through_a_tunnel() {
    let fixture = |name: &str| std::fs::read(std::path::Path::new(MUTUAL).join(name)).unwrap();
    let (certificates, key) = identity(&fixture("server.pem"), &fixture("server.key"));
    let (registry, _) = serve_as(server_config().with_no_client_auth().with_single_cert(certificates, key).unwrap());
    let (proxy, asked) = tunnels(registry).await;
    let client = |login: &str| {
        let proxies = Proxies::new().https(&address(format!("{login}{proxy}"))).unwrap();
        quick().extra_ca(fixture("ca.crt")).proxies(proxies).build().unwrap()
    };
    assert!(client("http://me:s3cret@").resolve(&tag("registry.test:5000")).await.unwrap().is_some());
    assert_eq!(*asked.lock().unwrap(), ["CONNECT registry.test:5000 HTTP/1.1"]);

    let error = client("").resolve(&tag("registry.test:5000")).await.unwrap_err();
    assert!(matches!(error, Error::ProxyLogin { .. }), "{error:?}");
    assert_eq!(asked.lock().unwrap().len(), 2, "not asked twice");
}
