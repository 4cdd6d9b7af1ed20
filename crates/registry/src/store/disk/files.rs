//! Whole files and folders on a volume, each durable when the call returns.
//!
//! A file appears by: temporary file in `tmp/`, write, sync, rename to its place, sync of the folder. A reader therefore sees the
//! whole old file or the whole new one, and after a power cut one of the two.

use std::cell::{Cell, RefCell};
use std::collections::HashSet;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

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
        for (folder, is_ours) in [(TMP, is_serial as fn(&str) -> bool), (UPLOADS, is_upload)] {
            let folder = Path::new(folder);
            for name in files.names(folder)?.unwrap_or_default().into_iter().filter(|name| is_ours(name)) {
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
        /// The set is a cache; when it has grown beyond this it starts anew. A few hundred are in use all the time; those of referrers
        /// come with each subject and do not matter again.
        const REMEMBERED: usize = 4096;
        let mut missing: Vec<_> = names.iter().map(|name| parent.join(name)).collect();
        missing.retain(|folder| !self.made().contains(folder));
        if missing.is_empty() {
            return Ok(());
        }
        if !parent.as_os_str().is_empty() {
            self.ensure_folder(parent)?;
        }
        let mut all_there = true;
        for folder in &missing {
            all_there = all_there && self.exists(folder)?;
        }
        if all_there {
            // Free if this process has made them, and forgotten it.
            self.settle(parent)?;
        } else {
            self.create_folders(parent, &missing)?;
        }
        for folder in &missing {
            self.still_there(folder)?;
        }
        let mut made = self.made();
        if made.len() > REMEMBERED {
            made.clear();
        }
        made.extend(missing);
        Ok(())
    }

    fn create_folders(&self, parent: &Path, folders: &[PathBuf]) -> Result<(), Error> {
        let ours = RefCell::new(Vec::new());
        let create = || {
            for folder in folders {
                match self.volume.create_folder(folder) {
                    Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                    result => {
                        result?;
                        ours.borrow_mut().push(folder);
                    }
                }
            }
            Ok(())
        };
        // So that the next try makes them anew, and does not trust a sync of what this one may have lost.
        let undo = || ours.borrow().iter().for_each(|folder| drop(self.volume.remove_folder(folder)));
        self.changing(parent, "create folders in", parent, create, undo)?;
        ours.into_inner().into_iter().for_each(|folder| self.folders.own(folder));
        Ok(())
    }

    /// After one's own sync: whoever made `path`, and on whose making one relied, may have failed and taken it back.
    fn still_there(&self, path: &Path) -> Result<(), Error> {
        if self.exists(path)? {
            return Ok(());
        }
        Err(self.failed("keep", path)(io::ErrorKind::NotFound.into()))
    }

    fn made(&self) -> MutexGuard<'_, HashSet<PathBuf>> {
        self.made.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes the entries of `folder` that can be seen durable, whoever made them. A folder that does not exist has none.
    pub(crate) fn settle(&self, folder: &Path) -> Result<(), Error> {
        if self.folders.is_clean(folder) {
            return Ok(());
        }
        let change = self.folders.change(folder);
        let settled = change.made(|| found(self.volume.sync_folder(folder)).map(drop), || {});
        settled.map_err(self.failed("sync the folder", folder))
    }

    /// Makes durable what an earlier process left visible in `folder`, before anybody is told of it: that process may have been
    /// killed before its sync. Once per folder; after that the folder holds what this process has answered for.
    pub(crate) fn adopt(&self, folder: &Path) -> Result<(), Error> {
        if self.folders.is_ours(folder) { Ok(()) } else { self.settle(folder) }
    }

    /// Runs `change` on an entry of `folder`, and makes it durable; runs `undo` if that fails (`Change::made` says when).
    fn changing(
        &self,
        folder: &Path,
        action: &'static str,
        path: &Path,
        change: impl FnOnce() -> io::Result<()>,
        undo: impl FnOnce(),
    ) -> Result<(), Error> {
        let guard = self.folders.change(folder);
        change().map_err(self.failed(action, path))?;
        guard.made(|| self.volume.sync_folder(folder), undo).map_err(self.failed("sync the folder", folder))
    }

    /// Writes a whole file in place of what is there. If that fails, what was not there is not there, as far as the disk lets us.
    pub(crate) fn write(self: &Arc<Self>, file: &Path, parts: &[&[u8]]) -> Result<(), Error> {
        self.write_temporary(parts)?.place(file)
    }

    /// Takes back a write that failed: makes the file what it was before. Not durable, as neither was the write.
    pub(crate) fn restore(self: &Arc<Self>, file: &Path, parts: &[&[u8]]) {
        // The client has been told of the failure; that this failed too changes nothing for it.
        if let Ok(mut scratch) = self.write_temporary(parts) {
            scratch.placed = self.volume.rename(&scratch.path, file).is_ok();
        }
    }

    fn write_temporary(self: &Arc<Self>, parts: &[&[u8]]) -> Result<Scratch, Error> {
        let mut scratch = self.scratch(self.temporary())?;
        for part in parts {
            scratch.append(part)?;
        }
        Ok(scratch)
    }

    /// An empty file, changed at `at`, whether or not it is there already. It has no bytes to sync: its entry is all of it.
    pub(crate) fn mark(self: &Arc<Self>, file: &Path, at: Timestamp) -> Result<(), Error> {
        let folder = folder_of(file);
        self.ensure_folder(folder)?;
        let created = Cell::new(false);
        let mut dated = Ok(());
        let create = || {
            match self.volume.create(file) {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                result => created.set(result.map(|_| true)?),
            }
            // A failure is told when the entry is durable: another may rely on it already.
            dated = self.volume.set_modified(file, at);
            Ok(())
        };
        let undo = || {
            // Who asks next must not be told that it is there.
            if created.get() {
                let _ = self.volume.remove(file);
            }
        };
        self.changing(folder, "create", file, create, undo)?;
        dated.map_err(self.failed("date", file))?;
        self.still_there(file)
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

    /// Removes files of `folder` with one sync; how many were there. If that fails they are there again, as far as the disk lets
    /// us: who asks next must not be told that they are gone.
    pub(crate) fn remove_all(&self, folder: &Path, files: impl IntoIterator<Item = PathBuf>) -> Result<usize, Error> {
        let mut there = Vec::new();
        for file in files {
            if self.exists(&file)? {
                there.push(file);
            }
        }
        if there.is_empty() {
            // They may have been there, and whoever removed them may have been killed before the sync.
            return self.settle(folder).map(|()| 0);
        }
        let mut moved = Vec::new();
        let removed = self.move_to_temporary(folder, there, &mut moved);
        let count = moved.len();
        for (file, temporary) in moved {
            // If one of these fails the next start sweeps it, or a client deletes once more.
            let _ = match removed {
                Ok(()) => self.volume.remove(&temporary),
                Err(_) => self.volume.rename(&temporary, &file),
            };
        }
        removed.map(|()| count)
    }

    fn move_to_temporary(
        &self,
        folder: &Path,
        files: Vec<PathBuf>,
        moved: &mut Vec<(PathBuf, PathBuf)>,
    ) -> Result<(), Error> {
        let guard = self.folders.change(folder);
        for file in files {
            let temporary = self.temporary();
            if found(self.volume.rename(&file, &temporary)).map_err(self.failed("remove", &file))?.is_some() {
                moved.push((file, temporary));
            }
        }
        guard.made(|| self.volume.sync_folder(folder), || {}).map_err(self.failed("sync the folder", folder))
    }

    fn temporary(&self) -> PathBuf {
        Path::new(TMP).join(self.serial.fetch_add(1, Ordering::Relaxed).to_string())
    }

    /// Removes a file that may come back after a power cut; whether it was there.
    pub(crate) fn forget(&self, file: &Path) -> Result<bool, Error> {
        Ok(found(self.volume.remove(file)).map_err(self.failed("remove", file))?.is_some())
    }

    /// Moves a file to a name that is free.
    pub(crate) fn move_aside(&self, from: &Path, to: &Path) -> Result<(), Error> {
        let folder = folder_of(to);
        self.ensure_folder(folder)?;
        self.changing(folder, "move aside", from, || self.volume.rename(from, to), || {})?;
        self.volume.sync_folder(folder_of(from)).map_err(self.failed("sync the folder", folder_of(from)))
    }

    /// Names in `folder`, in byte order; `None` if it is not there, or a file: somebody has put one where we have folders.
    pub(crate) fn names(&self, folder: &Path) -> Result<Option<Vec<String>>, Error> {
        let mut names = match self.volume.names(folder) {
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
                return Ok(None);
            }
            names => names.map_err(self.failed("list", folder))?,
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
        let existed = files.exists(to)?;
        let rename = || {
            files.volume.rename(&self.path, to)?;
            self.placed = true;
            Ok(())
        };
        let undo = || {
            // Who asks next must not be told that it is there.
            if !existed {
                let _ = files.volume.remove(to);
            }
        };
        files.changing(folder, "rename to", to, rename, undo)?;
        files.still_there(to)
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

/// What [`Files::temporary`] names files. Others are left alone: clearing what is not ours would be worse than keeping it.
fn is_serial(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|b| b.is_ascii_digit())
}

/// What uploads are named: 128 bits in hexadecimal.
fn is_upload(name: &str) -> bool {
    name.len() == 32 && name.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
}

fn folder_of(file: &Path) -> &Path {
    file.parent().unwrap_or(Path::new(""))
}
