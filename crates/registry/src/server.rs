//! Connections: accepting, bounding, and stopping without cutting off a request.

use std::convert::Infallible;
use std::future::Future;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use schleuse_model::{Clock, SystemClock};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, oneshot};
use tokio::task::{JoinHandle, JoinSet};

use crate::error::Error;
use crate::registry::Registry;
use stall::StallGuard;

mod stall;

/// A request's header in bytes. Real ones have under 2 KiB, with a bearer token under 10.
const HEADER_BYTES: usize = 64 << 10;

/// After a failed `accept` (no file descriptors left, mostly): long enough not to spin, short enough not to be noticed.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

impl Registry {
    /// Serves on `listener` until `shutdown` is ready; then running requests get [`crate::Limits::drain`] to finish.
    /// `clock` is what the `Date` header shows, and what links are dated by.
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
        let mut connections = JoinSet::new();
        let mut shutdown = pin!(shutdown);
        loop {
            let accept = async {
                // Never closed, so never an error.
                let slot = slots.clone().acquire_owned().await.ok();
                (slot, listener.accept().await)
            };
            let (slot, stream) = tokio::select! {
                () = &mut shutdown => break,
                Some(_) = connections.join_next() => continue,
                (slot, accepted) = accept => match accepted {
                    Ok((stream, _)) => (slot, stream),
                    Err(_) => {
                        tokio::time::sleep(ACCEPT_PAUSE).await;
                        continue;
                    }
                },
            };
            let connection = self.connection(stream, clock.clone());
            let connection = graceful.watch(connection);
            connections.spawn(async move {
                // A client that breaks off is its own affair.
                let _ = connection.await;
                drop(slot);
            });
        }
        drop(listener);
        let _ = tokio::time::timeout(self.limits.drain, graceful.shutdown()).await;
        connections.shutdown().await;
        Ok(())
    }

    fn connection(
        &self,
        stream: TcpStream,
        clock: Arc<dyn Clock>,
    ) -> impl hyper_util::server::graceful::GracefulConnection<Output = Result<(), hyper::Error>> + Send + use<> {
        // Answers are small and the client waits for them. If the option cannot be set it is only slower.
        let _ = stream.set_nodelay(true);
        let registry = self.clone();
        let service = service_fn(move |request| {
            let (registry, clock) = (registry.clone(), clock.clone());
            async move { Ok::<_, Infallible>(registry.answer(request, &*clock).await) }
        });
        http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(self.limits.header_wait)
            .max_header_size(HEADER_BYTES)
            .serve_connection(TokioIo::new(StallGuard::new(stream, self.limits.stall)), service)
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
