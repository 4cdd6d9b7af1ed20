//! Whole files and folders on a volume, each durable when the call returns.
//!
//! A file appears by: temporary file in `tmp/`, write, sync, rename to its place, sync of the folder. A reader therefore sees the
//! whole old file or the whole new one, and after a power cut one of the two.

use std::collections::HashSet;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use schleuse_model::Timestamp;

use super::folders::Folders;
use crate::error::Error;
use crate::volume::{Readable, Volume, Written};

const TMP: &str = "tmp";
const UPLOADS: &str = "uploads";

/// The files of a store.
#[derive(Debug)]
pub(crate) struct Files {
    volume: Arc<dyn Volume>,
    serial: AtomicU64,
    /// Folders whose entry in their parent is known to be on the disk. That a folder can be seen does not say so: whoever made
    /// it may have been killed, or may be a thread that has not synced yet.
    made: Mutex<HashSet<PathBuf>>,
    folders: Folders,
}

/// `None` for what is not there.
fn found<T>(result: io::Result<T>) -> io::Result<Option<T>> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

impl Files {
    /// Clears what an earlier process left unfinished; also returns how many files that were.
    pub(crate) fn open(volume: Arc<dyn Volume>) -> Result<(Self, usize), Error> {
        let (made, folders) = (Mutex::default(), Folders::default());
        let files = Self { volume, serial: AtomicU64::new(0), made, folders };
        let mut swept = 0;
        for folder in [TMP, UPLOADS].map(Path::new) {
            for name in files.names(folder)?.unwrap_or_default() {
                // Nothing relies on its being gone: no sync.
                let path = folder.join(name);
                found(files.volume.remove(&path)).map_err(files.failed("remove", &path))?;
                swept += 1;
            }
        }
        files.ensure_folders(Path::new(""), &[TMP, UPLOADS, "blobs", "repos"])?;
        Ok((files, swept))
    }

