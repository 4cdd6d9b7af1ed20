//! Writes one layer: tar, gzip, both digests, in one pass and in constant memory.

use std::fs::File;
use std::io::{self, BufWriter, Read, Write};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use flate2::write::GzEncoder;
use flate2::{Compression, GzBuilder};
use nix::fcntl::OFlag;
use schleuse_model::digest::Algorithm;
use schleuse_model::{Digest, Hasher};
use schleuse_oci::{Descriptor, media_type};
use tar::{EntryType, Header};

use super::collect::{Entries, Entry, Kind, as_path};
use super::{BuildError, GZIP_LEVEL, NewLayer};
use crate::work::Passing;

/// "Unknown" in RFC 1952's list of operating systems: the same bytes wherever it was built.
const GZIP_OS_UNKNOWN: u8 = 255;

type Tar = tar::Builder<Hashing<GzEncoder<Hashing<BufWriter<File>>>>>;

/// Writes `entries` as a layer into `folder`.
pub(super) fn write(entries: &Entries, mtime: u64, folder: &Path) -> Result<NewLayer, BuildError> {
    let failed = |source| BuildError::Write { path: folder.to_owned(), source };
    let (passing, file) = Passing::create(folder).map_err(failed)?;
    // No name and no time in the gzip header.
    let gzip = GzBuilder::new()
        .operating_system(GZIP_OS_UNKNOWN)
        .write(Hashing::new(BufWriter::new(file)), Compression::new(GZIP_LEVEL));
    let mut tar = tar::Builder::new(Hashing::new(gzip));
    for (path, entry) in entries {
        append(&mut tar, path, entry, mtime).map_err(|error| match error {
            Append::Source(error) => BuildError::Read { path: entry.from.clone(), source: error },
            Append::Changed => BuildError::Changed { path: entry.from.clone() },
            Append::Archive(error) => failed(error),
        })?;
    }
    let (gzip, diff_id, _) = tar.into_inner().map_err(failed)?.finish();
    let (file, digest, size) = gzip.finish().map_err(failed)?.finish();
    file.into_inner().map_err(|error| failed(error.into_error()))?;
    let path = folder.join(digest.hex());
    let kept = passing.keep_as(&path);
    kept.map_err(|source| BuildError::Write { path: path.clone(), source })?;
    Ok(NewLayer { blob: Descriptor::new(media_type::LAYER_GZIP, digest, size), diff_id, path })
}

enum Append {
    Source(io::Error),
    Changed,
    Archive(io::Error),
}

fn append(tar: &mut Tar, path: &[u8], entry: &Entry, mtime: u64) -> Result<(), Append> {
    let mut header = Header::new_gnu();
    header.set_uid(entry.uid.into());
    header.set_gid(entry.gid.into());
    header.set_mtime(mtime);
    header.set_size(0);
    match &entry.kind {
        Kind::Folder => {
            header.set_entry_type(EntryType::Directory);
            header.set_mode(0o755);
            let path = as_path(&[path, b"/"].concat());
            tar.append_data(&mut header, path, io::empty()).map_err(Append::Archive)
        }
        Kind::Link { target } => {
            header.set_entry_type(EntryType::Symlink);
            header.set_mode(0o777);
            // As it stands: `tar` would drop a leading `./`.
            let appended = match header.set_link_name_literal(target.as_os_str().as_bytes()) {
                Ok(()) => tar.append_data(&mut header, as_path(path), io::empty()),
                Err(_) => tar.append_link(&mut header, as_path(path), target),
            };
            appended.map_err(Append::Archive)
        }
        Kind::File { executable } => {
            // What was a file a moment ago is opened as one: no link followed, no pipe waited for.
            let flags = OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK;
            let opened = File::options().read(true).custom_flags(flags.bits()).open(&entry.from);
            let file = opened.map_err(Append::Source)?;
            let metadata = file.metadata().map_err(Append::Source)?;
            if !metadata.is_file() {
                return Err(Append::Changed);
            }
            header.set_entry_type(EntryType::Regular);
            header.set_mode(if *executable { 0o755 } else { 0o644 });
            header.set_size(metadata.len());
            let mut content = Exactly { file, left: metadata.len(), state: State::Fine };
            let appended = tar.append_data(&mut header, as_path(path), &mut content);
            match (content.state, appended) {
                (State::Failed(error), _) => Err(Append::Source(error)),
                (State::Changed, _) => Err(Append::Changed),
                (State::Fine, appended) => appended.map_err(Append::Archive),
            }
        }
    }
}

/// A file's content, as many bytes as its header promises; remembers what went wrong on this side of the copy.
struct Exactly {
    file: File,
    left: u64,
    state: State,
}

enum State {
    Fine,
    Changed,
    Failed(io::Error),
}

impl Read for Exactly {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let read = match self.file.read(into) {
            Ok(read) => read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => return Err(error),
            Err(error) => {
                let kind = error.kind();
                self.state = State::Failed(error);
                return Err(kind.into());
            }
        };
        let promised = (read as u64) <= self.left && (read > 0 || self.left == 0 || into.is_empty());
        if !promised {
            self.state = State::Changed;
            return Err(io::ErrorKind::InvalidData.into());
        }
        self.left -= read as u64;
        Ok(read)
    }
}

/// Hashes and counts what is written through it.
struct Hashing<W> {
    inner: W,
    hasher: Hasher,
    size: u64,
}

impl<W> Hashing<W> {
    fn new(inner: W) -> Self {
        Self { inner, hasher: Hasher::new(Algorithm::Sha256), size: 0 }
    }

    fn finish(self) -> (W, Digest, u64) {
        (self.inner, self.hasher.finish(), self.size)
    }
}

impl<W: Write> Write for Hashing<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.inner.write(bytes)?;
        self.hasher.update(&bytes[..written]);
        self.size += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How a file's content is cut into writes is the standard library's affair and may change with it; digests must not.
    #[test]
    fn the_compressed_bytes_do_not_depend_on_the_size_of_writes() {
        let content: Vec<u8> = (0..200_000_u32).map(|n| (n.wrapping_mul(n) >> 7) as u8 & 31).collect();
        let compress = |pieces: usize| {
            let mut gzip = GzBuilder::new().write(Vec::new(), Compression::new(GZIP_LEVEL));
            content.chunks(pieces).for_each(|piece| gzip.write_all(piece).unwrap());
            gzip.finish().unwrap()
        };
        let whole = compress(content.len());
        for pieces in [1, 7, 512, 8192, 65_537] {
            assert!(compress(pieces) == whole, "writes of {pieces} bytes compress differently");
        }
    }

    #[test]
    fn a_file_that_grows_or_shrinks_is_noticed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("f");
        std::fs::write(&path, b"1234567").unwrap();
        for (promised, good) in [(7, true), (6, false), (8, false), (0, false)] {
            let file = File::open(&path).unwrap();
            let mut content = Exactly { file, left: promised, state: State::Fine };
            assert_eq!(io::copy(&mut content, &mut io::sink()).is_ok(), good, "{promised}");
            assert_eq!(matches!(content.state, State::Fine), good, "{promised}");
        }
    }
}
