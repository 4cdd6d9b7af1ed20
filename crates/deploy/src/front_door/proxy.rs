//! One connection through the door.

use std::collections::{BTreeMap, HashSet};
use std::fs;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::time::{Instant, sleep, timeout};

/// How long a backend is tried that does not accept: it may be the moment of a switch.
const CONNECT: Duration = Duration::from_secs(2);
/// How long one try may take.
const TRY: Duration = Duration::from_millis(500);
const AGAIN: Duration = Duration::from_millis(50);
/// How long nobody must have spoken until a connection whose backend spoke last counts as idle. Long enough for the next
/// request of a client that sends one after the other, short enough not to hold up a settlement.
const IDLE: Duration = Duration::from_millis(250);
/// A connection on which nobody speaks is closed after this, so that forgotten ones do not add up.
const FORGOTTEN: Duration = Duration::from_secs(3600);
const BUFFER: usize = 16 << 10;

/// What all connections share.
#[derive(Debug)]
pub(super) struct Traffic {
    backend: PathBuf,
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    open: BTreeMap<SocketAddr, usize>,
    draining: HashSet<SocketAddr>,
}

impl Traffic {
    pub(super) fn new(backend: PathBuf) -> Self {
        Self { backend, inner: Mutex::default() }
    }

    /// Where connections go now. Read anew each time: a switch is a rename, and holds from the next connection on.
    fn backend(&self) -> Option<SocketAddr> {
        fs::read_to_string(&self.backend).ok()?.trim().parse().ok()
    }

    pub(super) fn connections(&self) -> BTreeMap<String, usize> {
        self.lock().open.iter().map(|(backend, open)| (backend.to_string(), *open)).collect()
    }

    pub(super) fn drain(&self, backend: SocketAddr) {
        self.lock().draining.insert(backend);
    }

    fn is_draining(&self, backend: SocketAddr) -> bool {
        self.lock().draining.contains(&backend)
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // A counter is never half changed.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn enter(self: &Arc<Self>, backend: SocketAddr) -> Counted {
        let mut inner = self.lock();
        *inner.open.entry(backend).or_default() += 1;
        // It has the traffic again.
        inner.draining.remove(&backend);
        Counted { traffic: Arc::clone(self), backend }
    }
}

/// A connection that counts as open.
#[derive(Debug)]
struct Counted {
    traffic: Arc<Traffic>,
    backend: SocketAddr,
}

impl Drop for Counted {
    fn drop(&mut self) {
        let mut inner = self.traffic.lock();
        if let Some(open) = inner.open.get_mut(&self.backend) {
            *open -= 1;
            if *open == 0 {
                inner.open.remove(&self.backend);
            }
        }
    }
}

/// Carries one connection, until either side ends it.
pub(super) async fn carry(client: TcpStream, traffic: Arc<Traffic>) {
    let Some((counted, backend)) = connect(&traffic).await else { return };
    let _ = (client.set_nodelay(true), backend.set_nodelay(true));
    let last = Arc::new(Mutex::new(Last { at: Instant::now(), spoke: Side::Nobody }));
    let (from_client, to_client) = client.into_split();
    let (from_backend, to_backend) = backend.into_split();
    let both = async {
        // One side may be done speaking while it still listens; a broken side ends both.
        tokio::try_join!(
            copy(from_client, to_backend, &last, Side::Client),
            copy(from_backend, to_client, &last, Side::Backend)
        )
    };
    tokio::select! {
        _ = both => {}
        () = idle(&counted, &last) => {}
    }
}

/// Connects to the backend of the moment. It is counted before it is connected: whoever drains it must not find it empty.
async fn connect(traffic: &Arc<Traffic>) -> Option<(Counted, TcpStream)> {
    let deadline = Instant::now() + CONNECT;
    loop {
        let backend = traffic.backend()?;
        let counted = traffic.enter(backend);
        // Between reading and counting the traffic may have been switched away and the old backend been found empty.
        if traffic.backend() != Some(backend) {
            continue;
        }
        if let Ok(Ok(stream)) = timeout(TRY, TcpStream::connect(backend)).await {
            return Some((counted, stream));
        }
        drop(counted);
        if Instant::now() >= deadline {
            return None;
        }
        sleep(AGAIN).await;
    }
}

/// Who spoke last, and when.
#[derive(Clone, Copy, Debug)]
struct Last {
    at: Instant,
    spoke: Side,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Side {
    Nobody,
    Client,
    Backend,
}

fn read(last: &Mutex<Last>) -> Last {
    *last.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn copy(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, last: &Mutex<Last>, spoke: Side) -> io::Result<()> {
    let mut buffer = vec![0; BUFFER];
    loop {
        let read = from.read(&mut buffer).await?;
        if read == 0 {
            return to.shutdown().await;
        }
        *last.lock().unwrap_or_else(PoisonError::into_inner) = Last { at: Instant::now(), spoke };
        to.write_all(buffer.get(..read).unwrap_or_default()).await?;
    }
}

/// Returns once the connection is idle while its backend is being drained, or forgotten.
async fn idle(counted: &Counted, last: &Mutex<Last>) {
    loop {
        sleep(AGAIN).await;
        let Last { at, spoke } = read(last);
        let quiet = at.elapsed();
        // A client that spoke last waits for its answer.
        let drained = spoke != Side::Client && quiet >= IDLE && counted.traffic.is_draining(counted.backend);
        if drained || quiet >= FORGOTTEN {
            return;
        }
    }
}
