//! The users: requests through the front door while a release is switched.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

/// How long a user waits for an answer.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long a user rests between two requests. Four users make about 400 requests a second.
const REST: Duration = Duration::from_millis(10);
const USERS: usize = 4;
/// The most of an answer that is read.
const ANSWER_LIMIT: u64 = 64 << 10;

/// Users at work, until they are asked what they saw.
#[derive(Debug)]
pub(crate) struct Load {
    stop: tokio::sync::watch::Sender<bool>,
    users: Vec<JoinHandle<Seen>>,
}

/// What users saw.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Seen {
    pub(crate) sent: u32,
    pub(crate) lost: u32,
}

impl Load {
    /// Sends users to `address`.
    pub(crate) fn on(address: SocketAddr) -> Self {
        let (stop, stopped) = tokio::sync::watch::channel(false);
        let users = (0..USERS).map(|_| tokio::spawn(user(address, stopped.clone()))).collect();
        Self { stop, users }
    }

    /// Calls them back.
    pub(crate) async fn end(self) -> Seen {
        let _ = self.stop.send(true);
        let mut all = Seen::default();
        for user in self.users {
            // A user who fell over saw at least one request fail.
            let seen = user.await.unwrap_or(Seen { sent: 1, lost: 1 });
            all = Seen { sent: all.sent + seen.sent, lost: all.lost + seen.lost };
        }
        all
    }
}

async fn user(address: SocketAddr, stopped: tokio::sync::watch::Receiver<bool>) -> Seen {
    let mut seen = Seen::default();
    while !*stopped.borrow() {
        seen.sent += 1;
        if get(address, "/").await.is_none() {
            seen.lost += 1;
        }
        sleep(REST).await;
    }
    seen
}

/// The body of a 200 answer; anything else is none.
pub(crate) async fn get(address: SocketAddr, path: &str) -> Option<String> {
    let asked = async {
        let mut stream = TcpStream::connect(address).await.ok()?;
        let request = format!("GET {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.ok()?;
        let mut answer = String::new();
        stream.take(ANSWER_LIMIT).read_to_string(&mut answer).await.ok()?;
        let (head, body) = answer.split_once("\r\n\r\n")?;
        head.starts_with("HTTP/1.1 200 ").then(|| body.to_owned())
    };
    timeout(PATIENCE, asked).await.ok()?
}
