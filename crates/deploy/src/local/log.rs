//! What an instance writes: kept, but never more than a fixed amount.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// How large one log file may become: 1 MiB. There are two, so an instance that writes without end uses 2 MiB of disk, and the
/// last lines of one that has just been rotated are still there.
pub(crate) const FILE_LIMIT: u64 = 1 << 20;
/// How much is read from the end to find the last lines.
const TAIL: u64 = 64 << 10;
/// How much of one line is shown.
const LINE: usize = 400;

/// The log being written.
#[derive(Debug)]
pub(crate) struct RotatingLog {
    path: PathBuf,
    limit: u64,
    file: File,
    size: u64,
}

impl RotatingLog {
    pub(crate) fn open(path: &Path, limit: u64) -> io::Result<Self> {
        let file = append(path)?;
        let size = file.metadata()?.len();
        Ok(Self { path: path.to_owned(), limit, file, size })
    }

    /// Appends. A failure (a full disk) loses what was to be written, not the instance.
    pub(crate) fn write(&mut self, bytes: &[u8]) {
        if self.size.saturating_add(bytes.len() as u64) > self.limit
            && fs::rename(&self.path, older(&self.path)).is_ok()
            && let Ok(file) = append(&self.path)
        {
            self.file = file;
            self.size = 0;
        }
        if self.size < self.limit && self.file.write_all(bytes).is_ok() {
            self.size += bytes.len() as u64;
        }
    }
}

fn append(path: &Path) -> io::Result<File> {
    OpenOptions::new().append(true).create(true).mode(0o600).open(path)
}

fn older(path: &Path) -> PathBuf {
    path.with_extension("log.1")
}

/// The end of the log, as bytes: at most 128 KiB of both files.
pub(crate) fn tail(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    for file in [older(path), path.to_owned()] {
        match File::open(&file) {
            Ok(mut file) => {
                let size = file.metadata()?.len();
                file.seek(SeekFrom::Start(size.saturating_sub(TAIL)))?;
                file.take(TAIL).read_to_end(&mut bytes)?;
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    Ok(bytes)
}

/// The last `count` lines, each fit to be shown.
pub(crate) fn last_lines(bytes: &[u8], count: usize) -> Vec<String> {
    let text = String::from_utf8_lossy(bytes);
    let mut lines: Vec<String> = text.lines().rev().take(count).map(shown).collect();
    lines.reverse();
    lines
}

fn shown(line: &str) -> String {
    let mut shown: String =
        line.chars().take(LINE).map(|c| if c.is_control() && c != '\t' { '\u{fffd}' } else { c }).collect();
    if line.chars().nth(LINE).is_some() {
        shown.push('…');
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_is_bounded_and_its_end_is_kept() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("instance.log");
        let mut log = RotatingLog::open(&path, 4096).unwrap();
        for n in 0..10_000 {
            log.write(format!("line {n}\n").as_bytes());
        }
        let size = |path: &Path| fs::metadata(path).unwrap().len();
        assert!(size(&path) <= 4096 && size(&older(&path)) <= 4096);
        assert_eq!(last_lines(&tail(&path).unwrap(), 2), ["line 9998", "line 9999"]);
    }

    #[test]
    fn lines_cannot_drive_a_terminal() {
        assert_eq!(last_lines(b"a\n\x1b[2Jb\xff\n", 5), ["a", "\u{fffd}[2Jb\u{fffd}"]);
        assert_eq!(last_lines("x".repeat(500).as_bytes(), 1)[0].chars().count(), LINE + 1);
    }
}