    fn failed(&self, action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Error + use<> {
        Error::storage(action, &self.shown(path))
    }

    /// How `path` is called in messages.
    pub(crate) fn shown(&self, path: &Path) -> PathBuf {
        self.volume.shown(path)
    }

    /// Makes `folder` and its parents, each synced into its parent.
    fn ensure_folder(&self, folder: &Path) -> Result<(), Error> {
        let name = folder.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        self.ensure_folders(folder_of(folder), &[name])
    }

    /// Makes folders in `parent` and, before, that folder itself, with one sync for all of them.
    pub(crate) fn ensure_folders(&self, parent: &Path, names: &[&str]) -> Result<(), Error> {
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        self.make_folders(&mut made, parent, names)
    }

    fn make_folders(&self, made: &mut HashSet<PathBuf>, parent: &Path, names: &[&str]) -> Result<(), Error> {
        /// The set is a cache; when it has grown beyond this it starts anew.
        const REMEMBERED: usize = 100_000;
        let mut missing = names.iter().map(|name| parent.join(name)).collect::<Vec<_>>();
        missing.retain(|folder| !made.contains(folder));
        if missing.is_empty() {
            return Ok(());
        }
        if let Some(above) = parent.parent() {
            let name = parent.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            self.make_folders(made, above, &[name])?;
        }
        if made.len() > REMEMBERED {
            made.clear();
        }
        let mut ours = Vec::new();
        let mut create = || {
            for folder in &missing {
                match self.volume.create_folder(folder) {
                    Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                    result => {
                        result.map_err(self.failed("create the folder", folder))?;
                        ours.push(folder);
                    }
                }
            }
            self.volume.sync_folder(parent).map_err(self.failed("sync the folder", parent))
        };
        if let Err(error) = create() {
            // So that the next try makes them anew, and does not trust a sync of what this one may have lost. They are empty: who
            // wants to use them waits for the lock.
            for folder in ours {
                let _ = self.volume.remove_folder(folder);
            }
            return Err(error);
        }
        made.extend(missing);
        Ok(())
    }

    /// Makes the entries of `folder` that can be seen durable, whoever made them. A folder that does not exist has none.
    /// `false`: that can no longer be done, as a sync has failed; what one relies on has to be written again.
    pub(crate) fn settle(&self, folder: &Path) -> Result<bool, Error> {
        if self.folders.is_suspect(folder) {
            return Ok(false);
        }
        if self.folders.is_clean(folder) {
            return Ok(true);
        }
        let change = self.folders.change(folder);
        let settled = change.made(|| found(self.volume.sync_folder(folder)).map(drop));
        settled.map(|()| true).map_err(self.failed("sync the folder", folder))
    }

    /// Runs `change` on an entry of `folder`, and makes it durable.
    fn changing(
        &self,
        folder: &Path,
        action: &'static str,
        path: &Path,
        change: impl FnOnce() -> io::Result<()>,
    ) -> Result<(), Error> {
        let guard = self.folders.change(folder);
        change().map_err(self.failed(action, path))?;
        guard.made(|| self.volume.sync_folder(folder)).map_err(self.failed("sync the folder", folder))
    }

    /// Writes a whole file in place of what is there.
    pub(crate) fn write(self: &Arc<Self>, file: &Path, parts: &[&[u8]]) -> Result<(), Error> {
        self.write_temporary(parts)?.place(file)
    }

    fn write_temporary(self: &Arc<Self>, parts: &[&[u8]]) -> Result<Scratch, Error> {
        let serial = self.serial.fetch_add(1, Ordering::Relaxed);
        let mut scratch = self.scratch(Path::new(TMP).join(serial.to_string()))?;
        for part in parts {
            scratch.append(part)?;
        }
        Ok(scratch)
    }

    /// An empty file, changed at `at`, whether or not it is there already. It has no bytes to sync: its entry is all of it.
    pub(crate) fn mark(self: &Arc<Self>, file: &Path, at: Timestamp) -> Result<(), Error> {
        let folder = folder_of(file);
        self.ensure_folder(folder)?;
        if self.folders.is_suspect(folder) {
            let scratch = self.write_temporary(&[])?;
            self.volume.set_modified(&scratch.path, at).map_err(self.failed("date", file))?;
            return scratch.place(file);
        }
        let create = || match self.volume.create(file) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => self.volume.set_modified(file, at),
            result => result.and_then(|_| self.volume.set_modified(file, at)),
        };
        self.changing(folder, "create", file, create)
    }

    /// When it was last changed, or dated by [`Files::date`]; `None` if it is not there.
    pub(crate) fn modified(&self, path: &Path) -> Result<Option<Timestamp>, Error> {
        found(self.volume.modified(path)).map_err(self.failed("look for", path))
    }

    /// Sets its date.
    pub(crate) fn date(&self, file: &Path, at: Timestamp) -> Result<(), Error> {
        self.volume.set_modified(file, at).map_err(self.failed("date", file))
    }

    /// Starts a file for the upload `id`.
    pub(crate) fn upload(self: &Arc<Self>, id: &str) -> Result<Scratch, Error> {
        self.scratch(Path::new(UPLOADS).join(id))
    }

    fn scratch(self: &Arc<Self>, path: PathBuf) -> Result<Scratch, Error> {
        let file = self.volume.create(&path).map_err(self.failed("create", &path))?;
        Ok(Scratch { files: self.clone(), path, file, placed: false })
    }

    /// The file whole, at most `limit` bytes; `None` if it is not there.
    pub(crate) fn read(&self, file: &Path, limit: u64) -> Result<Option<Vec<u8>>, Error> {
        let Some(open) = self.open_file(file)? else { return Ok(None) };
        let length = open.length().map_err(self.failed("measure", file))?;
        if length > limit {
            let reason = "it is larger than anything we write there";
            return Err(Error::Damaged { path: self.shown(file), reason });
        }
        let mut bytes = vec![0; usize::try_from(length).unwrap_or(usize::MAX)];
        open.read_at(0, &mut bytes).map_err(self.failed("read", file))?;
        Ok(Some(bytes))
    }

