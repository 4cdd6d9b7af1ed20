//! The demo's application, healthy and sick.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use nix::sys::signal::Signal;

use crate::support::{Run, schleuse};

fn app(fault: &str) -> Run {
    let folder = std::env::temp_dir();
    let app = schleuse(&folder, &["demo-app"]).env("PORT", "0").env("APP_VERSION", "1.4.0");
    app.env("APP_FAULT", fault).env("SCHLEUSE_DIGEST", "sha256:abc")
}

fn get(address: SocketAddr, path: &str) -> std::io::Result<String> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(Duration::from_millis(500)))?;
    write!(stream, "GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}

#[test]
fn it_says_what_it_is_and_ends_when_asked() {
    let mut server = app("").serving();
    let root = get(server.address, "/").unwrap();
    assert!(root.starts_with("HTTP/1.1 200") && root.ends_with("\r\n\r\nbilling 1.4.0\n"), "{root}");
    let health = get(server.address, "/api/health").unwrap();
    let body = r#"{"status":"ok","version":"1.4.0","digest":"sha256:abc","uptime_s":0}"#;
    assert!(health.starts_with("HTTP/1.1 200") && health.ends_with(body), "{health}");
    assert!(get(server.address, "/other").unwrap().starts_with("HTTP/1.1 404"));
    server.signal(Signal::SIGTERM);
    assert_eq!(server.wait().code(), Some(0));
}

#[test]
fn a_request_in_flight_is_finished_before_it_ends() {
    let mut server = app("").serving();
    let mut stream = TcpStream::connect(server.address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    write!(stream, "GET /slow HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
    // Long enough to be taken up, shorter than the answer takes.
    std::thread::sleep(Duration::from_millis(150));
    server.signal(Signal::SIGTERM);
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200") && answer.ends_with("billing 1.4.0\n"), "{answer}");
    assert_eq!(server.wait().code(), Some(0));
}

#[test]
fn each_fault_shows() {
    let done = app("crash-at-start").done().exits(1);
    assert!(done.stderr().contains("crashed, as APP_FAULT demands"));
    assert_eq!(app("crash-after=50").serving().wait().code(), Some(1));
    let sick = app("health-500-after=0").serving();
    let health = get(sick.address, "/api/health").unwrap();
    assert!(health.starts_with("HTTP/1.1 500") && health.contains(r#""status":"failing""#), "{health}");
    assert!(get(sick.address, "/").unwrap().starts_with("HTTP/1.1 200"));
    let hanging = app("hang").serving();
    assert!(get(hanging.address, "/api/health").is_err(), "no answer");
    let flaky = app("flaky=100").serving();
    assert!(get(flaky.address, "/").unwrap().starts_with("HTTP/1.1 500"));
    let done = app("explode").done().exits(2);
    assert!(done.stderr().contains("hint: use `crash-at-start`"), "{}", done.stderr());
}
