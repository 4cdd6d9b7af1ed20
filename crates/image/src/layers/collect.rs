//! Which entries a layer has: the sources walked, checked and put in order.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs::{self, FileType, Metadata};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::os::unix::fs::{FileTypeExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use super::{BuildError, Source};
use crate::path::{NAME_BYTES, PATH_BYTES, printable};

/// The most entries of one layer: only their paths are in memory, some 200 MB then.
pub(super) const MAX_ENTRIES: usize = 1_000_000;

/// One entry; its path in the archive is the key it is kept under.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) from: PathBuf,
    pub(super) uid: u32,
    pub(super) gid: u32,
    pub(super) kind: Kind,
}

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Folder,
    File { executable: bool },
    Link { target: PathBuf },
}

/// By the bytes of the path, without leading or trailing slash. A folder's path is a prefix of what is in it, so it comes first.
pub(super) type Entries = BTreeMap<Vec<u8>, Entry>;

/// Walks `sources`. `parents`: also the folders above each target.
pub(super) fn collect(sources: &[Source], parents: bool) -> Result<Entries, BuildError> {
    let mut entries = Entries::new();
    for source in sources {
        let to = source.to.relative().as_bytes();
        let read = |error| BuildError::Read { path: source.from.clone(), source: error };
        // A link that was named is followed, here and only here.
        let from = fs::canonicalize(&source.from).map_err(read)?;
        let metadata = fs::symlink_metadata(&from).map_err(read)?;
        if to.is_empty() && !metadata.is_dir() {
            return Err(BuildError::FileAsRoot { path: source.from.clone() });
        }
        if parents {
            for (at, _) in to.iter().enumerate().filter(|(_, byte)| **byte == b'/') {
                let parent = Entry { from: source.from.clone(), uid: 0, gid: 0, kind: Kind::Folder };
                entries.entry(to[..at].to_vec()).or_insert(parent);
            }
        }
        walk(&mut entries, source, from, &metadata)?;
    }
    no_file_is_a_folder(&entries)?;
    Ok(entries)
}

/// One source's `/app` as a file and another's `/app/server.js` cannot both be.
fn no_file_is_a_folder(entries: &Entries) -> Result<(), BuildError> {
    for (path, entry) in entries {
        for (at, _) in path.iter().enumerate().filter(|(_, byte)| **byte == b'/') {
            if let Some(above) = entries.get(&path[..at]).filter(|above| above.kind != Kind::Folder) {
                let (first, second) = (above.from.clone(), entry.from.clone());
                return Err(BuildError::Collision { path: printable(&path[..at]), first, second });
            }
        }
    }
    Ok(())
}

/// Depth is bounded by the length of a path, so a stack of our own is all it takes.
fn walk(entries: &mut Entries, source: &Source, from: PathBuf, metadata: &Metadata) -> Result<(), BuildError> {
    let to = source.to.relative().as_bytes().to_vec();
    add(entries, source, &from, &to, metadata)?;
    if !metadata.is_dir() {
        return Ok(());
    }
    let mut open = vec![(from, to)];
    while let Some((folder, to)) = open.pop() {
        let read = |error| BuildError::Read { path: folder.clone(), source: error };
        for item in fs::read_dir(&folder).map_err(read)? {
            let item = item.map_err(read)?;
            let name = item.file_name();
            let from = item.path();
            check_name(&name, &from)?;
            let mut path = to.clone();
            if !path.is_empty() {
                path.push(b'/');
            }
            path.extend_from_slice(name.as_bytes());
            let metadata =
                fs::symlink_metadata(&from).map_err(|error| BuildError::Read { path: from.clone(), source: error })?;
            add(entries, source, &from, &path, &metadata)?;
            if metadata.is_dir() {
                open.push((from, path));
            }
        }
    }
    Ok(())
}

fn check_name(name: &OsStr, from: &Path) -> Result<(), BuildError> {
    if name.as_bytes().starts_with(b".wh.") {
        return Err(BuildError::Whiteout { path: from.to_owned() });
    }
    Ok(())
}

fn add(
    entries: &mut Entries,
    source: &Source,
    from: &Path,
    path: &[u8],
    metadata: &Metadata,
) -> Result<(), BuildError> {
    if path.is_empty() {
        // The root folder belongs to the engine.
        return Ok(());
    }
    if path.len() >= PATH_BYTES || path.split(|byte| *byte == b'/').any(|name| name.len() > NAME_BYTES) {
        return Err(BuildError::TooLong { path: printable(path) });
    }
    let entry = Entry { from: from.to_owned(), uid: source.uid, gid: source.gid, kind: kind(from, metadata)? };
    match entries.get(path) {
        Some(other) if other.kind == Kind::Folder && entry.kind == Kind::Folder => {
            // A folder that only stood above another target takes the owner of the source that really brings it.
        }
        Some(other) => {
            return Err(BuildError::Collision { path: printable(path), first: other.from.clone(), second: entry.from });
        }
        None if entries.len() >= MAX_ENTRIES => return Err(BuildError::TooMany { limit: MAX_ENTRIES }),
        None => {}
    }
    entries.insert(path.to_vec(), entry);
    Ok(())
}

fn kind(from: &Path, metadata: &Metadata) -> Result<Kind, BuildError> {
    let file_type = metadata.file_type();
    if metadata.is_dir() {
        Ok(Kind::Folder)
    } else if file_type.is_symlink() {
        let target = fs::read_link(from).map_err(|error| BuildError::Read { path: from.to_owned(), source: error })?;
        Ok(Kind::Link { target })
    } else if is_special(file_type) {
        Err(BuildError::Special { path: from.to_owned() })
    } else {
        // Only the owner's bit: a checkout's umask decides the others.
        Ok(Kind::File { executable: metadata.permissions().mode() & 0o100 != 0 })
    }
}

fn is_special(file_type: FileType) -> bool {
    file_type.is_socket() || file_type.is_fifo() || file_type.is_char_device() || file_type.is_block_device()
}

/// An archive path as a path.
pub(super) fn as_path(bytes: &[u8]) -> PathBuf {
    PathBuf::from(std::ffi::OsString::from_vec(bytes.to_vec()))
}
