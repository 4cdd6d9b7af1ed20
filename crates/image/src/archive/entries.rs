//! Finds what lies where in the archive, by its headers alone.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry as Slot;
use std::fs::File;
use std::io::{self, Read, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};

use super::ArchiveError;
use crate::path::printable;
use crate::unpack::Limits;
use crate::unpack::tarball::{Item, ItemKind, Skip, Tarball};

/// The most entries: an image has some two for each layer, and `docker save` of a whole machine some thousands.
pub(super) const MAX_ENTRIES: usize = 20_000;
/// The longest name, in bytes. Real ones have 80.
pub(super) const MAX_NAME: usize = 512;
/// How deep folders lie. Real ones lie three deep.
pub(super) const MAX_DEPTH: usize = 8;
/// The most bytes of one entry's extended headers.
const EXTENSION: u64 = 64 << 10;

/// A piece of the archive.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Span {
    pub(super) offset: u64,
    pub(super) size: u64,
}

impl Span {
    /// The whole piece. The caller has looked at its size.
    pub(super) fn read(self, archive: &Path) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        self.open(archive)?.read_to_end(&mut bytes)?;
        if bytes.len() as u64 == self.size { Ok(bytes) } else { Err(io::ErrorKind::UnexpectedEof.into()) }
    }

    /// A reader of the piece.
    pub(super) fn open(self, archive: &Path) -> io::Result<io::Take<File>> {
        let mut file = File::open(archive)?;
        file.seek(SeekFrom::Start(self.offset))?;
        Ok(file.take(self.size))
    }
}

/// What an entry is.
#[derive(Debug)]
enum Entry {
    File(Span),
    Folder,
    /// To another entry's name.
    Link(String),
}

/// All entries by name.
#[derive(Debug)]
pub(super) struct Entries {
    archive: PathBuf,
    found: BTreeMap<String, Entry>,
}

impl Entries {
    /// Reads the headers of a plain tar.
    pub(super) fn find(archive: &Path) -> Result<Self, ArchiveError> {
        let file = File::open(archive).map_err(ArchiveError::io(archive))?;
        let length = file.metadata().map_err(ArchiveError::io(archive))?.len();
        let limits = Limits { extension_bytes: EXTENSION, ..Limits::default() };
        let mut tar = Tarball::new(Seeking { file, at: 0, length }, &limits);
        let mut entries = Self { archive: archive.to_owned(), found: BTreeMap::new() };
        let refused = |source| ArchiveError::Tar { path: archive.to_owned(), source };
        while let Some(item) = tar.next().map_err(refused)? {
            let span = Span { offset: tar.inner().at, size: item.size };
            entries.add(&item, span)?;
        }
        Ok(entries)
    }

    fn add(&mut self, item: &Item, span: Span) -> Result<(), ArchiveError> {
        let refused = |reason| self.refused(&item.path, reason);
        let name = name(&item.path).map_err(refused)?;
        let entry = match &item.kind {
            ItemKind::File => Entry::File(span),
            ItemKind::Folder => Entry::Folder,
            // `docker save` before Docker 25 writes a layer that two images share once, and links to it.
            ItemKind::Symlink(target) => Entry::Link(beside(&name, target).map_err(refused)?),
            ItemKind::HardLink(target) => Entry::Link(self::name(target).map_err(refused)?),
            ItemKind::Special => return Err(refused("is a device or a pipe")),
            ItemKind::Unsupported => return Err(refused("is of a kind that archives of images do not have")),
        };
        if self.found.len() == MAX_ENTRIES {
            return Err(ArchiveError::TooMuch { path: self.archive.clone(), what: "entries" });
        }
        match (self.found.entry(name), &entry) {
            (Slot::Vacant(slot), _) => drop(slot.insert(entry)),
            (Slot::Occupied(slot), Entry::Folder) if matches!(slot.get(), Entry::Folder) => {}
            // Which of the two counts differs from reader to reader: one would check this and another run that.
            (Slot::Occupied(_), _) => return Err(self.refused(&item.path, "comes twice")),
        }
        Ok(())
    }

    fn refused(&self, entry: &[u8], reason: &'static str) -> ArchiveError {
        ArchiveError::Entry { path: self.archive.clone(), entry: printable(entry), reason }
    }

    /// The file of that name, or the one that a link of that name leads to.
    pub(super) fn get(&self, name: &str) -> Result<Option<Span>, ArchiveError> {
        match self.found.get(name) {
            Some(Entry::File(span)) => Ok(Some(*span)),
            Some(Entry::Link(target)) => match self.found.get(target) {
                Some(Entry::File(span)) => Ok(Some(*span)),
                _ => Err(self.refused(name.as_bytes(), "is a link to no file of the archive")),
            },
            Some(Entry::Folder) | None => Ok(None),
        }
    }

    /// The files below a folder, by the rest of their name.
    pub(super) fn below<'a>(&'a self, folder: &'a str) -> impl Iterator<Item = (&'a str, Span)> {
        let from = self.found.range(folder.to_owned()..);
        from.map_while(move |(name, entry)| Some((name.strip_prefix(folder)?, entry))).filter_map(|(name, entry)| {
            match entry {
                Entry::File(span) => Some((name, *span)),
                _ => None,
            }
        })
    }
}

/// A name in its one form: no `./`, no slash at the end.
fn name(path: &[u8]) -> Result<String, &'static str> {
    let path = std::str::from_utf8(path).map_err(|_| "has a name that is no text")?;
    if path.len() > MAX_NAME {
        return Err("has too long a name");
    }
    if path.starts_with('/') || path.contains('\0') {
        return Err("has an absolute or impossible path");
    }
    let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty() && *part != ".").collect();
    if parts.contains(&"..") {
        return Err("has `..` in its path");
    }
    if parts.len() > MAX_DEPTH {
        return Err("lies too deep");
    }
    Ok(parts.join("/"))
}

/// The name that a symbolic link of the name `from` leads to.
fn beside(from: &str, target: &[u8]) -> Result<String, &'static str> {
    let target = std::str::from_utf8(target).map_err(|_| "leads to a name that is no text")?;
    if target.starts_with('/') || target.len() > MAX_NAME {
        return Err("leads out of the archive");
    }
    let mut parts: Vec<&str> = from.split('/').collect();
    parts.pop();
    for part in target.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop().ok_or("leads out of the archive")?),
            part => parts.push(part),
        }
    }
    name(parts.join("/").as_bytes())
}

/// A file of which content is passed over without being read.
#[derive(Debug)]
struct Seeking {
    file: File,
    at: u64,
    length: u64,
}

impl Read for Seeking {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let read = self.file.read(into)?;
        self.at += read as u64;
        Ok(read)
    }
}

impl Skip for Seeking {
    fn pass(&mut self, amount: u64) -> io::Result<u64> {
        let passed = amount.min(self.length.saturating_sub(self.at));
        self.at += passed;
        self.file.seek(SeekFrom::Start(self.at))?;
        Ok(passed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        assert_eq!(name(b"./a//b/").unwrap(), "a/b");
        for bad in [&b"/a"[..], b"a/../b", b"a\0", b"\xff", b"1/2/3/4/5/6/7/8/9", &[b'x'; 513]] {
            assert!(name(bad).is_err(), "{}", bad.escape_ascii());
        }
    }

    #[test]
    fn links() {
        assert_eq!(beside("a/layer.tar", b"../b/layer.tar").unwrap(), "b/layer.tar");
        for bad in [&b"../../etc"[..], b"/etc", b"../../../b"] {
            assert!(beside("a/layer.tar", bad).is_err());
        }
    }
}
