//! Reads a tar stream (POSIX.1-2001 pax, ustar, GNU long names) with a bound on everything that is held in memory.
//!
//! The `tar` crate reads extended headers whole, whatever their size, and settles contradictions silently. Its header type is
//! used here, its loop is not: where two readers could see two different archives, this one refuses.

use std::io::{self, Read};

use tar::Header;

use super::error::{LayerError, TarError};
use super::limits::{Limit, Limits};
use super::meter::{Exceeded, Meter};

const BLOCK: usize = 512;

/// One entry, as the archive has it: nothing is checked yet.
#[derive(Debug)]
pub(crate) struct Item {
    pub(crate) path: Vec<u8>,
    pub(crate) kind: ItemKind,
    pub(crate) mode: u32,
    pub(crate) uid: u64,
    pub(crate) gid: u64,
    /// Seconds since 1970.
    pub(crate) mtime: u64,
    pub(crate) size: u64,
}

#[derive(Debug, PartialEq, Eq)]
pub(crate) enum ItemKind {
    File,
    Folder,
    Symlink(Vec<u8>),
    HardLink(Vec<u8>),
    /// A device or a pipe.
    Special,
    Unsupported,
}

/// The archive. Reading from it reads the content of the entry that [`Tarball::next`] gave last.
#[derive(Debug)]
pub(crate) struct Tarball<R> {
    inner: R,
    /// Bytes of the current entry's content that were not read yet.
    left: u64,
    /// Bytes after it up to the next block.
    padding: u64,
    extension_bytes: u64,
}

#[derive(Default)]
struct Extensions {
    long_name: Option<Vec<u8>>,
    long_link: Option<Vec<u8>>,
    pax: Option<Pax>,
    bytes: u64,
}

#[derive(Default)]
struct Pax {
    path: Option<Vec<u8>>,
    link: Option<Vec<u8>>,
    size: Option<u64>,
    uid: Option<u64>,
    gid: Option<u64>,
    mtime: Option<u64>,
    sparse: bool,
}

/// A stream of which parts are passed over.
pub(crate) trait Skip: Read {
    /// Goes on `amount` bytes; how many there were.
    fn pass(&mut self, amount: u64) -> io::Result<u64>;
}

/// What is metered is read: it counts, and is hashed.
impl<R: Read> Skip for Meter<R> {
    fn pass(&mut self, amount: u64) -> io::Result<u64> {
        io::copy(&mut self.take(amount), &mut io::sink())
    }
}

impl<R: Skip> Tarball<R> {
    pub(crate) fn new(inner: R, limits: &Limits) -> Self {
        Self { inner, left: 0, padding: 0, extension_bytes: limits.extension_bytes }
    }

    /// The next entry; what is left of the one before is skipped.
    pub(crate) fn next(&mut self) -> Result<Option<Item>, LayerError> {
        let mut extensions = Extensions::default();
        loop {
            self.skip()?;
            let Some(header) = self.header()? else {
                let pending = extensions.long_name.is_some() || extensions.long_link.is_some();
                if pending || extensions.pax.is_some() {
                    return Err(TarError::Contradiction.into());
                }
                return Ok(None);
            };
            let size = number(&header.as_old().size).ok_or(TarError::Number("size"))?;
            match header.as_old().linkflag[0] {
                b'L' => once(&mut extensions.long_name, self.extension(size, &mut extensions.bytes)?)?,
                b'K' => once(&mut extensions.long_link, self.extension(size, &mut extensions.bytes)?)?,
                b'x' => {
                    let records = self.extension(size, &mut extensions.bytes)?;
                    once(&mut extensions.pax, pax(&records)?)?;
                }
                // Global records (a git commit, usually) are read past, as all engines do.
                b'g' => drop(self.extension(size, &mut extensions.bytes)?),
                flag => {
                    let item = item(&header, flag, size, extensions)?;
                    self.left = item.size;
                    self.padding = item.size.wrapping_neg() % BLOCK as u64;
                    return Ok(Some(item));
                }
            }
        }
    }

    /// What it is read from.
    pub(crate) const fn inner(&self) -> &R {
        &self.inner
    }

    /// Reads what follows the archive's end, so that all of it is counted and hashed.
    pub(crate) fn finish(mut self) -> Result<R, LayerError> {
        io::copy(&mut self.inner, &mut io::sink()).map_err(reading)?;
        Ok(self.inner)
    }

