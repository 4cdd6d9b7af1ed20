//! How the tool asks the front door: one line of JSON there, one back, over a socket in the door's folder.

use std::collections::BTreeMap;
use std::fs::File;
use std::net::SocketAddr;
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};
use std::time::Duration;

use schleuse_model::json;
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::time::timeout;

/// How long the door may take to answer. It has nothing to wait for.
const PATIENCE: Duration = Duration::from_secs(1);
/// The most of a question or answer that is read.
pub(super) const LIMIT: u64 = 64 << 10;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "kebab-case", deny_unknown_fields)]
pub(super) enum Request {
    /// How are you?
    Status,
    /// Close this backend's idle connections, now and as they become idle.
    Drain { backend: SocketAddr },
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Answer {
    pub(super) listen: SocketAddr,
    /// Open connections by backend.
    pub(super) connections: BTreeMap<String, usize>,
}

/// The socket, through the folder's descriptor: a socket's path has at most 107 bytes (unix(7)), folders have no such limit.
/// The file must live as long as the path is used.
pub(super) fn socket(folder: &Path) -> std::io::Result<(File, PathBuf)> {
    let file = File::open(folder)?;
    let path = PathBuf::from(format!("/proc/self/fd/{}/control.sock", file.as_raw_fd()));
    Ok((file, path))
}

/// Asks. `None`: nobody answers.
pub(super) async fn ask(folder: &Path, request: &Request) -> Option<Answer> {
    timeout(PATIENCE, async {
        let (_folder, path) = socket(folder).ok()?;
        let mut stream = UnixStream::connect(path).await.ok()?;
        stream.write_all(&json::to_bytes(request)).await.ok()?;
        stream.shutdown().await.ok()?;
        let mut answer = Vec::new();
        stream.take(LIMIT).read_to_end(&mut answer).await.ok()?;
        json::from_untrusted(&answer, answer.len()).ok()
    })
    .await
    .ok()
    .flatten()
}
