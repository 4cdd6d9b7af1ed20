//! The access log: one line of JSON a request, written by a thread of its own. A full disk or a slow pipe never holds up a
//! request: lines that cannot be taken are counted and left out.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use schleuse_model::json;
use serde::Serialize;

use crate::error::Error;

/// Lines that wait to be written. At a thousand requests a second, two seconds of a disk that stands still.
const WAITING: usize = 2048;

/// A path of the API is shorter; what is longer is an attempt at something.
const PATH_SHOWN: usize = 512;

/// Where each request leaves a line. Cloning gives another handle on the same log.
#[derive(Clone, Debug)]
pub struct AccessLog(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    /// `None` once the log is closed.
    lines: Mutex<Option<SyncSender<Vec<u8>>>>,
    writer: Mutex<Option<JoinHandle<()>>>,
    reopen: Arc<AtomicBool>,
    lost: Arc<AtomicU64>,
}

/// One request as the log shows it. Field names are part of the interface (docs/REGISTRY.md).
#[derive(Debug, Serialize)]
pub(crate) struct Line<'a> {
    pub(crate) time: String,
    pub(crate) id: &'a str,
    pub(crate) remote: Option<IpAddr>,
    pub(crate) user: Option<String>,
    pub(crate) method: &'a str,
    pub(crate) path: String,
    /// 499 where the client went away before it had its answer, as other servers' logs have it.
    pub(crate) status: u16,
    pub(crate) received: u64,
    pub(crate) sent: u64,
    pub(crate) seconds: f64,
}

/// A text of the client's, without what could act on a terminal and of bounded length. JSON's own escaping keeps it on its line.
pub(crate) fn shown(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).take(PATH_SHOWN).collect()
}

impl AccessLog {
    /// Appends to the file at `path`, which is made if it is not there.
    ///
    /// # Errors
    /// [`Error::Storage`] if it cannot be opened.
    pub fn to_file(path: impl Into<PathBuf>) -> Result<Self, Error> {
        let path = path.into();
        let file = open(&path).map_err(Error::storage("open", &path))?;
        Ok(Self::start(Box::new(file), Some(path)))
    }

    /// Writes to stderr.
    pub fn to_stderr() -> Self {
        Self::start(Box::new(io::stderr()), None)
    }

    fn start(out: Box<dyn Write + Send>, path: Option<PathBuf>) -> Self {
        let (sender, lines) = sync_channel(WAITING);
        let (reopen, lost) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let writer = {
            let (reopen, lost) = (reopen.clone(), lost.clone());
            std::thread::spawn(move || write(&lines, out, path.as_deref(), &reopen, &lost))
        };
        Self(Arc::new(Inner { lines: Mutex::new(Some(sender)), writer: Mutex::new(Some(writer)), reopen, lost }))
    }

    /// Opens the file anew before the next line: it was moved away, to be kept or compressed.
    pub fn reopen(&self) {
        self.0.reopen.store(true, Relaxed);
    }

    /// Writes what still waits, and no more.
    pub fn close(&self) {
        drop(self.0.lines.lock().unwrap_or_else(PoisonError::into_inner).take());
        if let Some(writer) = self.0.writer.lock().unwrap_or_else(PoisonError::into_inner).take() {
            // It does not panic; and if it had, there would be nothing left to write.
            let _ = writer.join();
        }
    }

    pub(crate) fn lost(&self) -> u64 {
        self.0.lost.load(Relaxed)
    }

    pub(crate) fn write(&self, line: &Line<'_>) {
        let mut bytes = json::to_bytes(line);
        bytes.push(b'\n');
        let lines = self.0.lines.lock().unwrap_or_else(PoisonError::into_inner);
        if lines.as_ref().is_none_or(|lines| lines.try_send(bytes).is_err()) {
            self.0.lost.fetch_add(1, Relaxed);
        }
    }
}

fn open(path: &Path) -> io::Result<File> {
    OpenOptions::new().create(true).append(true).open(path)
}

fn write(
    lines: &Receiver<Vec<u8>>,
    mut out: Box<dyn Write + Send>,
    path: Option<&Path>,
    reopen: &AtomicBool,
    lost: &AtomicU64,
) {
    while let Ok(line) = lines.recv() {
        if let Some(path) = path
            && reopen.swap(false, Relaxed)
        {
            match open(path) {
                Ok(file) => out = Box::new(file),
                // What is open still takes lines; the next one tries again.
                Err(_) => reopen.store(true, Relaxed),
            }
        }
        // One call a line: other writers of the same file do not come in between.
        if out.write_all(&line).is_err() {
            lost.fetch_add(1, Relaxed);
        }
    }
}

/// Seconds with microseconds: what is beyond that is noise.
pub(crate) fn seconds(took: Duration) -> f64 {
    (took.as_secs_f64() * 1e6).round() / 1e6
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(path: &str) -> Line<'static> {
        Line {
            time: "1994-11-06T08:49:37Z".to_owned(),
            id: "1",
            remote: Some([127, 0, 0, 1].into()),
            user: None,
            method: "GET",
            path: shown(path),
            status: 200,
            received: 0,
            sent: 2,
            seconds: seconds(Duration::from_nanos(1_234_567)),
        }
    }

    #[test]
    fn one_line_a_request_whatever_is_in_it_and_a_new_file_when_asked() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        let log = AccessLog::to_file(&path).unwrap();
        log.write(&line("/v2/\n{\"status\":200}\u{1b}[2J\u{9b}\" x"));
        let moved = folder.path().join("log.1");
        while std::fs::metadata(&path).unwrap().len() == 0 {
            std::thread::yield_now();
        }
        std::fs::rename(&path, &moved).unwrap();
        log.reopen();
        log.write(&line("/v2/"));
        log.close();
        log.write(&line("/too late"));
        let old = std::fs::read_to_string(moved).unwrap();
        assert_eq!(
            old,
            "{\"time\":\"1994-11-06T08:49:37Z\",\"id\":\"1\",\"remote\":\"127.0.0.1\",\"user\":null,\"method\":\"GET\",\
             \"path\":\"/v2/\u{fffd}{\\\"status\\\":200}\u{fffd}[2J\u{fffd}\\\" x\",\"status\":200,\"received\":0,\"sent\":2,\
             \"seconds\":0.001235}\n"
        );
        assert_eq!(std::fs::read_to_string(path).unwrap().lines().count(), 1);
        assert_eq!((shown(&"x".repeat(10_000)).len(), log.lost()), (PATH_SHOWN, 1));
    }

    /// A pipe that nobody reads: requests go on, lines are lost and counted.
    #[test]
    fn a_log_that_stands_still_holds_up_nobody() {
        struct Stuck(Receiver<()>);
        impl Write for Stuck {
            fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
                let _ = self.0.recv();
                Ok(bytes.len())
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let (release, stuck) = sync_channel(0);
        let log = AccessLog::start(Box::new(Stuck(stuck)), None);
        for _ in 0..WAITING + 100 {
            log.write(&line("/v2/"));
        }
        assert!(log.lost() >= 99, "{}", log.lost());
        drop(release);
        log.close();
    }
}
