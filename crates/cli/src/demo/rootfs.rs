//! The files of the demo's image: this very program, and the shared libraries it runs with.

use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use super::error::{DemoError, file};

/// Where the program lies in the image.
pub(crate) const PROGRAM: &str = "/app";

/// The most of the program's beginning that is searched for the loader's name: ELF puts PT_INTERP into the first page.
const HEAD: usize = 4096;

/// Copies the program and what it is linked with below `root`, at the same places.
pub(crate) fn lay_out(root: &Path, program: &Path) -> Result<(), DemoError> {
    copy(program, root, Path::new(PROGRAM))?;
    let maps = fs::read_to_string("/proc/self/maps").map_err(file("/proc/self/maps"))?;
    let own = fs::canonicalize(program).map_err(file(program))?;
    for library in libraries(&maps) {
        if library != own {
            copy(&library, root, &library)?;
        }
    }
    if let Some(loader) = loader(program)? {
        copy(&fs::canonicalize(&loader).map_err(file(&loader))?, root, &loader)?;
    }
    Ok(())
}

/// The files that are mapped to be executed: the program, its libraries, the loader.
fn libraries(maps: &str) -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> = maps
        .lines()
        .filter_map(|line| {
            let fields: Vec<&str> = line.split_ascii_whitespace().collect();
            let (rights, path) = (fields.get(1)?, fields.get(5)?);
            (rights.contains('x') && path.starts_with('/')).then(|| PathBuf::from(path))
        })
        .collect();
    found.sort();
    found.dedup();
    found
}

/// The path under which the kernel looks for the loader. `None`: the program is static.
fn loader(program: &Path) -> Result<Option<PathBuf>, DemoError> {
    use std::io::Read as _;
    let mut head = Vec::new();
    let opened = fs::File::open(program).map_err(file(program))?;
    opened.take(HEAD as u64).read_to_end(&mut head).map_err(file(program))?;
    let Some(at) = head.windows(4).position(|window| window == b"/lib") else { return Ok(None) };
    let name = head.get(at..).unwrap_or_default().split(|byte| *byte == 0).next().unwrap_or_default();
    Ok(Some(PathBuf::from(std::ffi::OsStr::from_bytes(name))).filter(|path| path.is_file()))
}

fn copy(from: &Path, root: &Path, to: &Path) -> Result<(), DemoError> {
    let inside = to.strip_prefix("/").map_err(|_| DemoError::Self_("a library's path is not absolute"))?;
    let target = root.join(inside);
    if let Some(folder) = target.parent() {
        fs::create_dir_all(folder).map_err(file(folder))?;
    }
    fs::copy(from, &target).map_err(file(from))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_mapped_to_be_executed() {
        let maps = "55d0-55d1 r--p 00000000 08:01 1 /usr/bin/x\n55d1-55d2 r-xp 00001000 08:01 1 /usr/bin/x\n\
            7f00-7f01 r-xp 00000000 08:01 2 /usr/lib/libc.so.6\n7f02-7f03 r-xp 0 08:01 2 /usr/lib/libc.so.6\n\
            7ffe-7fff r-xp 00000000 00:00 0 [vdso]\n7f10-7f11 rw-p 00000000 00:00 0\n";
        assert_eq!(libraries(maps), [PathBuf::from("/usr/bin/x"), PathBuf::from("/usr/lib/libc.so.6")]);
    }

    #[test]
    fn this_program_can_be_laid_out() {
        let folder = tempfile::tempdir().unwrap();
        lay_out(folder.path(), &std::env::current_exe().unwrap()).unwrap();
        assert!(folder.path().join("app").is_file());
    }
}
