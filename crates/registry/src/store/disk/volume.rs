//! The file operations of the disk store, each durable when it returns.
//!
//! A file appears by: temporary file in `tmp/`, write, fsync, rename to its place, fsync of the folder. A reader therefore sees
//! the whole old file or the whole new one, and after a power cut one of the two. All paths are relative to the root.

use std::collections::HashSet;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use crate::error::Error;

const TMP: &str = "tmp";
const UPLOADS: &str = "uploads";
const LOCK: &str = "lock";

/// A folder that this process alone writes.
#[derive(Debug)]
pub(crate) struct Volume {
    root: PathBuf,
    serial: AtomicU64,
    /// Folders whose entry in their parent is known to be on the disk. That a folder can be seen does not say so: whoever made
    /// it may have been killed, or may be a thread that has not synced yet.
    durable: Mutex<HashSet<PathBuf>>,
    /// Holds the `flock` for as long as the volume lives.
    _lock: File,
}

impl Volume {
    /// Takes `root`, making it if needed, and clears what an earlier process left unfinished.
    pub(crate) fn open(root: &Path) -> Result<Self, Error> {
        fs::create_dir_all(root).map_err(Error::storage("create the folder", root))?;
        let root = root.canonicalize().map_err(Error::storage("find the folder", root))?;
        if let Some(parent) = root.parent() {
            // Best effort: the folder is the operator's, and its parent may be closed to us.
            let _ = File::open(parent).and_then(|parent| parent.sync_all());
        }
        let path = root.join(LOCK);
        let mut options = OpenOptions::new();
        let lock = options.create(true).truncate(false).write(true).open(&path);
        let lock = lock.map_err(Error::storage("open the lock file", &path))?;
        lock.try_lock().map_err(|error| match error {
            TryLockError::WouldBlock => Error::Locked { path: root.clone() },
            TryLockError::Error(source) => Error::Storage { action: "lock", path: path.clone(), source },
        })?;
        let volume = Self { root, serial: AtomicU64::new(0), durable: Mutex::default(), _lock: lock };
        for folder in [TMP, UPLOADS] {
            volume.sweep(folder)?;
        }
        Ok(volume)
    }

