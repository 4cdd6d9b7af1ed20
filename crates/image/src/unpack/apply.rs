//! Puts one layer onto the root: read it through, apply its whiteouts, write it.

use std::io::{self, BufReader, Read};
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::time::{Duration, SystemTime};

use flate2::bufread::MultiGzDecoder;
use nix::fcntl::AtFlags;
use nix::sys::stat::fchmod;
use nix::unistd::{Gid, Uid, fchown, fchownat};
use schleuse_model::Digest;

use super::error::{EntryError, LayerError};
use super::limits::{Limit, Limits};
use super::meter::Meter;
use super::root::{self, Root, RootError};
use super::tarball::{Item, ItemKind, Tarball, reading};
use super::{Compression, Ownership};
use crate::path::{NAME_BYTES, printable};

/// The last second of the year 9999: file systems refuse absurd times, and none is worth an error.
const LATEST: u64 = 253_402_300_799;

/// How much of a file is in memory at once.
const PIECE: usize = 128 << 10;

/// What the layers so far took.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Budget {
    pub(super) entries: u64,
    pub(super) file_bytes: u64,
    pub(super) total_bytes: u64,
    pub(super) skipped: u64,
}

/// One layer and how to take it.
#[derive(Debug)]
pub(super) struct Layer<'a> {
    /// As downloaded.
    pub(super) size: u64,
    pub(super) diff_id: &'a Digest,
    pub(super) compression: Compression,
    pub(super) limits: &'a Limits,
    pub(super) ownership: Ownership,
}

/// Where an entry goes.
#[derive(Debug, PartialEq, Eq)]
enum Place<'a> {
    Root,
    At {
        parents: Vec<&'a [u8]>,
        name: &'a [u8],
    },
    Whiteout {
        parents: Vec<&'a [u8]>,
        name: &'a [u8],
    },
    Opaque {
        folder: Vec<&'a [u8]>,
    },
    /// What the aufs storage driver kept for itself (`.wh..wh.plnk`), in some old images.
    Leftover,
}

type Content = Tarball<Meter<Box<dyn Read>>>;

