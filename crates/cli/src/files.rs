//! Reading and writing the few files that the command line itself handles.

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use schleuse_model::{Exit, Explain};

/// A file named by the person, or by the configuration, cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FileError {
    /// It cannot be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It is larger than anything of its kind.
    #[error("{} has more than {limit} bytes", path.display())]
    TooLarge {
        /// Which.
        path: PathBuf,
        /// How many are read.
        limit: usize,
    },
    /// It cannot be written.
    #[error("cannot write {}", path.display())]
    Write {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It is there already, and what it holds may be the only copy.
    #[error("{} exists already and is not overwritten", path.display())]
    Exists {
        /// Which.
        path: PathBuf,
    },
}

impl Explain for FileError {
    fn exit(&self) -> Exit {
        match self {
            Self::Read { .. } | Self::TooLarge { .. } | Self::Exists { .. } => Exit::Usage,
            Self::Write { .. } => Exit::Error,
        }
    }

    fn hints(&self) -> Vec<String> {
        match self {
            Self::Exists { .. } => vec!["move it away first, or choose another name".to_owned()],
            _ => Vec::new(),
        }
    }
}

/// A path in an answer. JSON is text and paths are bytes: what is no UTF-8 is replaced, as on the terminal.
pub(crate) fn shown(path: &Path) -> String {
    path.display().to_string()
}

/// Reads a file of at most `limit` bytes.
///
/// # Errors
/// [`FileError`].
pub(crate) fn read(path: &Path, limit: usize) -> Result<Vec<u8>, FileError> {
    let file = File::open(path).map_err(|source| FileError::Read { path: path.to_owned(), source })?;
    bounded(file, path, limit)
}

/// Reads a file, or stdin where it is called `-`, of at most `limit` bytes.
///
/// # Errors
/// [`FileError`].
pub(crate) fn read_or_stdin(path: &Path, limit: usize) -> Result<Vec<u8>, FileError> {
    if path == Path::new("-") { bounded(io::stdin().lock(), Path::new("stdin"), limit) } else { read(path, limit) }
}

fn bounded(from: impl io::Read, path: &Path, limit: usize) -> Result<Vec<u8>, FileError> {
    let mut bytes = Vec::new();
    let most = u64::try_from(limit).unwrap_or(u64::MAX).saturating_add(1);
    from.take(most).read_to_end(&mut bytes).map_err(|source| FileError::Read { path: path.to_owned(), source })?;
    if bytes.len() > limit { Err(FileError::TooLarge { path: path.to_owned(), limit }) } else { Ok(bytes) }
}

/// Creates a file that is not there yet, and makes it durable. What was begun is removed when writing fails.
///
/// # Errors
/// [`FileError`].
pub(crate) fn create_new(path: &Path, bytes: &[u8], mode: u32) -> Result<(), FileError> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(path).map_err(|source| {
        if source.kind() == io::ErrorKind::AlreadyExists {
            FileError::Exists { path: path.to_owned() }
        } else {
            FileError::Write { path: path.to_owned(), source }
        }
    })?;
    file.write_all(bytes).and_then(|()| file.sync_all()).map_err(|source| {
        // Half a key file is worse than none; if it cannot even be removed, the error says what to look at.
        let _ = std::fs::remove_file(path);
        FileError::Write { path: path.to_owned(), source }
    })
}

/// Writes a file that may be there already: beside it first, then renamed over it.
///
/// # Errors
/// [`FileError::Write`].
pub(crate) fn replace(path: &Path, bytes: &[u8]) -> Result<(), FileError> {
    let failed = |source| FileError::Write { path: path.to_owned(), source };
    // Root could rename over `/dev/stdout`, for the whole machine. Behind a link lies what is meant.
    let meant = match std::fs::metadata(path) {
        Ok(known) if !known.is_file() && !known.is_dir() => {
            return Err(failed(io::Error::other("this is no regular file, and is not replaced by one")));
        }
        Ok(_) => std::fs::canonicalize(path).map_err(failed)?,
        Err(_) => path.to_owned(),
    };
    let path = meant.as_path();
    let mut beside = path.as_os_str().to_owned();
    beside.push(format!(".{}.tmp", std::process::id()));
    let beside = PathBuf::from(beside);
    let write = || {
        let mut file = File::create(&beside)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        std::fs::rename(&beside, path)
    };
    write().map_err(|source| {
        let _ = std::fs::remove_file(&beside);
        FileError::Write { path: path.to_owned(), source }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reading_is_bounded() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("f");
        std::fs::write(&path, b"12345").unwrap();
        assert_eq!(read(&path, 5).unwrap(), b"12345");
        assert!(matches!(read(&path, 4), Err(FileError::TooLarge { limit: 4, .. })));
        assert_eq!(read(&folder.path().join("none"), 4).unwrap_err().exit(), Exit::Usage);
    }

    #[test]
    fn a_file_that_is_there_is_not_overwritten_and_replace_leaves_nothing_behind() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("f");
        create_new(&path, b"1", 0o600).unwrap();
        assert!(matches!(create_new(&path, b"2", 0o600), Err(FileError::Exists { .. })));
        replace(&path, b"3").unwrap();
        let link = folder.path().join("link");
        std::os::unix::fs::symlink(&path, &link).unwrap();
        replace(&link, b"3").unwrap();
        assert!(std::fs::symlink_metadata(&link).unwrap().is_symlink());
        std::fs::remove_file(&link).unwrap();
        assert!(replace(Path::new("/dev/null"), b"3").is_err());
        assert_eq!(read(&path, 9).unwrap(), b"3");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}