    fn sweep(&self, folder: &str) -> Result<(), Error> {
        let path = self.root.join(folder);
        match fs::remove_dir_all(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(Error::Storage { action: "clear", path, source: error });
            }
            _ => {}
        }
        self.ensure_folder(Path::new(folder))
    }

    /// Makes `folder` and its parents, each synced into its parent.
    pub(crate) fn ensure_folder(&self, folder: &Path) -> Result<(), Error> {
        /// The set is a cache; when it has grown beyond this it starts anew.
        const REMEMBERED: usize = 100_000;
        let mut durable = self.durable.lock().unwrap_or_else(PoisonError::into_inner);
        if durable.contains(folder) {
            return Ok(());
        }
        if durable.len() > REMEMBERED {
            durable.clear();
        }
        let mut at = PathBuf::new();
        for part in folder.components() {
            let parent = at.clone();
            at.push(part);
            if durable.contains(&at) {
                continue;
            }
            let path = self.root.join(&at);
            match fs::create_dir(&path) {
                Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
                    return Err(Error::Storage { action: "create the folder", path, source: error });
                }
                _ => self.sync_folder(&parent)?,
            }
            durable.insert(at.clone());
        }
        Ok(())
    }

    /// Makes the entries of `folder` durable. A folder that does not exist has none.
    pub(crate) fn sync_folder(&self, folder: &Path) -> Result<(), Error> {
        let path = self.root.join(folder);
        match File::open(&path).and_then(|folder| folder.sync_all()) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            other => other.map_err(Error::storage("sync the folder", &path)),
        }
    }

    /// Writes a whole file in place of what is there.
    pub(crate) fn write(self: &Arc<Self>, file: &Path, parts: &[&[u8]]) -> Result<(), Error> {
        let serial = self.serial.fetch_add(1, Ordering::Relaxed);
        let mut scratch = self.scratch(Path::new(TMP).join(serial.to_string()))?;
        for part in parts {
            scratch.append(part)?;
        }
        scratch.place(file)
    }

    /// Starts a file for the upload `id`.
    pub(crate) fn upload(self: &Arc<Self>, id: &str) -> Result<Scratch, Error> {
        self.scratch(Path::new(UPLOADS).join(id))
    }

    fn scratch(self: &Arc<Self>, path: PathBuf) -> Result<Scratch, Error> {
        let full = self.full(&path);
        let file = OpenOptions::new().read(true).append(true).create_new(true).open(&full);
        let file = file.map_err(Error::storage("create", &full))?;
        Ok(Scratch { volume: self.clone(), path, file, placed: false })
    }

    /// The file whole, at most `limit` bytes; `None` if it is not there.
    pub(crate) fn read(&self, file: &Path, limit: u64) -> Result<Option<Vec<u8>>, Error> {
        let path = self.root.join(file);
        let Some(open) = self.open_file(file)? else { return Ok(None) };
        let mut bytes = Vec::new();
        open.take(limit + 1).read_to_end(&mut bytes).map_err(Error::storage("read", &path))?;
        if bytes.len() as u64 > limit {
            return Err(Error::Damaged { path, reason: "it is larger than anything we write there" });
        }
        Ok(Some(bytes))
    }

    /// The file for reading; `None` if it is not there.
    pub(crate) fn open_file(&self, file: &Path) -> Result<Option<File>, Error> {
        let path = self.root.join(file);
        match File::open(&path) {
            Ok(file) => Ok(Some(file)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(source) => Err(Error::Storage { action: "open", path, source }),
        }
    }

    pub(crate) fn exists(&self, path: &Path) -> Result<bool, Error> {
        let path = self.root.join(path);
        path.try_exists().map_err(Error::storage("look for", &path))
    }

    /// Removes a file; whether it was there.
    pub(crate) fn remove(&self, file: &Path) -> Result<bool, Error> {
        let path = self.root.join(file);
        match fs::remove_file(&path) {
            Ok(()) => self.sync_folder(folder_of(file)).map(|()| true),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(source) => Err(Error::Storage { action: "remove", path, source }),
        }
    }

    /// Names in `folder`, in byte order; `None` if it is not there.
    pub(crate) fn names(&self, folder: &Path) -> Result<Option<Vec<String>>, Error> {
        let path = self.root.join(folder);
        let entries = match fs::read_dir(&path) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(source) => return Err(Error::Storage { action: "list", path, source }),
        };
        let mut names = Vec::new();
        for entry in entries {
            let entry = entry.map_err(Error::storage("list", &path))?;
            names.extend(entry.file_name().into_string());
        }
        names.sort_unstable();
        Ok(Some(names))
    }

    /// The full path of `path`, for messages.
    pub(crate) fn full(&self, path: &Path) -> PathBuf {
        self.root.join(path)
    }
}

/// A file that is being written: discarded when dropped, unless it was placed.
#[derive(Debug)]
pub(crate) struct Scratch {
    volume: Arc<Volume>,
    path: PathBuf,
    file: File,
    placed: bool,
}

impl Scratch {
    /// Its full path, for messages.
    pub(crate) fn full(&self) -> PathBuf {
        self.volume.full(&self.path)
    }

    pub(crate) fn append(&mut self, bytes: &[u8]) -> Result<(), Error> {
        self.file.write_all(bytes).map_err(Error::storage("write", &self.full()))
    }

    /// A second handle on it, for reading what was written so far.
    pub(crate) fn reopen(&self) -> Result<File, Error> {
        self.file.try_clone().map_err(Error::storage("open again", &self.full()))
    }

    /// Moves it to `to`, over what is there, and makes that durable.
    pub(crate) fn place(mut self, to: &Path) -> Result<(), Error> {
        let source = self.full();
        self.file.sync_all().map_err(Error::storage("sync", &source))?;
        let folder = folder_of(to);
        self.volume.ensure_folder(folder)?;
        let target = self.volume.full(to);
        fs::rename(&source, &target).map_err(Error::storage("rename to", &target))?;
        self.placed = true;
        self.volume.sync_folder(folder)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if !self.placed {
            // If this fails the next start sweeps it.
            let _ = fs::remove_file(self.full());
        }
    }
}

fn folder_of(file: &Path) -> &Path {
    file.parent().unwrap_or(Path::new(""))
}
