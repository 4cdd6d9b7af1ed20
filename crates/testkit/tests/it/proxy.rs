use std::io::{Read, Write};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use schleuse_model::Digest;
use schleuse_registry::Registry;
use schleuse_testkit::Proxy;
use schleuse_testkit::proxy::{Fault, Match, When};

use super::client::{ask, connect, rest, status};

/// A registry on a runtime of its own, so that the tests are plain threads, like the clients they stand for.
struct Upstream {
    address: SocketAddr,
    _runtime: tokio::runtime::Runtime,
}

fn upstream() -> Upstream {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let (sender, receiver) = std::sync::mpsc::channel();
    runtime.spawn(async move {
        let running = Registry::memory().spawn(([127, 0, 0, 1], 0).into()).await.unwrap();
        sender.send(running.addr()).unwrap();
        std::future::pending::<()>().await;
        drop(running);
    });
    Upstream { address: receiver.recv().unwrap(), _runtime: runtime }
}

fn upload(content: &str) -> String {
    format!("/v2/a/blobs/uploads/?digest={}", Digest::sha256(content.as_bytes()))
}

fn has(address: SocketAddr, content: &str) -> bool {
    let path = format!("/v2/a/blobs/{}", Digest::sha256(content.as_bytes()));
    status(&ask(address, "GET", &path, "", "")) == Some(200)
}

#[test]
fn before_and_after_are_on_the_two_sides_of_the_work() {
    let upstream = upstream();
    let proxy = Proxy::start(upstream.address);
    let calls = Arc::new(AtomicUsize::new(0));
    for (when, content, done) in [(When::Before, "one", false), (When::After, "two", true)] {
        proxy.reset();
        // What the callback sees is the state at that very moment.
        let (calls, direct) = (calls.clone(), upstream.address);
        proxy.inject(
            Match::Nth(2),
            when,
            Fault::run(move || {
                assert_eq!(has(direct, content), done);
                calls.fetch_add(1, Ordering::SeqCst);
            }),
        );
        assert_eq!(status(&ask(proxy.address(), "GET", "/v2/", "", "")), Some(200));
        assert_eq!(ask(proxy.address(), "POST", &upload(content), "", content), "");
        assert_eq!(has(upstream.address, content), done, "{when:?}");
        assert_eq!(status(&ask(proxy.address(), "GET", "/v2/", "", "")), Some(200));
        assert_eq!(proxy.count(), 3);
        let log: Vec<_> = proxy.log().iter().map(ToString::to_string).collect();
        let answered = if done { "201" } else { "no answer" };
        assert_eq!(log[0], "1 GET /v2/ -> 200");
        assert_eq!(log[1], format!("2 POST {} -> {answered}", upload(content)));
    }
    assert_eq!(calls.load(Ordering::SeqCst), 2);
}

#[test]
fn requests_of_every_form_are_parsed() {
    let upstream = upstream();
    let proxy = Proxy::start(upstream.address);
    // Keep-alive: a chunked body, then one with a length, then one that waits for 100, on one connection.
    let mut stream = connect(proxy.address());
    let path = upload("chunked!");
    write!(
        stream,
        "POST {path} HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n4\r\nchun\r\n4\r\nked!\r\n0\r\n\r\n"
    )
    .unwrap();
    assert_eq!(head(&mut stream), 201);
    let path = upload("plain");
    write!(stream, "POST {path} HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\n\r\nplain").unwrap();
    assert_eq!(head(&mut stream), 201);
    let path = upload("late");
    write!(stream, "POST {path} HTTP/1.1\r\nhost: x\r\nexpect: 100-continue\r\ncontent-length: 4\r\n\r\n").unwrap();
    assert_eq!(head(&mut stream), 100);
    write!(stream, "late").unwrap();
    assert_eq!(head(&mut stream), 201);
    for content in ["chunked!", "plain", "late"] {
        assert!(has(upstream.address, content), "{content}");
    }
    let path = format!("/v2/a/blobs/{}", Digest::sha256(b"plain"));
    let answer = ask(proxy.address(), "HEAD", &path, "", "");
    assert!(answer.contains("content-length: 5") && answer.ends_with("\r\n\r\n"), "{answer}");
    assert_eq!(proxy.count(), 4);
}

