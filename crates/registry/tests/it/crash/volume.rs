//! A disk that remembers what it has promised. It keeps, beside what can be seen, what is durable, so that a power cut can be
//! had at each operation, with each outcome that POSIX allows (`states`); and it fails when told to.
//!
//! What it assumes is the contract of `schleuse_registry::Volume`, and no more than POSIX gives: a file's name and its bytes become
//! durable separately; changes of folders reach the disk in any order, each whole (a rename takes the old name away and gives
//! the new one in one step); a failed sync has lost what it was for, and the next one does not know.

use std::collections::BTreeMap;
use std::io;
use std::path::{Component, Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};

use schleuse_model::Timestamp;
use schleuse_registry::{Readable, Volume, Written};

pub(crate) type Id = u64;
pub(crate) type Names = BTreeMap<String, Id>;
pub(crate) const ROOT: Id = 0;

#[derive(Clone, Debug)]
pub(crate) enum Node {
    File(FileNode),
    /// What is durable, and what can be seen.
    Folder {
        durable: Names,
        seen: Names,
    },
}

#[derive(Clone, Debug, Default)]
pub(crate) struct FileNode {
    pub(crate) bytes: Arc<Vec<u8>>,
    /// So many of them are durable.
    pub(crate) durable: usize,
    /// A sync has failed: later ones do nothing.
    pub(crate) lost: bool,
    pub(crate) modified: i64,
}

/// A change of one or two folders that is not durable yet.
#[derive(Clone, Debug)]
pub(crate) struct Pending {
    pub(crate) edits: Vec<(Id, String, Option<Id>)>,
    /// A sync for it has failed: later ones do not save it.
    lost: bool,
}

/// The disk at one moment.
#[derive(Clone, Debug)]
pub(crate) struct Disk {
    pub(crate) nodes: BTreeMap<Id, Node>,
    pub(crate) pending: Vec<Pending>,
    next: Id,
}

impl Default for Disk {
    fn default() -> Self {
        let root = Node::Folder { durable: Names::new(), seen: Names::new() };
        Self { nodes: BTreeMap::from([(ROOT, root)]), pending: Vec::new(), next: 1 }
    }
}

fn not_found<T>() -> io::Result<T> {
    Err(io::ErrorKind::NotFound.into())
}

impl Disk {
    pub(crate) fn seen(&self, id: Id) -> io::Result<&Names> {
        match self.nodes.get(&id) {
            Some(Node::Folder { seen, .. }) => Ok(seen),
            Some(Node::File(_)) => Err(io::ErrorKind::NotADirectory.into()),
            None => not_found(),
        }
    }

    fn find(&self, path: &Path) -> io::Result<Id> {
        let mut at = ROOT;
        for part in path.components() {
            let Component::Normal(part) = part else { panic!("{path:?} leads out of the volume") };
            at = *self.seen(at)?.get(part.to_str().unwrap()).ok_or(io::ErrorKind::NotFound)?;
        }
        Ok(at)
    }

    fn place(&self, path: &Path) -> io::Result<(Id, String)> {
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        Ok((self.find(path.parent().unwrap())?, name))
    }

    fn file(&mut self, id: Id) -> io::Result<&mut FileNode> {
        match self.nodes.get_mut(&id) {
            Some(Node::File(file)) => Ok(file),
            _ => Err(io::ErrorKind::IsADirectory.into()),
        }
    }

    fn change(&mut self, edits: Vec<(Id, String, Option<Id>)>) {
        for (folder, name, to) in &edits {
            let Some(Node::Folder { seen, .. }) = self.nodes.get_mut(folder) else { panic!("no folder") };
            match to {
                Some(id) => seen.insert(name.clone(), *id),
                None => seen.remove(name),
            };
        }
        self.pending.push(Pending { edits, lost: false });
    }

    fn add(&mut self, path: &Path, node: Node) -> io::Result<Id> {
        let (folder, name) = self.place(path)?;
        if self.seen(folder)?.contains_key(&name) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        let id = self.next;
        self.next += 1;
        self.nodes.insert(id, node);
        self.change(vec![(folder, name, Some(id))]);
        Ok(id)
    }

    fn remove(&mut self, path: &Path, folder: bool) -> io::Result<()> {
        let id = self.find(path)?;
        match (&self.nodes[&id], folder) {
            (Node::File(_), true) => return Err(io::ErrorKind::NotADirectory.into()),
            (Node::Folder { .. }, false) => return Err(io::ErrorKind::IsADirectory.into()),
            (Node::Folder { seen, .. }, true) if !seen.is_empty() => {
                return Err(io::ErrorKind::DirectoryNotEmpty.into());
            }
            _ => {}
        }
        let (parent, name) = self.place(path)?;
        self.change(vec![(parent, name, None)]);
        Ok(())
    }

