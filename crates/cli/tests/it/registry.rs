//! `schleuse registry serve`.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use nix::sys::signal::Signal;
use schleuse_testkit::Certificates;

use crate::support::{nobody, registry, schleuse};

fn get(address: std::net::SocketAddr, path: &str, headers: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n{headers}\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

#[test]
fn it_says_when_it_is_ready_and_stops_when_asked() {
    let mut server = registry();
    assert!(get(server.address, "/v2/", "").starts_with("HTTP/1.1 200"));
    server.signal(Signal::SIGTERM);
    assert_eq!(server.wait().code(), Some(0));
}

/// `LimitFSIZE` of systemd, or a shell's `ulimit -f`: the layer is refused, and the registry lives.
#[test]
fn a_layer_beyond_the_file_limit_ends_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let serve = ["registry", "serve", "--folder", "store", "--listen", "127.0.0.1:0"];
    let server = schleuse(folder.path(), &serve).file_limit(200).serving();
    let mut stream = TcpStream::connect(server.address).unwrap();
    let path = format!("/v2/a/blobs/uploads/?digest=sha256:{}", "0".repeat(64));
    write!(stream, "POST {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 900000\r\n\r\n").unwrap();
    stream.write_all(&[0; 900_000]).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 507"), "{answer}");
    assert!(get(server.address, "/v2/", "").starts_with("HTTP/1.1 200"));
}

#[test]
fn a_login_is_demanded_when_one_is_set_and_half_a_one_is_a_mistake() {
    let folder = tempfile::tempdir().unwrap();
    let serve = || schleuse(folder.path(), &["registry", "serve", "--memory", "--listen", "127.0.0.1:0"]);
    let server = serve().env("REGISTRY_USERNAME", "me").env("REGISTRY_PASSWORD", "secret").serving();
    assert!(get(server.address, "/v2/", "").starts_with("HTTP/1.1 401"));
    // me:secret
    assert!(get(server.address, "/v2/", "Authorization: Basic bWU6c2VjcmV0\r\n").starts_with("HTTP/1.1 200"));
    let done = serve().env("REGISTRY_USERNAME", "me").done().exits(2);
    assert!(done.stderr().contains("only one of REGISTRY_USERNAME and REGISTRY_PASSWORD is set"));
}

#[test]
fn a_taken_port_and_a_taken_folder_are_clear_errors() {
    let folder = tempfile::tempdir().unwrap();
    let server = registry();
    let address = server.address.to_string();
    let done = schleuse(folder.path(), &["registry", "serve", "--memory", "--listen", &address]).done().exits(1);
    assert!(done.stderr().contains("hint: something listens there already"), "{}", done.stderr());

    let serve = ["registry", "serve", "--folder", "store", "--listen", "127.0.0.1:0"];
    let _first = schleuse(folder.path(), &serve).serving();
    let second = schleuse(folder.path(), &serve).done();
    assert!(second.stderr().contains("is in use by another process"), "{}", second.stderr());
    schleuse(folder.path(), &["registry", "serve"]).done().exits(2);
    schleuse(folder.path(), &["registry", "serve", "--memory", "--folder", "x"]).done().exits(2);
}

