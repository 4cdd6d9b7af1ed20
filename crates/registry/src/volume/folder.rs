//! A volume that is a folder of this machine.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use schleuse_model::Timestamp;

use super::{Readable, Volume, Written};
use crate::error::Error;

const LOCK: &str = "lock";

/// A folder, locked (`flock`) for as long as this lives. The file `lock` stays behind and means nothing by itself.
#[derive(Debug)]
pub struct FolderVolume {
    root: PathBuf,
    _lock: File,
}

impl FolderVolume {
    /// Takes the folder `path`, which is made if it is not there. One that holds something must hold a registry: a store clears
    /// folders of its own (`tmp`, `uploads`), and others call theirs the same.
    ///
    /// # Errors
    /// [`Error::Locked`] if another process has it, [`Error::NotEmpty`], [`Error::Storage`] if it cannot be used.
    pub fn create(path: impl AsRef<Path>) -> Result<Self, Error> {
        let path = path.as_ref();
        fs::create_dir_all(path).map_err(Error::storage("create the folder", path))?;
        let names = names(path).map_err(Error::storage("list", path))?;
        let has = |name| names.iter().any(|there| there == name);
        // A copy may have come without `lock`. A new file system has `lost+found`.
        let ours = has(LOCK) || (has("blobs") && has("repos"));
        if !ours && names.iter().any(|name| name != "lost+found") {
            return Err(Error::NotEmpty { path: path.to_owned() });
        }
        let volume = Self::lock(path, OpenOptions::new().create(true).truncate(false).write(true))?;
        if let Some(parent) = volume.root.parent() {
            // Best effort: the folder is the operator's, and its parent may be closed to us.
            let _ = File::open(parent).and_then(|parent| parent.sync_all());
        }
        Ok(volume)
    }

    /// Takes the folder `path`, which must be a registry's already: nothing is to be made in a folder that was meant by mistake.
    ///
    /// # Errors
    /// As [`FolderVolume::create`]; [`Error::NoRegistry`].
    pub fn open(path: impl AsRef<Path>) -> Result<Self, Error> {
        Self::lock(path.as_ref(), OpenOptions::new().write(true))
    }

    fn lock(path: &Path, options: &OpenOptions) -> Result<Self, Error> {
        let missing = |error: &io::Error| error.kind() == io::ErrorKind::NotFound;
        let no_registry = || Error::NoRegistry { path: path.to_owned() };
        let root = match path.canonicalize() {
            Err(error) if missing(&error) => return Err(no_registry()),
            other => other.map_err(Error::storage("find the folder", path))?,
        };
        let file = root.join(LOCK);
        let lock = match options.open(&file) {
            Err(error) if missing(&error) => return Err(no_registry()),
            other => other.map_err(Error::storage("open the lock file", &file))?,
        };
        lock.try_lock().map_err(|error| match error {
            TryLockError::WouldBlock => Error::Locked { path: root.clone() },
            TryLockError::Error(source) => Error::Storage { action: "lock", path: file.clone(), source },
        })?;
        Ok(Self { root, _lock: lock })
    }
}

fn names(folder: &Path) -> io::Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(folder)? {
        names.extend(entry?.file_name().into_string());
    }
    Ok(names)
}

impl Volume for FolderVolume {
    fn shown(&self, path: &Path) -> PathBuf {
        self.root.join(path)
    }

    fn create(&self, file: &Path) -> io::Result<Box<dyn Written>> {
        let file = OpenOptions::new().append(true).create_new(true).open(self.root.join(file))?;
        Ok(Box::new(file))
    }

    fn open(&self, file: &Path) -> io::Result<Box<dyn Readable>> {
        Ok(Box::new(File::open(self.root.join(file))?))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(self.root.join(from), self.root.join(to))
    }

    fn remove(&self, file: &Path) -> io::Result<()> {
        fs::remove_file(self.root.join(file))
    }

    fn create_folder(&self, folder: &Path) -> io::Result<()> {
        fs::create_dir(self.root.join(folder))
    }

    fn remove_folder(&self, folder: &Path) -> io::Result<()> {
        fs::remove_dir(self.root.join(folder))
    }

    fn sync_folder(&self, folder: &Path) -> io::Result<()> {
        File::open(self.root.join(folder))?.sync_all()
    }

    fn names(&self, folder: &Path) -> io::Result<Vec<String>> {
        names(&self.root.join(folder))
    }

    fn modified(&self, path: &Path) -> io::Result<Timestamp> {
        let modified = fs::metadata(self.root.join(path))?.modified()?;
        let millis = |duration: Duration| i64::try_from(duration.as_millis()).unwrap_or(i64::MAX);
        Ok(Timestamp::from_millis(match modified.duration_since(UNIX_EPOCH) {
            Ok(since) => millis(since),
            Err(before) => -millis(before.duration()),
        }))
    }

    fn set_modified(&self, file: &Path, at: Timestamp) -> io::Result<()> {
        let since = Duration::from_millis(u64::try_from(at.as_millis()).unwrap_or(0));
        let at: SystemTime = UNIX_EPOCH + since;
        File::open(self.root.join(file))?.set_modified(at)
    }
}

impl Readable for File {
    fn length(&self) -> io::Result<u64> {
        Ok(self.metadata()?.len())
    }

    fn read_at(&self, offset: u64, bytes: &mut [u8]) -> io::Result<()> {
        self.read_exact_at(bytes, offset)
    }
}

impl Written for File {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.write_all(bytes)
    }

    fn sync(&self) -> io::Result<()> {
        self.sync_all()
    }
}