    /// Makes the pending changes of `folder` durable, with those before them of the same names.
    fn sync_folder(&mut self, folder: Id) {
        let touches =
            |a: &Pending, b: &Pending| a.edits.iter().any(|(f, n, _)| b.edits.iter().any(|(g, m, _)| (f, n) == (g, m)));
        let mut chosen: Vec<bool> =
            self.pending.iter().map(|p| !p.lost && p.edits.iter().any(|(f, ..)| *f == folder)).collect();
        for later in (0..chosen.len()).rev() {
            for earlier in 0..later {
                chosen[earlier] |= chosen[later] && touches(&self.pending[earlier], &self.pending[later]);
            }
        }
        let mut chosen = chosen.into_iter();
        let (now, later) = std::mem::take(&mut self.pending).into_iter().partition(|_| chosen.next().unwrap());
        self.pending = later;
        self.make_durable(&now);
    }

    /// Writes changes down, in order.
    pub(crate) fn make_durable(&mut self, changes: &[Pending]) {
        for (folder, name, to) in changes.iter().flat_map(|change| &change.edits) {
            let Some(Node::Folder { durable, .. }) = self.nodes.get_mut(folder) else { panic!("no folder") };
            match to {
                Some(id) => durable.insert(name.clone(), *id),
                None => durable.remove(name),
            };
        }
    }
}

/// What a volume was asked to do that changes something, or makes it durable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Operation {
    pub(crate) what: &'static str,
    pub(crate) path: PathBuf,
}

/// What goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// The operation of that number fails, with that error.
    Fail(usize, i32),
    /// The operation of that number, a sync, says it has worked and has done nothing.
    Skip(usize),
}

#[derive(Debug, Default)]
struct Inner {
    disk: Disk,
    /// Each operation, with the disk as it was before.
    log: Vec<(Operation, Disk)>,
    fault: Option<Fault>,
    /// The operation that the fault met.
    hit: Option<Operation>,
    /// Syncs of this folder wait.
    held: Option<PathBuf>,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct CrashVolume(Arc<Mutex<Inner>>);

impl CrashVolume {
    pub(crate) fn holding(disk: Disk) -> Self {
        Self(Arc::new(Mutex::new(Inner { disk, ..Inner::default() })))
    }

    pub(crate) fn with_fault(self, fault: Fault) -> Self {
        self.inner().fault = Some(fault);
        self
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap()
    }

    pub(crate) fn disk(&self) -> Disk {
        self.inner().disk.clone()
    }

    /// Lets syncs of `folder` wait, for some seconds at most; `None`: they go on.
    pub(crate) fn hold(&self, folder: Option<&Path>) {
        self.inner().held = folder.map(Path::to_owned);
    }

    /// How many operations there were.
    pub(crate) fn count(&self) -> usize {
        self.inner().log.len()
    }

    pub(crate) fn log(&self) -> Vec<(Operation, Disk)> {
        self.inner().log.clone()
    }

    pub(crate) fn hit(&self) -> Option<Operation> {
        self.inner().hit.clone()
    }

    /// Notes an operation and does it, unless it is the one that fails.
    fn operate<T>(
        &self,
        what: &'static str,
        path: &Path,
        work: impl FnOnce(&mut Disk, Met) -> io::Result<T>,
    ) -> io::Result<T> {
        let mut inner = self.inner();
        let number = inner.log.len();
        let operation = Operation { what, path: path.to_owned() };
        let before = inner.disk.clone();
        inner.log.push((operation.clone(), before));
        let met = match inner.fault {
            Some(Fault::Fail(at, error)) if at == number => Met::Failure(error),
            Some(Fault::Skip(at)) if at == number => Met::Skipped,
            _ => Met::Nothing,
        };
        if met != Met::Nothing {
            inner.hit = Some(operation);
        }
        work(&mut inner.disk, met)
    }

