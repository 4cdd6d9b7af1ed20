//! The files of the service's image: the service, and the shared libraries it runs with.

use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use crate::binary;

/// Where the program lies in the image.
pub(crate) const PROGRAM: &str = "/app";

/// Puts the files into `root`.
pub(crate) fn lay_out(root: &Path) {
    for (from, to) in files() {
        let target = root.join(to.strip_prefix("/").expect("an absolute path"));
        fs::create_dir_all(target.parent().expect("a folder")).expect("a folder");
        fs::copy(from, &target).expect("a copy");
    }
}

/// Each file, and where it lies in the image.
fn files() -> &'static [(PathBuf, PathBuf)] {
    static FILES: OnceLock<Vec<(PathBuf, PathBuf)>> = OnceLock::new();
    FILES.get_or_init(|| {
        let app = binary::folder().join("app");
        fs::copy(binary::app(), &app).expect("a copy");
        // Smaller by what only a debugger needs. Without binutils the images are larger, nothing else.
        let _ = Command::new("strip").arg(&app).status();
        let mut files = vec![(app, PathBuf::from(PROGRAM))];
        // This test is linked with all that the service is linked with: the C library and the unwinder.
        let maps = fs::read_to_string("/proc/self/maps").expect("our own maps");
        let mut libraries: Vec<PathBuf> =
            maps.lines().filter_map(|line| line.split_ascii_whitespace().nth(5)).map(PathBuf::from).collect();
        libraries.retain(|path| path.is_absolute() && path.to_string_lossy().contains(".so"));
        libraries.sort();
        libraries.dedup();
        libraries.extend(loader(binary::app()));
        files.extend(libraries.into_iter().map(|path| (path.clone(), path)));
        files
    })
}

/// Where the kernel looks for the loader (PT_INTERP, in the file's first page). `None`: the program is static.
fn loader(program: &Path) -> Option<PathBuf> {
    let bytes = fs::read(program).expect("the program");
    let head = &bytes[..bytes.len().min(4096)];
    let at = head.windows(4).position(|window| window == b"/lib")?;
    let name = head[at..].split(|byte| *byte == 0).next()?;
    Some(PathBuf::from(std::ffi::OsStr::from_bytes(name))).filter(|path| path.is_file())
}
