//! A layout as one file.

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, BufWriter};
use std::path::{Path, PathBuf};

use tar::{Builder, EntryType, Header};

use super::ArchiveError;
use crate::layout::Layout;
use crate::work::{self, Passing};

/// Writes `layout` as an OCI archive to `path`, all or nothing; what was there is replaced. The same layout gives the same bytes:
/// names are sorted, owners are root, times are 1970.
///
/// # Errors
/// [`ArchiveError::Io`].
pub async fn write(layout: &Layout, path: &Path) -> Result<(), ArchiveError> {
    let (root, path) = (layout.root().to_owned(), path.to_owned());
    let failed = ArchiveError::io(&path);
    let written = work::blocking(move || write_all(&root, &path)).await;
    written.and_then(|written| written).map_err(failed)
}

fn write_all(root: &Path, path: &Path) -> io::Result<()> {
    let path = &work::replaceable(path)?;
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    let (passing, file) = Passing::create(folder)?;
    let mut tar = Builder::new(BufWriter::new(file));
    let mut files = Vec::new();
    let mut folders = vec!["blobs".to_owned()];
    // One for each hash that something there is named by. SHA-256's is always there.
    for algorithm in names(&root.join("blobs"))? {
        let folder = Path::new("blobs").join(&algorithm);
        files.extend(names(&root.join(&folder))?.into_iter().map(|name| folder.join(name)));
        folders.push(folder.display().to_string());
    }
    for name in folders {
        tar.append_data(&mut header(EntryType::Directory, 0o755, 0), format!("{name}/"), io::empty())?;
    }
    files.extend(["index.json", "oci-layout"].map(PathBuf::from));
    for name in files {
        let file = File::open(root.join(&name))?;
        let size = file.metadata()?.len();
        tar.append_data(&mut header(EntryType::Regular, 0o644, size), &name, file)?;
    }
    let file = tar.into_inner()?.into_inner().map_err(io::IntoInnerError::into_error)?;
    file.sync_all()?;
    passing.keep_as(path)?;
    work::sync_folder(folder)
}

/// What is in `folder`, sorted.
fn names(folder: &Path) -> io::Result<Vec<OsString>> {
    let mut names = std::fs::read_dir(folder)?.map(|entry| Ok(entry?.file_name())).collect::<io::Result<Vec<_>>>()?;
    names.sort();
    Ok(names)
}

fn header(kind: EntryType, mode: u32, size: u64) -> Header {
    let mut header = Header::new_ustar();
    header.set_entry_type(kind);
    header.set_mode(mode);
    header.set_size(size);
    header.set_mtime(0);
    header.set_uid(0);
    header.set_gid(0);
    header
}