#[test]
fn a_folder_is_collected_and_checked_when_nobody_serves_it() {
    let folder = tempfile::tempdir().unwrap();
    let serve = ["registry", "serve", "--folder", "store", "--listen", "127.0.0.1:0"];
    let mut server = schleuse(folder.path(), &serve).serving();
    let mut stream = TcpStream::connect(server.address).unwrap();
    let digest = "sha256:2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824";
    write!(
        stream,
        "POST /v2/a/blobs/uploads/?digest={digest} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 5\r\n\r\nhello"
    )
    .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 201"), "{answer}");
    for verb in ["gc", "check"] {
        let done = schleuse(folder.path(), &["registry", verb, "--folder", "store"]).done().exits(2);
        assert!(done.stderr().contains("hint: stop the other registry"), "{}", done.stderr());
    }
    // Killed: the lock file stays behind, and is no obstacle.
    server.signal(Signal::SIGKILL);
    server.wait();
    let done = schleuse(folder.path(), &["registry", "check", "--folder", "store"]).done().exits(0);
    assert_eq!(done.stdout(), "1 blobs (5 bytes), 0 manifests, 1 repositories: all is well\n");
    let gc = |more: &[&str]| {
        let args = [&["registry", "gc", "--folder", "store", "--format", "json"], more].concat();
        let text = schleuse(folder.path(), &args).done().exits(0).stdout();
        let json: serde_json::Value = schleuse_model::json::from_untrusted(text.as_bytes(), 1 << 16).unwrap();
        let result = &json["result"];
        (result["links_removed"].as_u64(), result["blobs_removed"].as_u64(), result["links_recent"].as_u64())
    };
    assert_eq!(gc(&[]), (Some(0), Some(0), Some(1)));
    assert_eq!(gc(&["--grace", "0s", "--dry-run"]), (Some(1), Some(1), Some(0)));

    let blob = folder.path().join("store/blobs/sha256/2c").join(&digest[7..]);
    std::fs::write(&blob, "hallo").unwrap();
    let done = schleuse(folder.path(), &["registry", "check", "--folder", "store"]).done().exits(10);
    assert!(done.stdout().contains(&format!("blob {digest} is damaged")), "{}", done.stdout());
    let args = ["registry", "check", "--folder", "store", "--repair", "--format", "json"];
    let done = schleuse(folder.path(), &args).done().exits(0);
    assert!(done.stdout().contains(r#""problem":"damaged-blob""#), "{}", done.stdout());
    assert_eq!(
        std::fs::read(folder.path().join("store/quarantine/blobs/sha256/2c").join(&digest[7..])).unwrap(),
        b"hallo"
    );
    let done = schleuse(folder.path(), &["registry", "gc", "--folder", "elsewhere"]).done().exits(2);
    assert!(done.stderr().contains("is not the folder of a registry"), "{}", done.stderr());
}

/// Users from a file, changed while it runs; TLS, with an access log; and what is wrong with such files.
#[test]
fn users_and_certificates_are_read_again_on_sighup() {
    let folder = tempfile::tempdir().unwrap();
    let certificates = Certificates::make(folder.path(), "x");
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
    // ci:U*U (Openwall's vector); `htpasswd` writes $2y$.
    let line = "ci:$2y$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW\n";
    write("users", line);
    let serve = |more: &[&str]| {
        let arguments = ["registry", "serve", "--memory", "--listen", "127.0.0.1:0", "--htpasswd", "users"];
        schleuse(folder.path(), &[arguments.as_slice(), more].concat())
    };
    let server = serve(&["--access-log", "log", "--read-only"]).serving();
    let ask = |user: &str| get(server.address, "/v2/", &format!("Authorization: Basic {user}\r\n"))[9..12].to_owned();
    let (ci, me) = ("Y2k6VSpV", "bWU6VSpV");
    assert_eq!((ask(ci), ask(me)), ("200".to_owned(), "401".to_owned()));
    write("users", &line.replace("ci", "me"));
    std::fs::rename(folder.path().join("log"), folder.path().join("log.1")).unwrap();
    server.signal(Signal::SIGHUP);
    let mut tries = 0;
    while ask(me) != "200" {
        tries += 1;
        assert!(tries < 500, "the file was not read again");
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    assert_eq!(ask(ci), "401");
    // A file that cannot be read changes nothing.
    write("users", "me:plain\n");
    server.signal(Signal::SIGHUP);
    std::thread::sleep(std::time::Duration::from_millis(200));
    assert_eq!(ask(me), "200");
    server.signal(Signal::SIGTERM);
    let mut server = server;
    assert_eq!(server.wait().code(), Some(0));
    // The last line before the signal may be written after it.
    for (log, fewest) in [("log", 2), ("log.1", 1)] {
        let log = std::fs::read_to_string(folder.path().join(log)).unwrap();
        assert!(log.lines().count() >= fewest && log.contains("\"user\":"), "{log}");
    }

    let said = serve(&[]).done().exits(2).stderr();
    assert!(said.contains("users, line 1: what follows the user is no bcrypt hash"), "{said}");
    assert!(said.contains("hint: `htpasswd -B users USER`") && !said.contains("plain"), "{said}");
    write("users", line);
    let cert = certificates.certificate.to_str().unwrap();
    let said = serve(&["--tls-cert", cert, "--tls-key", cert]).done().exits(2).stderr();
    assert!(
        said.contains("holds no private key in PEM that we can read") && said.contains("hint: --tls-key"),
        "{said}"
    );
    serve(&["--tls-cert", cert]).done().exits(2);
    let said = serve(&[]).env("REGISTRY_USERNAME", "me").env("REGISTRY_PASSWORD", "x").done().exits(2).stderr();
    assert!(said.contains("are both there"), "{said}");
}

#[test]
fn metrics_stand_on_an_address_of_their_own() {
    let folder = tempfile::tempdir().unwrap();
    let taken = nobody();
    let metrics = taken.to_string();
    let arguments = ["registry", "serve", "--memory", "--listen", "127.0.0.1:0", "--metrics", &metrics];
    let server = schleuse(folder.path(), &arguments).serving();
    assert!(get(server.address, "/metrics", "").starts_with("HTTP/1.1 404"));
    let page = get(taken, "/metrics", "");
    assert!(
        page.contains("schleuse_registry_requests_total{route=\"other\",method=\"GET\",status=\"4xx\"} 1"),
        "{page}"
    );
    let done = schleuse(folder.path(), &arguments).done().exits(1);
    assert!(done.stderr().contains("choose another port with --metrics"), "{}", done.stderr());
}

#[test]
fn it_collects_while_it_serves() {
    let folder = tempfile::tempdir().unwrap();
    let serve = ["registry", "serve", "--folder", "store", "--listen", "127.0.0.1:0", "--gc-every", "20ms"];
    let mut server = schleuse(folder.path(), &serve).serving();
    let digest = "sha256:2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824";
    let ask = |head: &str, body: &str| {
        let mut stream = TcpStream::connect(server.address).unwrap();
        let length = body.len();
        write!(stream, "{head} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n{body}")
            .unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer[9..12].to_owned()
    };
    let blob = folder.path().join("store/blobs/sha256/2c").join(&digest[7..]);
    assert_eq!(ask(&format!("POST /v2/a/blobs/uploads/?digest={digest}"), "hello"), "201");
    // Nothing names it, but it has just been pushed.
    std::thread::sleep(std::time::Duration::from_millis(200));
    assert!(blob.exists());
    assert_eq!(ask(&format!("DELETE /v2/a/blobs/{digest}"), ""), "202");
    let mut tries = 0;
    while blob.exists() {
        tries += 1;
        assert!(tries < 500, "it was not collected");
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    server.signal(Signal::SIGTERM);
    assert_eq!(server.wait().code(), Some(0));
}
