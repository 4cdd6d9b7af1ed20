//! A folder that nothing leads out of: every operation starts at its descriptor and takes one component at a time, never
//! following a symbolic link.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use nix::dir::Dir;
use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag, openat};
use nix::sys::stat::{Mode, SFlag, fchmod, fstatat, mkdirat};
use nix::unistd::{UnlinkatFlags, linkat, symlinkat, unlinkat};

use super::error::EntryError;
use crate::path::ImagePath;

/// How many names of a folder are in memory while it is emptied.
const NAMES: usize = 1024;

/// The root folder of an unpacked image.
///
/// For whoever works in it afterwards too (mount points, an environment file): a path joined by text may lead through a symbolic
/// link of the image to anywhere on this machine; [`Root::folder`] does not.
#[derive(Debug)]
pub struct Root {
    fd: OwnedFd,
}

/// Why an operation in the root was not done.
#[derive(Debug, Clone, Copy)]
pub(super) enum RootError {
    Refused(EntryError),
    Failed(Errno),
}

impl From<Errno> for RootError {
    fn from(error: Errno) -> Self {
        Self::Failed(error)
    }
}

impl From<RootError> for io::Error {
    fn from(error: RootError) -> Self {
        match error {
            RootError::Refused(reason) => Self::new(io::ErrorKind::PermissionDenied, format!("the path {reason}")),
            RootError::Failed(error) => error.into(),
        }
    }
}

impl Root {
    /// Opens the folder, making it and those above it first where they do not exist. This path is the caller's own and may lead
    /// through symbolic links.
    ///
    /// # Errors
    /// If it is no folder or cannot be made.
    pub fn create(path: &Path) -> io::Result<Self> {
        std::fs::create_dir_all(path)?;
        Self::open(path)
    }

    /// Opens a folder that is there.
    ///
    /// # Errors
    /// If it is not there, or no folder.
    pub fn open(path: &Path) -> io::Result<Self> {
        let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
        Ok(Self { fd: nix::fcntl::open(path, flags, Mode::empty())? })
    }

    /// Whether nothing is in it.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn is_empty(&self) -> io::Result<bool> {
        Ok(names(&mut self.listing()?, 1)?.is_empty())
    }

    /// Deletes everything in it.
    ///
    /// # Errors
    /// If something cannot be deleted.
    pub fn clear(&self) -> io::Result<()> {
        Ok(clear(&mut self.listing()?)?)
    }

    /// The folder at `path`, made (0755) with those above it where missing. Never through a symbolic link.
    ///
    /// # Errors
    /// If a symbolic link or a file is in the way, or it cannot be made.
    pub fn folder(&self, path: &ImagePath) -> io::Result<OwnedFd> {
        let parts: Vec<&[u8]> = path.relative().split('/').filter(|part| !part.is_empty()).map(str::as_bytes).collect();
        Ok(self.make_folders(&parts, &mut 0)?)
    }

    fn listing(&self) -> nix::Result<Dir> {
        // A descriptor of its own: reading a folder moves the descriptor's position.
        Dir::from_fd(open_folder(self.fd.as_fd(), b".")?)
    }

    /// The folder at `parts`; `None`: it is not there.
    pub(super) fn find_folder(&self, parts: &[&[u8]]) -> Result<Option<OwnedFd>, RootError> {
        let mut at = open_folder(self.fd.as_fd(), b".")?;
        for part in parts {
            match open_folder(at.as_fd(), part) {
                Ok(next) => at = next,
                Err(Errno::ENOENT) => return Ok(None),
                Err(error) => return Err(in_the_way(at.as_fd(), part, error)),
            }
        }
        Ok(Some(at))
    }

    /// The folder at `parts`, made (0755) with those above it where missing; adds how many were made to `made`.
    pub(super) fn make_folders(&self, parts: &[&[u8]], made: &mut u64) -> Result<OwnedFd, RootError> {
        let mut at = open_folder(self.fd.as_fd(), b".")?;
        for part in parts {
            let next = match open_folder(at.as_fd(), part) {
                Err(Errno::ENOENT) => {
                    mkdirat(&at, *part, Mode::S_IRWXU)?;
                    *made += 1;
                    let next = open_folder(at.as_fd(), part)?;
                    // Not by `mkdirat`: the umask would take bits away.
                    fchmod(&next, mode(0o755))?;
                    next
                }
                Ok(next) => next,
                Err(error) => return Err(in_the_way(at.as_fd(), part, error)),
            };
            at = next;
        }
        Ok(at)
    }
}

