//! Finding the file to run. Done by us rather than by `execvp`, whose fallback path and meaning of "" differ between systems,
//! and so that "not found" can say where it was looked for.

use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use crate::{ProcessError, Program};

impl Program {
    /// The absolute path of the file that will be run.
    ///
    /// # Errors
    /// [`ProcessError::NotFound`], [`ProcessError::NotExecutable`], or [`ProcessError::NoSearchPath`] when a name or a relative
    /// path came without the place to look for it.
    pub fn locate(&self) -> Result<PathBuf, ProcessError> {
        let given = Path::new(&self.program);
        if given.is_absolute() {
            return self.first_executable([given.to_path_buf()]);
        }
        let no_place = || ProcessError::NoSearchPath { program: self.name() };
        if self.program.as_bytes().contains(&b'/') {
            let base = self.current_dir.as_deref().filter(|dir| dir.is_absolute()).ok_or_else(no_place)?;
            return self.first_executable([base.join(given)]);
        }
        let path = self.search_path.as_ref().ok_or_else(no_place)?;
        let folders =
            path.as_bytes().split(|&byte| byte == b':').map(|part| Path::new(std::ffi::OsStr::from_bytes(part)));
        self.first_executable(folders.filter(|folder| folder.is_absolute()).map(|folder| folder.join(given)))
    }

    fn first_executable(&self, candidates: impl IntoIterator<Item = PathBuf>) -> Result<PathBuf, ProcessError> {
        let mut searched = Vec::new();
        let mut refused = None;
        for candidate in candidates {
            match candidate.metadata() {
                Ok(found) if found.is_file() && found.permissions().mode() & 0o111 != 0 => return Ok(candidate),
                Ok(_) => refused = refused.or(Some(candidate)),
                Err(_) => searched.push(candidate),
            }
        }
        Err(match refused {
            Some(path) => ProcessError::NotExecutable { path },
            None => ProcessError::NotFound { program: self.name(), searched },
        })
    }
}
