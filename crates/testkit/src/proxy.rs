//! The fault proxy: an HTTP/1.1 proxy in front of a registry that counts requests and goes wrong at a chosen one.
//!
//! # Expected flow
//! Run the client once through a [`Proxy`] without faults; [`Proxy::count`] says how many requests it makes. Then for each
//! `n` and each [`When`]: a fresh state, [`Proxy::inject`] with a [`Fault::Run`] that kills the client, run the client, run it
//! again without faults, and compare the end with the first run's. [`Proxy::log`] says in a failure which request it was.
//!
//! # Guarantees
//! [`When::Before`]: the upstream has not seen the request. [`When::After`]: the upstream has answered it (so it has done what
//! was asked), and not a byte of the answer has been sent. Requests are counted when their header is complete, from 1 on. The
//! proxy lives in a thread of its own: it works in plain tests, in async ones, and beside a paused clock.
//!
//! # Caveats
//! Each request travels on its own connection to the upstream. `Expect: 100-continue` is answered by the proxy.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::thread::JoinHandle;

use tokio::net::TcpListener;
use tokio::sync::oneshot;

use exchange::Shared;
pub use fault::{Fault, Match, Record, When};

mod exchange;
mod fault;

/// A running proxy. Dropping it stops it and breaks its connections.
#[derive(Debug)]
pub struct Proxy {
    address: SocketAddr,
    shared: Arc<Shared>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Proxy {
    /// A proxy on a free loopback port in front of `upstream`.
    ///
    /// # Panics
    /// If there is no free port or no thread to be had.
    pub fn start(upstream: SocketAddr) -> Self {
        let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).expect("a free loopback port");
        listener.set_nonblocking(true).expect("a socket option");
        let address = listener.local_addr().expect("a bound socket has an address");
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let shared = Arc::new(Shared::new(upstream));
        let (stop, stopped) = oneshot::channel();
        let serving = shared.clone();
        let run = move || {
            runtime.block_on(async {
                let listener = TcpListener::from_std(listener).expect("a listener");
                tokio::select! {
                    () = exchange::serve(listener, serving) => {}
                    _ = stopped => {}
                }
            });
            // A callback that still runs is not waited for; connections go with the runtime.
            runtime.shutdown_background();
        };
        let thread = std::thread::Builder::new().name("fault-proxy".to_owned()).spawn(run).expect("a thread");
        Self { address, shared, stop: Some(stop), thread: Some(thread) }
    }

    /// Where clients connect.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Points the proxy at another upstream, as after a restart on another port.
    pub fn set_upstream(&self, upstream: SocketAddr) {
        self.shared.state().upstream = upstream;
    }

    /// Adds a fault. Of several that match one request and moment, the one added first is carried out.
    pub fn inject(&self, matching: Match, when: When, fault: Fault) {
        self.shared.state().faults.push((matching, when, fault));
    }

    /// Takes all faults away, starts counting from 1 again and forgets the log. Requests in flight keep their old numbers.
    pub fn reset(&self) {
        let mut state = self.shared.state();
        state.faults.clear();
        state.records.clear();
        state.refusing = false;
    }

    /// From now on the upstream is down: connections, new and old, are closed without an answer.
    pub fn refuse(&self) {
        self.shared.state().refusing = true;
    }

    /// The upstream is back.
    pub fn accept(&self) {
        self.shared.state().refusing = false;
    }

    /// How many requests there were since the start or the last [`Proxy::reset`].
    pub fn count(&self) -> usize {
        self.shared.state().records.len()
    }

    /// What was asked and answered, in order.
    pub fn log(&self) -> Vec<Record> {
        self.shared.state().records.clone()
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        if let Some(stop) = self.stop.take() {
            // Only fails if the thread is gone already.
            let _ = stop.send(());
        }
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
            && !std::thread::panicking()
        {
            panic!("the fault proxy's thread panicked");
        }
    }
}

/// What the connection to the client ends with, instead of an answer.
fn broken() -> io::Error {
    io::ErrorKind::ConnectionAborted.into()
}
