//! What comes over the wire: requests to the embedded registry, and a registry's challenge to our client.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use schleuse_client::credentials::StaticCredentials;
use schleuse_client::{Client, Deadlines, RetryPolicy};
use schleuse_model::{Digest, Repository, Secret};
use schleuse_oci::{Credential, Pull as _};
use schleuse_registry::Registry;
use tokio::runtime::Runtime;

const CONTENT: &[u8] = b"0123456789";
const PASSWORD: &str = "hunter2-is-the-password";
const PATIENCE: Duration = Duration::from_secs(5);

fn runtime() -> &'static Runtime {
    static RUNTIME: OnceLock<Runtime> = OnceLock::new();
    RUNTIME.get_or_init(|| Runtime::new().expect("a runtime"))
}

/// A registry that has one blob, `a`'s [`CONTENT`].
fn registry() -> SocketAddr {
    static REGISTRY: OnceLock<(schleuse_registry::Running, SocketAddr)> = OnceLock::new();
    REGISTRY
        .get_or_init(|| {
            let running = runtime().block_on(Registry::memory().spawn((Ipv4Addr::LOCALHOST, 0).into()));
            let running = running.expect("a registry");
            let address = running.addr();
            let digest = Digest::sha256(CONTENT);
            let pushed = exchange(address, "POST", &format!("/v2/a/blobs/uploads/?digest={digest}"), b"", CONTENT);
            assert_eq!(pushed.0, 201);
            (running, address)
        })
        .1
}

/// Whatever stands in a request's range, length, condition, login, query or path: it is answered, never with a failure of the
/// registry's own; a part of a blob is that part; and an upload never becomes a blob with another digest.
pub fn headers(data: &[u8]) {
    let Some((&which, value)) = data.split_first() else { return };
    // A line break would begin another header: hyper's parser is not what is tried.
    let value: Vec<u8> = value.iter().copied().filter(|byte| !matches!(byte, b'\r' | b'\n' | 0)).collect();
    let text: String = String::from_utf8_lossy(&value).chars().filter(|c| !c.is_whitespace()).collect();
    let header = |name: &str| [name.as_bytes(), b": ", &value, b"\r\n"].concat();
    let digest = Digest::sha256(CONTENT);
    let (blob, address) = (format!("/v2/a/blobs/{digest}"), registry());
    match which % 8 {
        0 => {
            let (status, body) = exchange(address, "GET", &blob, &header("Range"), b"");
            match status {
                200 => assert_eq!(body, CONTENT),
                206 => assert!(CONTENT.windows(body.len().max(1)).any(|part| part == body), "{body:?}"),
                _ => assert!(matches!(status, 400 | 416), "{status}"),
            }
        }
        1 => upload(address, &header("Content-Range")),
        2 => drop(checked(address, "PUT", "/v2/a/manifests/x", &header("If-Match"), b"{}")),
        3 => drop(checked(address, "PUT", "/v2/a/manifests/x", &header("If-None-Match"), b"{}")),
        4 => drop(checked(address, "GET", &blob, &header("Authorization"), b"")),
        5 => started(address, &ascii(&text)),
        6 => drop(checked(address, "GET", &format!("/v2/{}", ascii(&text)), b"", b"")),
        _ => drop(checked(address, "PUT", "/v2/a/manifests/x", &header("Content-Type"), b"{\"schemaVersion\":2}")),
    }
    let (status, body) = exchange(address, "GET", &blob, b"", b"");
    assert!(status == 200 && body == CONTENT, "the blob is another one now: {status} {body:?}");
}

/// What a request line can hold.
fn ascii(text: &str) -> String {
    text.chars()
        .filter(|c| c.is_ascii_graphic() && !matches!(c, '#' | '"' | '<' | '>' | '\\' | '^' | '`' | '{' | '|' | '}'))
        .collect()
}

/// An upload that is begun with this query. It is not left open: a registry has so many at a time.
fn started(address: SocketAddr, query: &str) {
    let (status, head) = open(address, "POST", &format!("/v2/a/blobs/uploads/?{query}"), b"", CONTENT);
    assert!(status < 429, "POST {query}: {status}");
    if status == 202 {
        let _ = exchange(address, "DELETE", &location(&head), b"", b"");
    }
}

fn location(head: &[u8]) -> String {
    let head = String::from_utf8_lossy(head).into_owned();
    let location = head.lines().find(|line| line.to_ascii_lowercase().starts_with("location: "));
    location.expect("a location").split_once(": ").expect("a header").1.to_owned()
}