    fn header(&mut self) -> Result<Option<Header>, LayerError> {
        let mut block = [0; BLOCK];
        let mut filled = 0;
        while filled < BLOCK {
            match self.inner.read(&mut block[filled..]) {
                Ok(0) if filled == 0 => return Ok(None),
                Ok(0) => return Err(TarError::Short.into()),
                Ok(read) => filled += read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(reading(error)),
            }
        }
        if block.iter().all(|byte| *byte == 0) {
            return Ok(None);
        }
        let header = Header::from_byte_slice(&block);
        let stored = number(&header.as_old().cksum).ok_or(TarError::Number("checksum"))?;
        let byte = |(at, byte): (usize, &u8)| if (148..156).contains(&at) { 32 } else { u64::from(*byte) };
        if block.iter().enumerate().map(byte).sum::<u64>() != stored {
            return Err(TarError::Checksum.into());
        }
        Ok(Some(header.clone()))
    }

    /// An extended header's content.
    fn extension(&mut self, size: u64, read: &mut u64) -> Result<Vec<u8>, LayerError> {
        *read = read.saturating_add(size);
        if *read > self.extension_bytes {
            return Err(LayerError::Limit { limit: Limit::ExtensionBytes, allowed: self.extension_bytes });
        }
        self.left = size;
        self.padding = size.wrapping_neg() % BLOCK as u64;
        let mut content = Vec::new();
        self.read_to_end(&mut content).map_err(reading)?;
        Ok(content)
    }

    fn skip(&mut self) -> Result<(), LayerError> {
        let amount = self.left.saturating_add(self.padding);
        let skipped = self.inner.pass(amount).map_err(reading)?;
        (self.left, self.padding) = (0, 0);
        if skipped == amount { Ok(()) } else { Err(TarError::Short.into()) }
    }
}

impl<R: Read> Read for Tarball<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let want = into.len().min(usize::try_from(self.left).unwrap_or(usize::MAX));
        if want == 0 {
            return Ok(0);
        }
        let read = self.inner.read(&mut into[..want])?;
        if read == 0 {
            return Err(io::Error::other(TarError::Short));
        }
        self.left -= read as u64;
        Ok(read)
    }
}

/// An error that came through `io`, as what it was.
pub(crate) fn reading(error: io::Error) -> LayerError {
    let inner = error.get_ref();
    if let Some(Exceeded { limit, allowed }) = inner.and_then(|inner| inner.downcast_ref()).copied() {
        return LayerError::Limit { limit, allowed };
    }
    if let Some(error) = inner.and_then(|inner| inner.downcast_ref::<TarError>()).cloned() {
        return error.into();
    }
    LayerError::Io { what: "reading the layer".to_owned(), source: error }
}

fn once<T>(slot: &mut Option<T>, value: T) -> Result<(), TarError> {
    if slot.is_some() {
        return Err(TarError::Contradiction);
    }
    *slot = Some(value);
    Ok(())
}

fn item(header: &Header, flag: u8, size: u64, extensions: Extensions) -> Result<Item, LayerError> {
    let old = header.as_old();
    let pax = extensions.pax.unwrap_or_default();
    let path = name(extensions.long_name, pax.path)?.unwrap_or_else(|| header.path_bytes().into_owned());
    let link = name(extensions.long_link, pax.link)?
        .unwrap_or_else(|| header.link_name_bytes().map(|link| link.into_owned()).unwrap_or_default());
    let kind = match flag {
        _ if pax.sparse => ItemKind::Unsupported,
        // Before POSIX a folder was a file whose name ends with a slash.
        b'\0' if path.ends_with(b"/") => ItemKind::Folder,
        b'\0' | b'0' | b'7' => ItemKind::File,
        b'1' => ItemKind::HardLink(link),
        b'2' => ItemKind::Symlink(link),
        b'3' | b'4' | b'6' => ItemKind::Special,
        b'5' => ItemKind::Folder,
        _ => ItemKind::Unsupported,
    };
    let size = pax.size.unwrap_or(size);
    // Some readers skip such content, others take it for the next header.
    if size != 0 && !matches!(kind, ItemKind::File | ItemKind::Unsupported) {
        return Err(TarError::Contradiction.into());
    }
    let field = |bytes: &[u8], what| number(bytes).ok_or(TarError::Number(what));
    Ok(Item {
        path,
        kind,
        // Masked to permission bits later; the cast keeps those.
        mode: (field(&old.mode, "mode")? & 0o7777) as u32,
        uid: pax.uid.map_or_else(|| field(&old.uid, "owner"), Ok)?,
        gid: pax.gid.map_or_else(|| field(&old.gid, "group"), Ok)?,
        mtime: pax.mtime.map_or_else(|| field(&old.mtime, "time"), Ok)?,
        size,
    })
}

