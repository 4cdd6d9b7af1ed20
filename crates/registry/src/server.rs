//! Connections: accepting, bounding, and stopping without cutting off a request.

use std::convert::Infallible;
use std::future::Future;
use std::net::{IpAddr, SocketAddr};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use schleuse_model::{Clock, SystemClock};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, oneshot};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::MissedTickBehavior;

use crate::error::Error;
use crate::metrics::Metrics;
use crate::registry::Registry;
use seats::{Seat, Seats};
use stall::StallGuard;

mod metrics;
pub(crate) mod seats;
mod stall;

/// A request's header in bytes. Real ones have under 2 KiB, with a bearer token under 10.
const HEADER_BYTES: usize = 64 << 10;

/// After a failed `accept` (no file descriptors left, mostly): long enough not to spin, short enough not to be noticed.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// How often who waits for a place looks for one that is not used, after the first look.
const SHED_PAUSE: Duration = Duration::from_millis(50);

/// How often uploads are looked over, at least and at most: nobody waits for it, and it costs nothing.
const SWEEP: Duration = Duration::from_secs(60);
const SHORTEST_SWEEP: Duration = Duration::from_millis(10);

impl Registry {
    /// Serves on `listener` until `shutdown` is ready; then running requests get [`crate::Limits::drain`] to finish.
    /// `clock` is what the `Date` header and the access log show, and what links are dated by.
    ///
    /// # Errors
    /// None at present: a failing connection ends alone, a failing `accept` is tried again.
    pub async fn serve(
        mut self,
        listener: TcpListener,
        clock: Arc<dyn Clock>,
        shutdown: impl Future<Output = ()> + Send,
    ) -> Result<(), Error> {
        self.clock = clock.clone();
        let slots = Arc::new(Semaphore::new(self.limits.connections));
        let graceful = GracefulShutdown::new();
        let (mut connections, mut seats) = (JoinSet::new(), Seats::default());
        // One that has been accepted and waits for its place.
        let mut next: Option<(TcpStream, SocketAddr)> = None;
        let mut shutdown = pin!(shutdown);
        let mut sweep = tokio::time::interval(self.limits.upload_idle.min(SWEEP).max(SHORTEST_SWEEP));
        sweep.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let slot = tokio::select! {
                () = &mut shutdown => break,
                Some(_) = connections.join_next() => continue,
                _ = sweep.tick() => {
                    self.sweep();
                    continue;
                }
                accepted = listener.accept(), if next.is_none() => {
                    match accepted {
                        Ok(accepted) => {
                            next = Some(accepted);
                            if slots.available_permits() == 0 {
                                seats.shed(self.limits.spare);
                            }
                        }
                        Err(_) => tokio::time::sleep(ACCEPT_PAUSE).await,
                    }
                    continue;
                }
                // Never closed, so never an error.
                slot = slots.clone().acquire_owned(), if next.is_some() => slot,
                () = tokio::time::sleep(SHED_PAUSE), if next.is_some() => {
                    seats.shed(self.limits.spare);
                    continue;
                }
            };
            let Some((stream, peer)) = next.take() else { continue };
            let (registry, clock, watcher, seat) = (self.clone(), clock.clone(), graceful.watcher(), Seat::new());
            let (taken, open) = (seat.clone(), Open::new(&self.observer.metrics));
            let task = connections.spawn(async move {
                registry.connection(stream, peer.ip(), clock, watcher, taken).await;
                drop((slot, open));
            });
            seats.add(seat, task, self.limits.connections);
        }
        drop(listener);
        let _ = tokio::time::timeout(self.limits.drain, graceful.shutdown()).await;
        connections.shutdown().await;
        Ok(())
    }

    /// Forgets uploads that nobody goes on with; their files are removed where that may block.
    fn sweep(&self) {
        let forgotten = self.shared.uploads.expired(self.limits.upload_idle);
        if !forgotten.is_empty() {
            tokio::task::spawn_blocking(move || drop(forgotten));
        }
    }

    async fn connection(
        &self,
        stream: TcpStream,
        remote: IpAddr,
        clock: Arc<dyn Clock>,
        watcher: Watcher,
        seat: Arc<Seat>,
    ) {
        // Answers are small and the client waits for them. If the option cannot be set it is only slower.
        let _ = stream.set_nodelay(true);
        // Below TLS: what counts is whether the peer takes bytes.
        let stream = StallGuard::new(stream, self.limits.stall, seat.clone());
        let Some(tls) = &self.tls else { return self.speak(stream, remote, clock, watcher, seat).await };
        match tokio::time::timeout(self.limits.handshake, tls.acceptor().accept(stream)).await {
            Ok(Ok(stream)) => self.speak(stream, remote, clock, watcher, seat).await,
            Ok(Err(_)) | Err(_) => {
                self.observer.metrics.handshakes_failed.fetch_add(1, Relaxed);
            }
        }
    }

    async fn speak<S>(&self, stream: S, remote: IpAddr, clock: Arc<dyn Clock>, watcher: Watcher, seat: Arc<Seat>)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let registry = self.clone();
        let service = service_fn(move |request| {
            let (registry, clock, busy) = (registry.clone(), clock.clone(), seat.busy());
            async move { Ok::<_, Infallible>(registry.answer(request, Some(remote), clock, busy).await) }
        });
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(self.limits.header_wait)
            .max_header_size(HEADER_BYTES)
            .serve_connection(TokioIo::new(stream), service);
        // A client that breaks off is its own affair.
        let _ = watcher.watch(connection).await;
    }

    /// Listens on `address` (port 0: any free one) and serves in the background, by the machine's clock.
    ///
    /// # Errors
    /// [`Error::Listen`].
    pub async fn spawn(self, address: SocketAddr) -> Result<Running, Error> {
        self.spawn_with(address, Arc::new(SystemClock)).await
    }

    /// As [`Registry::spawn`], with a clock of the caller's choice.
    ///
    /// # Errors
    /// [`Error::Listen`].
    pub async fn spawn_with(self, address: SocketAddr, clock: Arc<dyn Clock>) -> Result<Running, Error> {
        let failed = |source| Error::Listen { address, source };
        let listener = TcpListener::bind(address).await.map_err(failed)?;
        let addr = listener.local_addr().map_err(failed)?;
        let (stop, stopped) = oneshot::channel();
        let task = tokio::spawn(self.serve(listener, clock, async {
            // Also ready when `Running` is dropped.
            let _ = stopped.await;
        }));
        Ok(Running { addr, stop, task })
    }
}

/// Counts a connection for as long as it lives, however it ends.
struct Open(Arc<Metrics>);

impl Open {
    fn new(metrics: &Arc<Metrics>) -> Self {
        metrics.connections.fetch_add(1, Relaxed);
        Self(metrics.clone())
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.connections.fetch_sub(1, Relaxed);
    }
}

/// A registry that serves in the background. Dropping it asks it to stop; [`Running::stop`] waits until it has.
#[derive(Debug)]
pub struct Running {
    addr: SocketAddr,
    stop: oneshot::Sender<()>,
    task: JoinHandle<Result<(), Error>>,
}

impl Running {
    /// Where it listens.
    pub const fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Stops it: running requests finish, within [`crate::Limits::drain`].
    ///
    /// # Errors
    /// [`Error::Ended`] if the server had failed before.
    pub async fn stop(self) -> Result<(), Error> {
        // Nobody listening any more means it has ended already; the task says how.
        let _ = self.stop.send(());
        self.task.await.map_err(|_| Error::Ended)?
    }
}