impl Layer<'_> {
    /// `open` gives the layer's bytes as downloaded, from the start, each time. Nothing is written before the whole layer was
    /// read and found to be what the configuration says.
    pub(super) fn apply<R: Read + 'static>(
        &self,
        open: impl Fn() -> io::Result<R>,
        root: &Root,
        budget: &mut Budget,
    ) -> Result<(), LayerError> {
        let mut whiteouts = false;
        self.pass(&open, &mut budget.clone(), |item, place, _, _| {
            whiteouts |= matches!(place, Place::Whiteout { .. } | Place::Opaque { .. });
            self.check(item, place)
        })?;
        if whiteouts {
            // Before the layer's own entries: a whiteout is about the layers below, wherever in the archive it stands.
            self.pass(&open, &mut budget.clone(), |item, place, _, _| {
                whiteout(root, place).map_err(|error| failed(item, error))
            })?;
        }
        self.pass(&open, budget, |item, place, content, budget| self.write(root, item, place, content, budget))
    }

    /// Reads the layer through, within the limits, and checks at its end that it was the right one.
    fn pass<R: Read + 'static>(
        &self,
        open: impl Fn() -> io::Result<R>,
        budget: &mut Budget,
        mut each: impl FnMut(&Item, &Place<'_>, &mut Content, &mut Budget) -> Result<(), LayerError>,
    ) -> Result<(), LayerError> {
        let file = BufReader::with_capacity(PIECE, open().map_err(reading)?);
        let plain: Box<dyn Read> = match self.compression {
            Compression::None => Box::new(file),
            Compression::Gzip => Box::new(MultiGzDecoder::new(file)),
        };
        let meter = Meter::new(plain, self.diff_id.algorithm(), self.size, budget.total_bytes, self.limits);
        let mut content = Tarball::new(meter, self.limits);
        while let Some(item) = content.next()? {
            self.count(budget, 1)?;
            if item.size > self.limits.file_bytes {
                return Err(LayerError::Limit { limit: Limit::FileBytes, allowed: self.limits.file_bytes });
            }
            let place = self.place(&item.path)?;
            each(&item, &place, &mut content, budget)?;
        }
        let (actual, bytes) = content.finish()?.finish();
        if actual != *self.diff_id {
            return Err(LayerError::DiffId { expected: self.diff_id.clone(), actual });
        }
        budget.total_bytes = budget.total_bytes.saturating_add(bytes);
        Ok(())
    }

    fn count(&self, budget: &mut Budget, entries: u64) -> Result<(), LayerError> {
        budget.entries = budget.entries.saturating_add(entries);
        if budget.entries > self.limits.entries {
            return Err(LayerError::Limit { limit: Limit::Entries, allowed: self.limits.entries });
        }
        Ok(())
    }

    /// A path's components. `.` and empty ones mean nothing.
    fn parts<'p>(&self, path: &'p [u8]) -> Result<Vec<&'p [u8]>, LayerError> {
        let refused = |reason| Err(refuse(path, reason));
        if path.len() > self.limits.path_bytes {
            return Err(LayerError::Limit { limit: Limit::PathBytes, allowed: self.limits.path_bytes as u64 });
        }
        if path.first() == Some(&b'/') {
            return refused(EntryError::Absolute);
        }
        let parts: Vec<_> = path.split(|byte| *byte == b'/').filter(|part| !part.is_empty() && *part != b".").collect();
        if parts.iter().any(|part| *part == b"..") {
            return refused(EntryError::Parent);
        }
        if parts.iter().any(|part| part.contains(&0) || part.len() > NAME_BYTES) {
            return refused(EntryError::Impossible);
        }
        if parts.len() > self.limits.depth {
            return Err(LayerError::Limit { limit: Limit::Depth, allowed: self.limits.depth as u64 });
        }
        Ok(parts)
    }

    /// What an entry's path means (image-spec 1.1, "Whiteouts").
    fn place<'p>(&self, path: &'p [u8]) -> Result<Place<'p>, LayerError> {
        let mut parents = self.parts(path)?;
        let Some(name) = parents.pop() else { return Ok(Place::Root) };
        let leftover = |part: &[u8]| part.starts_with(b".wh..wh.");
        if parents.iter().any(|part| leftover(part)) {
            return Ok(Place::Leftover);
        }
        if parents.iter().any(|part| part.starts_with(b".wh.")) {
            return Err(refuse(path, EntryError::Whiteout));
        }
        match name.strip_prefix(b".wh.") {
            None => Ok(Place::At { parents, name }),
            Some(b".wh..opq") => Ok(Place::Opaque { folder: parents }),
            Some(_) if leftover(name) => Ok(Place::Leftover),
            // `.wh...` would delete the folder's parent.
            Some(b"" | b"." | b"..") => Err(refuse(path, EntryError::Whiteout)),
            Some(name) => Ok(Place::Whiteout { parents, name }),
        }
    }

    /// Everything that can be said of an entry without looking at the disk.
    fn check(&self, item: &Item, place: &Place<'_>) -> Result<(), LayerError> {
        let refused = |reason| Err(refuse(&item.path, reason));
        match (place, &item.kind) {
            (Place::Leftover, _) => return Ok(()),
            (_, ItemKind::Unsupported) => return refused(EntryError::Kind),
            (Place::Root, kind) if *kind != ItemKind::Folder => return refused(EntryError::Root),
            (Place::Whiteout { .. } | Place::Opaque { .. }, ItemKind::Folder) => {
                return refused(EntryError::Whiteout);
            }
            (_, ItemKind::Symlink(target)) => self.check_target(item, target)?,
            (_, ItemKind::HardLink(target)) => {
                let old = self.place(target)?;
                if !matches!(old, Place::At { .. }) || old == *place {
                    return refused(EntryError::HardLink);
                }
            }
            _ => {}
        }
        if self.ownership == Ownership::Keep {
            owner(item)?;
        }
        Ok(())
    }

    /// Where a symbolic link leads is the container's business: nothing here ever follows it.
    fn check_target(&self, item: &Item, target: &[u8]) -> Result<(), LayerError> {
        if target.is_empty() {
            return Err(refuse(&item.path, EntryError::EmptyLink));
        }
        if target.contains(&0) {
            return Err(refuse(&item.path, EntryError::Impossible));
        }
        if target.len() > self.limits.path_bytes {
            return Err(LayerError::Limit { limit: Limit::PathBytes, allowed: self.limits.path_bytes as u64 });
        }
        Ok(())
    }

    fn write(
        &self,
        root: &Root,
        item: &Item,
        place: &Place<'_>,
        content: &mut Content,
        budget: &mut Budget,
    ) -> Result<(), LayerError> {
        // The root folder's own mode and owner are the caller's.
        let Place::At { parents, name } = place else { return Ok(()) };
        if item.kind == ItemKind::Special {
            budget.skipped += 1;
            return Ok(());
        }
        let mut made = 0;
        let parent = root.make_folders(parents, &mut made).map_err(|error| failed(item, error))?;
        self.count(budget, made)?;
        match &item.kind {
            ItemKind::Folder => self.write_folder(parent.as_fd(), name, item),
            ItemKind::File => {
                budget.file_bytes = budget.file_bytes.saturating_add(item.size);
                self.write_file(parent.as_fd(), name, item, content)
            }
            ItemKind::Symlink(target) => {
                let linked = root::replace_by_symlink(parent.as_fd(), name, target);
                linked.and_then(|()| self.own_link(parent.as_fd(), name, item)).map_err(|error| failed(item, error))
            }
            ItemKind::HardLink(target) => self.write_hard_link(root, parent.as_fd(), name, item, target),
            ItemKind::Special | ItemKind::Unsupported => Err(refuse(&item.path, EntryError::Kind)),
        }
    }

    fn write_folder(&self, parent: BorrowedFd<'_>, name: &[u8], item: &Item) -> Result<(), LayerError> {
        let bits = match self.ownership {
            Ownership::Keep => item.mode & 0o1777,
            Ownership::Ours => item.mode & 0o1777 | 0o700,
        };
        let made = root::replace_by_folder(parent, name).and_then(|folder| {
            self.own(&folder, item)?;
            fchmod(&folder, root::mode(bits))
        });
        made.map_err(|error| failed(item, error))
    }

    fn write_file(
        &self,
        parent: BorrowedFd<'_>,
        name: &[u8],
        item: &Item,
        content: &mut Content,
    ) -> Result<(), LayerError> {
        let mut file = root::replace_by_file(parent, name).map_err(|error| failed(item, error))?;
        copy(content, &mut file, item)?;
        self.own(&file, item).map_err(|error| failed(item, error))?;
        // After the owner: changing it clears bits. Set-user-id and its like are not among these nine.
        fchmod(&file, root::mode(item.mode & 0o777)).map_err(|error| failed(item, error))?;
        let time = SystemTime::UNIX_EPOCH + Duration::from_secs(item.mtime.min(LATEST));
        file.set_modified(time).map_err(|source| writing(item, source))
    }

    fn write_hard_link(
        &self,
        root: &Root,
        parent: BorrowedFd<'_>,
        name: &[u8],
        item: &Item,
        target: &[u8],
    ) -> Result<(), LayerError> {
        let Place::At { parents: old_parents, name: old_name } = self.place(target)? else {
            return Err(refuse(&item.path, EntryError::HardLink));
        };
        let found: Option<OwnedFd> = root.find_folder(&old_parents).map_err(|error| failed(item, error))?;
        let old_parent = found.ok_or_else(|| refuse(&item.path, EntryError::HardLink))?;
        let linked = root::replace_by_hard_link(parent, name, old_parent.as_fd(), old_name);
        linked.map_err(|error| failed(item, error))
    }

    fn own(&self, file: impl std::os::fd::AsFd, item: &Item) -> nix::Result<()> {
        match (self.ownership, owner(item)) {
            (Ownership::Keep, Ok((uid, gid))) => fchown(file, Some(uid), Some(gid)),
            // `check` refused impossible owners.
            _ => Ok(()),
        }
    }

    fn own_link(&self, parent: BorrowedFd<'_>, name: &[u8], item: &Item) -> nix::Result<()> {
        match (self.ownership, owner(item)) {
            (Ownership::Keep, Ok((uid, gid))) => {
                fchownat(parent, name, Some(uid), Some(gid), AtFlags::AT_SYMLINK_NOFOLLOW)
            }
            _ => Ok(()),
        }
    }
}