fn upload(address: SocketAddr, range: &[u8]) {
    let (status, head) = open(address, "POST", "/v2/b/blobs/uploads/", b"", b"");
    assert_eq!(status, 202);
    let location = location(&head);
    let (status, _) = checked(address, "PATCH", &location, range, CONTENT);
    let half = Digest::sha256(&CONTENT[..5]);
    let (finished, _) = checked(address, "PUT", &format!("{location}?digest={half}"), b"", b"");
    assert_ne!(finished, 201, "half of it was taken for the whole after {status}");
    let _ = exchange(address, "DELETE", &location, b"", b"");
}

fn checked(address: SocketAddr, method: &str, target: &str, headers: &[u8], body: &[u8]) -> (u16, Vec<u8>) {
    let answer = exchange(address, method, target, headers, body);
    assert!(answer.0 < 500, "{method} {target} {:?}: {}", String::from_utf8_lossy(headers), answer.0);
    answer
}

/// Status and body.
fn exchange(address: SocketAddr, method: &str, target: &str, headers: &[u8], body: &[u8]) -> (u16, Vec<u8>) {
    let (status, answer) = open(address, method, target, headers, body);
    let end = answer.windows(4).position(|four| four == b"\r\n\r\n").map_or(answer.len(), |at| at + 4);
    (status, answer[end..].to_vec())
}

/// Status and the whole answer.
fn open(address: SocketAddr, method: &str, target: &str, headers: &[u8], body: &[u8]) -> (u16, Vec<u8>) {
    let mut stream = TcpStream::connect(address).expect("the registry listens");
    stream.set_read_timeout(Some(PATIENCE)).expect("a limit");
    let head =
        format!("{method} {target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {}\r\n", body.len());
    // It may answer, and close, before it has read everything.
    let _ = stream.write_all(&[head.as_bytes(), headers, b"\r\n", body].concat());
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    let status = answer.get(9..12).and_then(|digits| std::str::from_utf8(digits).ok()?.parse().ok());
    (status.expect("an answer"), answer)
}

/// Whatever a registry demands as login: the client ends with an error, and says nothing of the password.
pub fn challenge(data: &[u8]) {
    let value: Vec<u8> = data.iter().copied().filter(|byte| !matches!(byte, b'\r' | b'\n' | 0)).collect();
    // Its token service must be this machine: a test asks nobody else.
    let text = String::from_utf8_lossy(&value).to_ascii_lowercase();
    if text.contains("://") && !text.contains("://127.0.0.1:") {
        return;
    }
    let fake = Fake::asking(value);
    let host = fake.address.to_string();
    let login = Credential::Basic { username: "ci".to_owned(), password: Secret::new(PASSWORD.to_owned()) };
    let client = Client::builder()
        .credentials(Arc::new(StaticCredentials::new().with(host.clone(), login)))
        .deadlines(Deadlines { operation: PATIENCE, ..Deadlines::default() })
        .retry(RetryPolicy { attempts: 1, ..RetryPolicy::default() })
        .build()
        .expect("a client");
    let repository: Repository = format!("{host}/a").parse().expect("a repository");
    let tag = repository.tag("x".parse().expect("a tag"));
    let error = runtime().block_on(client.resolve(&tag)).expect_err("a registry that says 401 to everything");
    let shown = format!("{error} {error:?}");
    assert!(!shown.contains(PASSWORD), "{shown}");
}

/// A server that says 401 to everything, and what for.
struct Fake {
    address: SocketAddr,
}

impl Fake {
    fn asking(value: Vec<u8>) -> Self {
        /// One listener for all: its thread takes the newest demand.
        static FAKE: OnceLock<(SocketAddr, Arc<Mutex<Vec<u8>>>)> = OnceLock::new();
        let (address, demand) = FAKE.get_or_init(|| {
            let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
            let address = listener.local_addr().expect("an address");
            let demand = Arc::new(Mutex::new(Vec::new()));
            let asked = demand.clone();
            std::thread::spawn(move || {
                for stream in listener.incoming().flatten() {
                    let demand = asked.lock().unwrap_or_else(PoisonError::into_inner).clone();
                    std::thread::spawn(move || refuse(stream, &demand));
                }
            });
            (address, demand)
        });
        *demand.lock().unwrap_or_else(PoisonError::into_inner) = value;
        Self { address: *address }
    }
}

fn refuse(mut stream: TcpStream, demand: &[u8]) {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") && matches!(stream.read(&mut byte), Ok(1)) {
        head.push(byte[0]);
    }
    let answer = [
        b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 2\r\nConnection: close\r\nContent-Type: application/json\r\n\
          WWW-Authenticate: ",
        demand,
        b"\r\n\r\n{}",
    ]
    .concat();
    let _ = stream.write_all(&answer);
}
