//! Files in a work folder: written under a passing name, checked, and only then given their own.

use std::fs::File;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use futures_util::StreamExt as _;
use futures_util::stream::Fuse;
use schleuse_oci::{BodyStream, Check, Error, Pieces};
use tokio::task::JoinHandle;

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

/// Opens a file to read. What is none is refused: a pipe would be waited for without end, and cannot be read twice.
pub(crate) fn open_file(path: &Path) -> io::Result<File> {
    if !std::fs::metadata(path)?.is_file() {
        return Err(io::Error::other(
            "this is no regular file: what comes out of a pipe has to be written into one first",
        ));
    }
    File::open(path)
}

/// The file that `path` means, to be replaced: behind a link, the one that it leads to. What is there and is no file stays: root
/// could rename over `/dev/stdout`, for the whole machine.
///
/// # Errors
/// It is no file.
pub(crate) fn replaceable(path: &Path) -> io::Result<PathBuf> {
    match std::fs::metadata(path) {
        Ok(known) if known.is_dir() => Err(io::ErrorKind::IsADirectory.into()),
        Ok(known) if !known.is_file() => Err(io::Error::other("this is no regular file, and is not replaced by one")),
        Ok(_) => std::fs::canonicalize(path),
        // Nothing there, or a link to nothing, which is replaced itself.
        Err(_) => Ok(path.to_owned()),
    }
}

/// Makes renames in `folder` survive a power cut.
pub(crate) fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

/// How many bytes are handed to the disk at a time: few changes of thread, little memory.
const BATCH: usize = 1 << 20;

/// Streams a blob into a file in `folder`. The file that comes back has exactly the size and digest that were promised, whoever sent
/// it. While one part is hashed and written, on a thread of its own, the next is received.
pub(crate) async fn spool(stream: BodyStream, folder: &Path) -> Result<Passing, Error> {
    let what = folder.display().to_string();
    let failed = |source| Error::Store { what: what.clone(), source };
    std::fs::create_dir_all(folder).map_err(failed)?;
    let (passing, file) = Passing::create(folder).map_err(failed)?;
    let over = || failed(io::ErrorKind::UnexpectedEof.into());
    let (pieces, check) = stream.split().ok_or_else(over)?;
    let mut pieces = pieces.fuse();
    let mut state = Some(Spool { file, check, what: what.clone() });
    let mut writing: Option<JoinHandle<Result<Spool, Error>>> = None;
    loop {
        let (batch, more) = batch(&mut pieces).await?;
        if let Some(writing) = writing.take() {
            state = Some(writing.await.map_err(|error| failed(io::Error::other(error)))??);
        }
        let spool = state.take().ok_or_else(over)?;
        if !more && batch.is_empty() {
            spool.check.finish()?;
            return Ok(passing);
        }
        writing = Some(tokio::task::spawn_blocking(move || spool.take(batch)));
    }
}

/// At least [`BATCH`] bytes, or what is left; whether there may be more.
async fn batch(pieces: &mut Fuse<Pieces>) -> Result<(Vec<Bytes>, bool), Error> {
    let (mut batch, mut bytes) = (Vec::new(), 0);
    while bytes < BATCH {
        let Some(piece) = pieces.next().await else { return Ok((batch, false)) };
        let piece = piece?;
        bytes += piece.len();
        batch.push(piece);
    }
    Ok((batch, true))
}

/// A file that is written, and checked, piece by piece.
struct Spool {
    file: File,
    check: Check,
    what: String,
}

impl Spool {
    fn take(mut self, batch: Vec<Bytes>) -> Result<Self, Error> {
        for piece in batch {
            self.check.update(&piece)?;
            self.file.write_all(&piece).map_err(|source| Error::Store { what: self.what.clone(), source })?;
        }
        Ok(self)
    }
}

/// Runs blocking work off the runtime's threads.
pub(crate) async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> io::Result<T> {
    tokio::task::spawn_blocking(work).await.map_err(|_| io::Error::other("the work was cut short"))
}