/// The folder `name` in `parent`, made if it is not there; whatever else has the name is deleted first.
pub(super) fn replace_by_folder(parent: BorrowedFd<'_>, name: &[u8]) -> nix::Result<OwnedFd> {
    match open_folder(parent, name) {
        Ok(folder) => return Ok(folder),
        Err(Errno::ENOENT) => {}
        Err(Errno::ENOTDIR | Errno::ELOOP) => remove(parent, name)?,
        Err(error) => return Err(error),
    }
    mkdirat(parent, name, Mode::S_IRWXU)?;
    open_folder(parent, name)
}

/// A new, empty file; whatever had the name is deleted first.
pub(super) fn replace_by_file(parent: BorrowedFd<'_>, name: &[u8]) -> nix::Result<File> {
    remove(parent, name)?;
    let flags = OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    Ok(File::from(openat(parent, name, flags, Mode::S_IRUSR | Mode::S_IWUSR)?))
}

/// A symbolic link; whatever had the name is deleted first.
pub(super) fn replace_by_symlink(parent: BorrowedFd<'_>, name: &[u8], target: &[u8]) -> nix::Result<()> {
    remove(parent, name)?;
    symlinkat(target, parent, name)
}

/// A further name of the file `old_name` in `old_parent`, which must be there, and a file or a symbolic link (which is linked,
/// not followed).
pub(super) fn replace_by_hard_link(
    parent: BorrowedFd<'_>,
    name: &[u8],
    old_parent: BorrowedFd<'_>,
    old_name: &[u8],
) -> Result<(), RootError> {
    let missing = RootError::Refused(EntryError::HardLink);
    let old = match fstatat(old_parent, old_name, AtFlags::AT_SYMLINK_NOFOLLOW) {
        Ok(old) => old,
        Err(Errno::ENOENT) => return Err(missing),
        Err(error) => return Err(error.into()),
    };
    if !matches!(SFlag::from_bits_truncate(old.st_mode) & SFlag::S_IFMT, SFlag::S_IFREG | SFlag::S_IFLNK) {
        return Err(missing);
    }
    remove(parent, name)?;
    match linkat(old_parent, old_name, parent, name, AtFlags::empty()) {
        // The name itself was the only one, or stood above it.
        Err(Errno::ENOENT) => Err(missing),
        linked => Ok(linked?),
    }
}

/// Deletes `name` in `parent`, a folder with everything in it. Nothing of that name is fine.
pub(super) fn remove(parent: BorrowedFd<'_>, name: &[u8]) -> nix::Result<()> {
    match unlinkat(parent, name, UnlinkatFlags::NoRemoveDir) {
        Ok(()) | Err(Errno::ENOENT) => return Ok(()),
        // Linux says EISDIR of a folder, POSIX and macOS EPERM.
        Err(Errno::EISDIR | Errno::EPERM) => {}
        Err(error) => return Err(error),
    }
    clear(&mut Dir::from_fd(open_folder(parent, name)?)?)?;
    unlinkat(parent, name, UnlinkatFlags::RemoveDir)
}

/// Deletes everything in the folder `fd`.
pub(super) fn remove_content(fd: OwnedFd) -> nix::Result<()> {
    clear(&mut Dir::from_fd(fd)?)
}

/// As deep as the tree is, which [`super::Limits::depth`] bounds.
fn clear(folder: &mut Dir) -> nix::Result<()> {
    loop {
        let some = names(folder, NAMES)?;
        if some.is_empty() {
            return Ok(());
        }
        for name in some {
            remove(folder.as_fd(), &name)?;
        }
    }
}

fn names(folder: &mut Dir, limit: usize) -> nix::Result<Vec<Vec<u8>>> {
    let mut names = Vec::new();
    for entry in folder.iter() {
        let name = entry?.file_name().to_bytes().to_vec();
        if name != b"." && name != b".." {
            names.push(name);
            if names.len() == limit {
                break;
            }
        }
    }
    Ok(names)
}

fn open_folder(parent: BorrowedFd<'_>, name: &[u8]) -> nix::Result<OwnedFd> {
    let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    openat(parent, name, flags, Mode::empty())
}

/// Says what is in the way where a folder was expected. Only the wording depends on it; nothing was followed either way.
fn in_the_way(parent: BorrowedFd<'_>, name: &[u8], error: Errno) -> RootError {
    if !matches!(error, Errno::ENOTDIR | Errno::ELOOP) {
        return RootError::Failed(error);
    }
    let link = fstatat(parent, name, AtFlags::AT_SYMLINK_NOFOLLOW)
        .is_ok_and(|found| SFlag::from_bits_truncate(found.st_mode) & SFlag::S_IFMT == SFlag::S_IFLNK);
    RootError::Refused(if link { EntryError::ThroughSymlink } else { EntryError::BelowFile })
}

/// Permission bits as `nix` wants them.
pub(super) fn mode(bits: u32) -> Mode {
    Mode::from_bits_truncate(bits as nix::sys::stat::mode_t)
}
