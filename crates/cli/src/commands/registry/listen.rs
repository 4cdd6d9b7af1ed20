//! Where the registry listens, and what is said of it.

use std::net::SocketAddr;

use schleuse_model::Explain;
use tokio::net::{TcpListener, TcpSocket};

use crate::context::Context;

/// Connections that the kernel may hold for us while all places are taken (it cuts this to its own limit, mostly 4096).
const BACKLOG: u32 = 4096;

/// The port cannot be had.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {address}")]
pub(super) struct CannotListen {
    address: SocketAddr,
    flag: &'static str,
    source: std::io::Error,
}

impl Explain for CannotListen {
    fn hints(&self) -> Vec<String> {
        match self.source.kind() {
            std::io::ErrorKind::AddrInUse => {
                vec![format!("something listens there already: choose another port with {}", self.flag)]
            }
            _ => Vec::new(),
        }
    }
}

pub(super) fn listen(address: SocketAddr, flag: &'static str) -> Result<(TcpListener, SocketAddr), CannotListen> {
    let bind = || {
        let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
        // Otherwise a restart would have to wait for the kernel to forget the connections of the one before.
        socket.set_reuseaddr(true)?;
        socket.bind(address)?;
        let listener = socket.listen(BACKLOG)?;
        let address = listener.local_addr()?;
        Ok((listener, address))
    };
    bind().map_err(|source| CannotListen { address, flag, source })
}

/// What is open to others than this machine's users.
pub(super) fn warn(context: &Context, address: SocketAddr, guarded: bool, encrypted: bool) {
    if address.ip().is_loopback() {
        return;
    }
    if !guarded {
        let three = "give it --htpasswd, set REGISTRY_USERNAME and REGISTRY_PASSWORD, or listen on 127.0.0.1";
        context.printer.warn(&format!("whoever reaches {address} can read and write everything: {three}"));
    } else if !encrypted {
        let two = "give it --tls-cert and --tls-key, or put a proxy with TLS before it";
        context.printer.warn(&format!("passwords come to {address} in plain text: {two}"));
    }
}
