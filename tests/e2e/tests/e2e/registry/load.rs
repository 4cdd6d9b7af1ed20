//! A thousand small pulls at once, each with a login, by a registry that keeps its limits.

use std::fs;
use std::sync::Arc;
use std::time::{Duration, Instant};

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::Barrier;
use tokio::task::JoinSet;

use super::Server;
use crate::project::runtime;

/// Clients, all connected before the first asks.
const PULLS: usize = 1000;

/// For all of them together; an idle machine takes about two seconds.
const DEADLINE: Duration = Duration::from_secs(60);

/// `ci` with the password `U*U`: the cost of this hash is 5, which `htpasswd -B` writes by default.
const USERS: &str = "ci:$2y$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW\n";
const LOGIN: &str = "authorization: Basic Y2k6VSpV\r\n";

/// One request; the answer's body.
async fn ask(stream: &mut TcpStream, head: &str, body: &[u8]) -> Result<Vec<u8>, String> {
    let text = |error: std::io::Error| error.to_string();
    let head = format!("{head} HTTP/1.1\r\nhost: x\r\n{LOGIN}content-length: {}\r\n\r\n", body.len());
    stream.write_all(&[head.as_bytes(), body].concat()).await.map_err(text)?;
    let mut answer = Vec::new();
    let end = loop {
        if stream.read_buf(&mut answer).await.map_err(text)? == 0 {
            return Err("the connection was cut".to_owned());
        }
        if let Some(end) = answer.windows(4).position(|four| four == b"\r\n\r\n") {
            break end + 4;
        }
    };
    let head = String::from_utf8_lossy(&answer[..end]).to_ascii_lowercase();
    let length = head.split_once("content-length: ").and_then(|(_, rest)| rest.split_once("\r\n")?.0.parse().ok());
    let mut body = answer.split_off(end);
    while body.len() < length.unwrap_or(0) {
        if stream.read_buf(&mut body).await.map_err(text)? == 0 {
            return Err("the body was cut".to_owned());
        }
    }
    if head.starts_with("http/1.1 2") { Ok(body) } else { Err(head) }
}

async fn push(server: &Server) -> String {
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    let config = schleuse_model::Digest::sha256(b"{}");
    ask(&mut stream, &format!("POST /v2/small/blobs/uploads/?digest={config}"), b"{}").await.unwrap();
    let manifest = format!(
        "{{\"schemaVersion\":2,\"mediaType\":\"application/vnd.oci.image.manifest.v1+json\",\"config\":{{\"mediaType\":\
         \"application/vnd.oci.empty.v1+json\",\"digest\":\"{config}\",\"size\":2}},\"layers\":[]}}"
    );
    let put = "PUT /v2/small/manifests/v1";
    // Its own mediaType says what it is.
    ask(&mut stream, put, manifest.as_bytes()).await.unwrap();
    config.to_string()
}

/// What a pull asks: the API, the manifest, a blob.
async fn pull(stream: &mut TcpStream, config: &str) -> Result<(), String> {
    ask(stream, "GET /v2/", b"").await?;
    ask(stream, "GET /v2/small/manifests/v1", b"").await?;
    let blob = ask(stream, &format!("GET /v2/small/blobs/{config}"), b"").await?;
    if blob == b"{}" { Ok(()) } else { Err(format!("{blob:?}")) }
}

#[test]
fn a_thousand_small_pulls_at_once() {
    // Two descriptors a client do not fit into the customary 1024.
    let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
    setrlimit(Resource::RLIMIT_NOFILE, hard, hard).unwrap();
    let server = Server::start(&["--htpasswd", "users"], |folder| fs::write(folder.join("users"), USERS).unwrap());
    let began = Instant::now();
    let failed = runtime().block_on(async {
        let config: Arc<str> = push(&server).await.into();
        let start = Arc::new(Barrier::new(PULLS));
        let mut pulls = JoinSet::new();
        for _ in 0..PULLS {
            let (config, start, address) = (config.clone(), start.clone(), server.address);
            pulls.spawn(async move {
                let mut stream = TcpStream::connect(address).await.map_err(|error| error.to_string())?;
                start.wait().await;
                pull(&mut stream, &config).await
            });
        }
        let all = tokio::time::timeout(DEADLINE, pulls.join_all()).await.expect("they end in time");
        all.into_iter().filter_map(Result::err).collect::<Vec<_>>()
    });
    eprintln!("{PULLS} small pulls with a login: {:?}", began.elapsed());
    assert!(failed.is_empty(), "{} of {PULLS} failed: {:?}", failed.len(), failed.first());
    server.stop().exits(0);
}