/// Deletes what lower layers brought. What is not there is deleted already.
fn whiteout(root: &Root, place: &Place<'_>) -> Result<(), RootError> {
    match place {
        Place::Whiteout { parents, name } => match root.find_folder(parents)? {
            Some(folder) => Ok(root::remove(folder.as_fd(), name)?),
            None => Ok(()),
        },
        Place::Opaque { folder } => match root.find_folder(folder)? {
            Some(folder) => Ok(root::remove_content(folder)?),
            None => Ok(()),
        },
        Place::Root | Place::At { .. } | Place::Leftover => Ok(()),
    }
}

/// The owner, if a file system can have it. -1 means "do not change" to the kernel.
fn owner(item: &Item) -> Result<(Uid, Gid), LayerError> {
    let id = |id: u64| u32::try_from(id).ok().filter(|id| *id != u32::MAX);
    match (id(item.uid), id(item.gid)) {
        (Some(uid), Some(gid)) => Ok((Uid::from_raw(uid), Gid::from_raw(gid))),
        _ => Err(refuse(&item.path, EntryError::Owner)),
    }
}

/// Errors of the two sides are told apart: one is the layer's, the other the disk's.
fn copy(content: &mut Content, file: &mut std::fs::File, item: &Item) -> Result<(), LayerError> {
    let mut piece = vec![0; usize::try_from(item.size).unwrap_or(PIECE).clamp(1, PIECE)];
    loop {
        match content.read(&mut piece) {
            Ok(0) => return Ok(()),
            Ok(read) => io::Write::write_all(file, &piece[..read]).map_err(|source| writing(item, source))?,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(reading(error)),
        }
    }
}

fn refuse(path: &[u8], reason: EntryError) -> LayerError {
    LayerError::Entry { path: printable(path), reason }
}

fn failed(item: &Item, error: impl Into<RootError>) -> LayerError {
    match error.into() {
        RootError::Refused(reason) => refuse(&item.path, reason),
        RootError::Failed(error) => writing(item, error.into()),
    }
}

fn writing(item: &Item, source: io::Error) -> LayerError {
    LayerError::Io { what: format!("writing `{}`", printable(&item.path)), source }
}
