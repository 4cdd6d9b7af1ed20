//! Files that are there whole or not at all, also after a power cut.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;

use schleuse_model::json;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::failure::Failure;

/// The most of one of our own records that is read: 1 MiB. Real ones have a few KiB.
pub(crate) const RECORD_LIMIT: usize = 1 << 20;

/// Creates a folder that only we can enter, and those above it.
pub(crate) fn create_folder(path: &Path) -> Result<(), Failure> {
    DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(Failure::io("create", path))
}

/// Replaces `path`: a new file beside it (mode 0600, since records hold the release's environment), synced, renamed, and the
/// rename synced too.
pub(crate) fn write(path: &Path, bytes: &[u8]) -> Result<(), Failure> {
    let folder = path.parent().unwrap_or(Path::new("/"));
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    // Two processes may write the same record (a tool and a supervisor): each has its own passing file.
    let passing = folder.join(format!(".{name}.{}", std::process::id()));
    let written = (|| {
        let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&passing)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&passing, path)?;
        File::open(folder)?.sync_all()
    })();
    written.map_err(Failure::io("write", path))
}

/// [`write`], as JSON.
pub(crate) fn write_json<T: Serialize>(path: &Path, value: &T) -> Result<(), Failure> {
    write(path, &json::to_bytes(value))
}

/// The file's bytes; `None`: there is none. More than `limit` is an error.
pub(crate) fn read(path: &Path, limit: usize) -> Result<Option<Vec<u8>>, Failure> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(Failure::io("read", path)(error)),
    };
    let mut bytes = Vec::new();
    file.take(limit as u64 + 1).read_to_end(&mut bytes).map_err(Failure::io("read", path))?;
    if bytes.len() > limit {
        let source = json::JsonError::TooLarge { size: bytes.len(), limit };
        return Err(Failure::Damaged { path: path.to_owned(), source });
    }
    Ok(Some(bytes))
}

/// A record of ours; `None`: there is none. A damaged one is an error, never "none".
pub(crate) fn read_json<T: DeserializeOwned>(path: &Path) -> Result<Option<T>, Failure> {
    let Some(bytes) = read(path, RECORD_LIMIT)? else { return Ok(None) };
    let value = json::from_untrusted(&bytes, RECORD_LIMIT);
    value.map(Some).map_err(|source| Failure::Damaged { path: path.to_owned(), source })
}

/// Deletes a file; one that is not there is deleted already.
pub(crate) fn remove(path: &Path) -> Result<(), Failure> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(Failure::io("delete", path)(error)),
        _ => Ok(()),
    }
}
