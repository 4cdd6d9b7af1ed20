//! Files in a work folder: written under a passing name, checked, and only then given their own.

use std::fs::File;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use futures_util::StreamExt as _;
use schleuse_oci::{BodyStream, Error};

/// A file that is deleted when it goes out of scope, unless it was kept.
#[derive(Debug)]
pub(crate) struct Passing(Option<PathBuf>);

impl Passing {
    /// A new file in `folder`. Made at once and not by a task of the runtime: one that was given up could make it after we
    /// deleted it.
    pub(crate) fn create(folder: &Path) -> io::Result<(Self, File)> {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        loop {
            let number = NEXT.fetch_add(1, Ordering::Relaxed);
            let path = folder.join(format!(".{}-{number}.tmp", std::process::id()));
            match File::options().write(true).create_new(true).open(&path) {
                Ok(file) => return Ok((Self(Some(path)), file)),
                // Left by a crashed process that had our number.
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(error),
            }
        }
    }

    pub(crate) fn path(&self) -> &Path {
        self.0.as_deref().unwrap_or(Path::new(""))
    }

    /// Moves the file to `path` and keeps it.
    pub(crate) fn keep_as(mut self, path: &Path) -> io::Result<()> {
        std::fs::rename(self.path(), path)?;
        self.0 = None;
        Ok(())
    }
}

impl Drop for Passing {
    fn drop(&mut self) {
        if let Some(path) = &self.0 {
            // There is nobody to tell.
            let _ = std::fs::remove_file(path);
        }
    }
}

/// Writes `bytes` to `path` so that a reader, or a reader after a crash, sees the old content or the new, nothing between.
pub(crate) fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let folder = path.parent().unwrap_or(Path::new("."));
    let (passing, mut file) = Passing::create(folder)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    passing.keep_as(path)?;
    sync_folder(folder)
}

/// Makes renames in `folder` survive a power cut.
pub(crate) fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

/// How many bytes are handed to the disk at a time: few changes of thread, little memory.
const BATCH: usize = 1 << 20;

/// Streams a blob into a file in `folder`. The file that comes back is what the stream has verified: exactly its blob, whoever sent
/// it. While one part is written the next is received.
pub(crate) async fn spool(mut stream: BodyStream, folder: &Path) -> Result<Passing, Error> {
    let failed = |source| Error::Store { what: folder.display().to_string(), source };
    std::fs::create_dir_all(folder).map_err(failed)?;
    let (passing, file) = Passing::create(folder).map_err(failed)?;
    let mut writer = Writer { file: Some(file), writing: None };
    let (mut batch, mut bytes) = (Vec::new(), 0);
    while let Some(piece) = stream.next().await {
        let piece = piece?;
        bytes += piece.len();
        batch.push(piece);
        if bytes >= BATCH {
            bytes = 0;
            writer.write(std::mem::take(&mut batch)).await.map_err(failed)?;
        }
    }
    writer.write(batch).await.map_err(failed)?;
    writer.done().await.map_err(failed)?;
    Ok(passing)
}

/// A file that is written on another thread, one batch at a time.
struct Writer {
    file: Option<File>,
    writing: Option<tokio::task::JoinHandle<io::Result<File>>>,
}

impl Writer {
    /// Begins to write `batch`, once the one before is written.
    async fn write(&mut self, batch: Vec<Bytes>) -> io::Result<()> {
        self.done().await?;
        let Some(mut file) = self.file.take() else { return Err(io::Error::other("the file is gone")) };
        self.writing = Some(tokio::task::spawn_blocking(move || {
            for piece in batch {
                file.write_all(&piece)?;
            }
            Ok(file)
        }));
        Ok(())
    }

    async fn done(&mut self) -> io::Result<()> {
        if let Some(writing) = self.writing.take() {
            self.file = Some(writing.await.map_err(io::Error::other)??);
        }
        Ok(())
    }
}

/// Runs blocking work off the runtime's threads.
pub(crate) async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> io::Result<T> {
    tokio::task::spawn_blocking(work).await.map_err(|_| io::Error::other("the work was cut short"))
}