/// Reads one header; the answers above have no body.
fn head(stream: &mut std::net::TcpStream) -> u16 {
    let mut bytes = Vec::new();
    while !bytes.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).unwrap();
        bytes.push(byte[0]);
    }
    status(&String::from_utf8(bytes).unwrap()).unwrap()
}

#[test]
fn a_registry_that_is_down() {
    let upstream = upstream();
    let proxy = Proxy::start(upstream.address);
    let mut old = connect(proxy.address());
    write!(old, "GET /v2/ HTTP/1.1\r\nhost: x\r\n\r\n").unwrap();
    old.read_exact(&mut [0; 12]).unwrap();
    proxy.refuse();
    assert_eq!(ask(proxy.address(), "GET", "/v2/", "", ""), "");
    // Also the connection that was open before.
    let _ = write!(old, "GET /v2/x/tags/list HTTP/1.1\r\nhost: x\r\n\r\n");
    assert!(!rest(old).contains("NAME_UNKNOWN"));
    assert_eq!(proxy.count(), 1);
    proxy.accept();
    assert_eq!(status(&ask(proxy.address(), "GET", "/v2/", "", "")), Some(200));
    // Down for real, and back on another port.
    let unused = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    proxy.set_upstream(unused);
    assert_eq!(ask(proxy.address(), "GET", "/v2/", "", ""), "");
    proxy.set_upstream(upstream.address);
    assert_eq!(status(&ask(proxy.address(), "GET", "/v2/", "", "")), Some(200));
}

#[test]
fn wrong_answers() {
    let upstream = upstream();
    let proxy = Proxy::start(upstream.address);
    let content = "0123456789".repeat(100_000);
    let digest = Digest::sha256(content.as_bytes());
    assert_eq!(status(&ask(proxy.address(), "POST", &upload(&content), "", &content)), Some(201));
    let path = format!("/v2/a/blobs/{digest}");

    for cut in [0, 10, 400_000] {
        proxy.reset();
        proxy.inject(Match::path("GET", "/blobs/"), When::After, Fault::Truncate(cut));
        let answer = ask(proxy.address(), "GET", &path, "", "");
        let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
        assert!(head.contains("content-length: 1000000"), "{head}");
        assert_eq!(body.len(), cut);
    }

    proxy.reset();
    proxy.inject(Match::From(2), When::Before, Fault::captive_portal());
    assert!(ask(proxy.address(), "GET", "/v2/", "", "").ends_with("{}"));
    let portal = ask(proxy.address(), "GET", &path, "", "");
    assert!(status(&portal) == Some(200) && portal.contains("text/html") && portal.contains("terms"));

    proxy.reset();
    proxy.inject(Match::Nth(1), When::After, Fault::status(503, "{}"));
    assert_eq!(status(&ask(proxy.address(), "POST", &upload("done"), "", "done")), Some(503));
    assert!(has(upstream.address, "done"), "after: the upstream did it");
    assert_eq!(proxy.log()[0].status, Some(503));

    proxy.reset();
    proxy.inject(Match::Nth(1), When::Before, Fault::Delay(Duration::from_millis(300)));
    let quick = {
        let mut stream = connect(proxy.address());
        stream.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
        write!(stream, "GET /v2/ HTTP/1.1\r\nhost: x\r\n\r\n").unwrap();
        stream.read(&mut [0; 12]).is_ok()
    };
    assert!(!quick);
}

/// Clients that vanish at any point of a request leave the proxy working.
#[test]
fn clients_that_vanish() {
    let upstream = upstream();
    let proxy = Proxy::start(upstream.address);
    let request = format!("POST {} HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\n\r\nplain", upload("plain"));
    for cut in 0..=request.len() {
        let mut stream = connect(proxy.address());
        stream.write_all(&request.as_bytes()[..cut]).unwrap();
    }
    assert_eq!(status(&ask(proxy.address(), "GET", "/v2/", "", "")), Some(200));
}