/// A name that GNU's or pax' extended header gives; not both.
fn name(gnu: Option<Vec<u8>>, pax: Option<Vec<u8>>) -> Result<Option<Vec<u8>>, TarError> {
    match (gnu, pax) {
        (Some(_), Some(_)) => Err(TarError::Contradiction),
        (Some(mut gnu), None) => {
            if gnu.last() == Some(&0) {
                gnu.pop();
            }
            Ok(Some(gnu))
        }
        (None, pax) => Ok(pax),
    }
}

/// `<length> <key>=<value>\n`, again and again.
fn pax(mut records: &[u8]) -> Result<Pax, TarError> {
    let mut pax = Pax::default();
    while !records.is_empty() {
        let space = records.iter().position(|byte| *byte == b' ').ok_or(TarError::Extension)?;
        let length = decimal(&records[..space]).and_then(|length| usize::try_from(length).ok());
        let length = length.filter(|length| *length > space + 1 && *length <= records.len());
        let (record, rest) = records.split_at(length.ok_or(TarError::Extension)?);
        records = rest;
        let record = record[space + 1..].strip_suffix(b"\n").ok_or(TarError::Extension)?;
        let equals = record.iter().position(|byte| *byte == b'=').ok_or(TarError::Extension)?;
        let (key, value) = (&record[..equals], &record[equals + 1..]);
        let number = || decimal(value).ok_or(TarError::Extension);
        match key {
            b"path" => once(&mut pax.path, value.to_vec())?,
            b"linkpath" => once(&mut pax.link, value.to_vec())?,
            b"size" => once(&mut pax.size, number()?)?,
            b"uid" => once(&mut pax.uid, number()?)?,
            b"gid" => once(&mut pax.gid, number()?)?,
            b"mtime" => once(&mut pax.mtime, seconds(value)?)?,
            key if key.starts_with(b"GNU.sparse.") => pax.sparse = true,
            _ => {}
        }
    }
    Ok(pax)
}

fn decimal(digits: &[u8]) -> Option<u64> {
    let text = std::str::from_utf8(digits).ok().filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()))?;
    text.parse().ok()
}

/// `1732392693.25`; before 1970 is 1970.
fn seconds(value: &[u8]) -> Result<u64, TarError> {
    if value.first() == Some(&b'-') {
        return Ok(0);
    }
    let whole = value.split(|byte| *byte == b'.').next().unwrap_or(value);
    decimal(whole).ok_or(TarError::Extension)
}

/// Octal text, blank being zero, or GNU's base-256. Negative is none.
fn number(field: &[u8]) -> Option<u64> {
    if field.first().is_some_and(|byte| byte & 0x80 != 0) {
        let first = u64::from(field[0] & 0x7f);
        return field[1..].iter().try_fold(first, |value, byte| {
            value.checked_mul(256).and_then(|value| value.checked_add(u64::from(*byte)))
        });
    }
    let end = field.iter().position(|byte| *byte == 0).unwrap_or(field.len());
    let digits = field[..end].trim_ascii();
    digits.iter().try_fold(0_u64, |value, byte| match byte {
        b'0'..=b'7' => value.checked_mul(8)?.checked_add(u64::from(byte - b'0')),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers() {
        assert_eq!(number(b"0000644\0"), Some(0o644));
        assert_eq!(number(b" 644 \0\0\0"), Some(0o644));
        assert_eq!(number(b"\0\0\0\0\0\0\0\0"), Some(0));
        assert_eq!(number(b"\x80\0\0\0\0\0\0\0\0\0\x01\0"), Some(256));
        assert_eq!(number(b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"), None);
        assert_eq!(number(b"0009\0"), None);
        assert_eq!(number(b"-1\0"), None);
    }

    #[test]
    fn pax_records() {
        let good = pax(b"12 path=a/b\n13 mtime=7.5\n15 comment=x=y\n").unwrap();
        assert_eq!((good.path.as_deref(), good.mtime), (Some(&b"a/b"[..]), Some(7)));
        assert_eq!(pax(b"12 path=a/b\n12 path=a/c\n").err(), Some(TarError::Contradiction));
        for bad in
            [&b"x"[..], b"11 path=a/b\n", b"13 path=a/b\n", b"99 path=a\n", b"0 path=a\n", b"2 ", b"11 size=-1\n"]
        {
            assert_eq!(pax(bad).err(), Some(TarError::Extension), "{}", bad.escape_ascii());
        }
    }
}