    /// The file for reading; `None` if it is not there.
    pub(crate) fn open_file(&self, file: &Path) -> Result<Option<Box<dyn Readable>>, Error> {
        found(self.volume.open(file)).map_err(self.failed("open", file))
    }

    pub(crate) fn exists(&self, path: &Path) -> Result<bool, Error> {
        Ok(self.modified(path)?.is_some())
    }

    /// Removes a file; whether it was there.
    pub(crate) fn remove(&self, file: &Path) -> Result<bool, Error> {
        Ok(self.remove_all(folder_of(file), [file.to_owned()])? > 0)
    }

    /// Removes files of `folder` with one sync; how many were there.
    pub(crate) fn remove_all(&self, folder: &Path, files: impl IntoIterator<Item = PathBuf>) -> Result<usize, Error> {
        let guard = self.folders.change(folder);
        let mut removed = 0;
        for file in files {
            let gone = found(self.volume.remove(&file)).map_err(self.failed("remove", &file));
            match gone {
                Ok(there) => removed += usize::from(there.is_some()),
                // What went before it is gone, and has to stay so.
                Err(error) if removed > 0 => {
                    let synced = guard.made(|| self.volume.sync_folder(folder));
                    return synced.map_err(self.failed("sync the folder", folder)).and(Err(error));
                }
                Err(error) => return Err(error),
            }
        }
        if removed > 0 {
            guard.made(|| self.volume.sync_folder(folder)).map_err(self.failed("sync the folder", folder))?;
        }
        Ok(removed)
    }

    /// Removes a file that may come back after a power cut; whether it was there.
    pub(crate) fn forget(&self, file: &Path) -> Result<bool, Error> {
        Ok(found(self.volume.remove(file)).map_err(self.failed("remove", file))?.is_some())
    }

    /// Moves a file to a name that is free.
    pub(crate) fn move_aside(&self, from: &Path, to: &Path) -> Result<(), Error> {
        let folder = folder_of(to);
        self.ensure_folder(folder)?;
        self.changing(folder, "move aside", from, || self.volume.rename(from, to))?;
        self.volume.sync_folder(folder_of(from)).map_err(self.failed("sync the folder", folder_of(from)))
    }

    /// Names in `folder`, in byte order; `None` if it is not there.
    pub(crate) fn names(&self, folder: &Path) -> Result<Option<Vec<String>>, Error> {
        let Some(mut names) = found(self.volume.names(folder)).map_err(self.failed("list", folder))? else {
            return Ok(None);
        };
        names.sort_unstable();
        Ok(Some(names))
    }
}

/// A file that is being written: discarded when dropped, unless it was placed.
#[derive(Debug)]
pub(crate) struct Scratch {
    files: Arc<Files>,
    path: PathBuf,
    file: Box<dyn Written>,
    placed: bool,
}

impl Scratch {
    pub(crate) fn append(&mut self, bytes: &[u8]) -> Result<(), Error> {
        self.file.append(bytes).map_err(self.files.failed("write", &self.path))
    }

    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Moves it to `to`, over what is there, and makes that durable. If its bytes cannot be synced it is discarded: they are not
    /// synced again.
    pub(crate) fn place(mut self, to: &Path) -> Result<(), Error> {
        let files = self.files.clone();
        self.file.sync().map_err(files.failed("sync", &self.path))?;
        let folder = folder_of(to);
        files.ensure_folder(folder)?;
        files.changing(folder, "rename to", to, || {
            files.volume.rename(&self.path, to)?;
            self.placed = true;
            Ok(())
        })
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if !self.placed {
            // If this fails the next start sweeps it.
            let _ = self.files.volume.remove(&self.path);
        }
    }
}

fn folder_of(file: &Path) -> &Path {
    file.parent().unwrap_or(Path::new(""))
}
