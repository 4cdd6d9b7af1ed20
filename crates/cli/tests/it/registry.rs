//! `schleuse registry serve`.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use nix::sys::signal::Signal;

use crate::support::{registry, schleuse};

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