    fn simply<T>(
        &self,
        what: &'static str,
        path: &Path,
        work: impl FnOnce(&mut Disk) -> io::Result<T>,
    ) -> io::Result<T> {
        self.operate(what, path, |disk, met| match met {
            Met::Failure(error) => Err(io::Error::from_raw_os_error(error)),
            _ => work(disk),
        })
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Met {
    Nothing,
    Failure(i32),
    Skipped,
}

impl Volume for CrashVolume {
    fn shown(&self, path: &Path) -> PathBuf {
        Path::new("/secret/place").join(path)
    }

    fn create(&self, file: &Path) -> io::Result<Box<dyn Written>> {
        let id = self.simply("create", file, |disk| disk.add(file, Node::File(FileNode::default())))?;
        Ok(Box::new(Open { volume: self.clone(), id, path: file.to_owned() }))
    }

    fn open(&self, file: &Path) -> io::Result<Box<dyn Readable>> {
        let mut inner = self.inner();
        let id = inner.disk.find(file)?;
        inner.disk.file(id)?;
        Ok(Box::new(Open { volume: self.clone(), id, path: file.to_owned() }))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.simply("rename to", to, |disk| {
            let (id, source, target) = (disk.find(from)?, disk.place(from)?, disk.place(to)?);
            disk.change(vec![(source.0, source.1, None), (target.0, target.1, Some(id))]);
            Ok(())
        })
    }

    fn remove(&self, file: &Path) -> io::Result<()> {
        self.simply("remove", file, |disk| disk.remove(file, false))
    }

    fn create_folder(&self, folder: &Path) -> io::Result<()> {
        // Asked for what is there it changes nothing: no operation worth a crash.
        if self.inner().disk.find(folder).is_ok() {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        let empty = Node::Folder { durable: Names::new(), seen: Names::new() };
        self.simply("create folder", folder, |disk| disk.add(folder, empty)).map(drop)
    }

    fn remove_folder(&self, folder: &Path) -> io::Result<()> {
        self.simply("remove folder", folder, |disk| disk.remove(folder, true))
    }

    fn sync_folder(&self, folder: &Path) -> io::Result<()> {
        let id = self.inner().disk.find(folder)?;
        for _ in 0..5000 {
            if self.inner().held.as_deref() != Some(folder) {
                break;
            }
            std::thread::sleep(std::time::Duration::from_millis(1));
        }
        self.operate("sync folder", folder, |disk, met| match met {
            Met::Skipped => Ok(()),
            Met::Nothing => {
                disk.sync_folder(id);
                Ok(())
            }
            Met::Failure(error) => {
                for change in &mut disk.pending {
                    change.lost |= change.edits.iter().any(|(folder, ..)| *folder == id);
                }
                Err(io::Error::from_raw_os_error(error))
            }
        })
    }

    fn names(&self, folder: &Path) -> io::Result<Vec<String>> {
        let inner = self.inner();
        Ok(inner.disk.seen(inner.disk.find(folder)?)?.keys().cloned().collect())
    }

    fn modified(&self, path: &Path) -> io::Result<Timestamp> {
        let inner = self.inner();
        match &inner.disk.nodes[&inner.disk.find(path)?] {
            Node::File(file) => Ok(Timestamp::from_millis(file.modified)),
            Node::Folder { .. } => Ok(Timestamp::UNIX_EPOCH),
        }
    }

    fn set_modified(&self, file: &Path, at: Timestamp) -> io::Result<()> {
        self.simply("date", file, |disk| {
            let id = disk.find(file)?;
            disk.file(id)?.modified = at.as_millis();
            Ok(())
        })
    }
}

/// A file, open for either.
#[derive(Debug)]
struct Open {
    volume: CrashVolume,
    id: Id,
    path: PathBuf,
}

impl Readable for Open {
    fn length(&self) -> io::Result<u64> {
        Ok(self.volume.inner().disk.file(self.id)?.bytes.len() as u64)
    }

    fn read_at(&self, offset: u64, bytes: &mut [u8]) -> io::Result<()> {
        let mut inner = self.volume.inner();
        let start = usize::try_from(offset).unwrap();
        let there = inner.disk.file(self.id)?.bytes.get(start..start + bytes.len());
        bytes.copy_from_slice(there.ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }
}

impl Written for Open {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        let id = self.id;
        self.volume.operate("write", &self.path, |disk, met| {
            let all = Arc::make_mut(&mut disk.file(id)?.bytes);
            match met {
                // A disk that is full has taken a part.
                Met::Failure(error) => {
                    all.extend_from_slice(&bytes[..bytes.len() / 2]);
                    Err(io::Error::from_raw_os_error(error))
                }
                _ => {
                    all.extend_from_slice(bytes);
                    Ok(())
                }
            }
        })
    }

    fn sync(&self) -> io::Result<()> {
        let id = self.id;
        self.volume.operate("sync", &self.path, |disk, met| {
            let file = disk.file(id)?;
            match met {
                Met::Failure(error) => {
                    file.lost = true;
                    return Err(io::Error::from_raw_os_error(error));
                }
                Met::Nothing if !file.lost => file.durable = file.bytes.len(),
                _ => {}
            }
            Ok(())
        })
    }
}
