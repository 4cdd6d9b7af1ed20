//! The workspace's files as text.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// What is no part of the project: folders, and the file that `.git` is in a second worktree.
const SKIPPED: [&str; 3] = ["target", ".git", "node_modules"];

/// The largest file that is read, in bytes: what is larger is data, not something a person wrote.
const LARGEST: u64 = 4 << 20;

/// Every text file of the workspace, by its path from the root.
pub(crate) struct Tree {
    pub(crate) root: PathBuf,
    pub(crate) files: BTreeMap<String, String>,
}

impl Tree {
    /// Reads the workspace at `root`. Files that are no UTF-8 are left out.
    pub(crate) fn read(root: &Path) -> Result<Self, String> {
        let mut files = BTreeMap::new();
        let mut folders = vec![root.to_owned()];
        while let Some(folder) = folders.pop() {
            let entries = std::fs::read_dir(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
            for entry in entries {
                let entry = entry.map_err(|error| format!("{}: {error}", folder.display()))?;
                // Another build may be at work: what vanished in between is not part of the tree.
                let Ok(kind) = entry.metadata() else { continue };
                if SKIPPED.iter().any(|name| entry.file_name() == *name) {
                    continue;
                }
                if kind.is_dir() {
                    folders.push(entry.path());
                } else if kind.is_file() && kind.len() <= LARGEST {
                    let Ok(text) = std::fs::read_to_string(entry.path()) else { continue };
                    let path = entry.path().strip_prefix(root).map(|path| path.display().to_string());
                    files.insert(path.map_err(|error| error.to_string())?, text);
                }
            }
        }
        Ok(Self { root: root.to_owned(), files })
    }

    /// A file that must be there.
    pub(crate) fn file(&self, path: &str) -> Result<&str, String> {
        self.files.get(path).map(String::as_str).ok_or_else(|| format!("{path} is missing"))
    }

    /// Production sources: Rust files outside test, bench and example folders, with the lines that are not tests.
    pub(crate) fn sources(&self) -> impl Iterator<Item = (&str, Vec<&str>)> {
        self.files.iter().filter(|(path, _)| is_source(path)).map(|(path, text)| (path.as_str(), production(text)))
    }
}

/// The workspace's root: the nearest folder from here upwards that has its lock file. Not where this program was compiled: clones that
/// share a target folder share the program too, and each is to be checked itself.
pub(crate) fn root() -> PathBuf {
    let here = std::env::current_dir().unwrap_or_default();
    here.ancestors().find(|folder| folder.join("Cargo.lock").is_file()).unwrap_or(&here).to_owned()
}

fn is_source(path: &str) -> bool {
    let in_tests = path.split('/').any(|part| matches!(part, "tests" | "benches" | "examples" | "fuzz" | "tests.rs"));
    path.ends_with(".rs") && !in_tests
}

/// The lines before the test module. `#[cfg(test)] mod tests;`, whose text is in another file, ends nothing.
pub(crate) fn production(text: &str) -> Vec<&str> {
    let mut lines = Vec::new();
    let mut rest = text.lines().peekable();
    while let Some(line) = rest.next() {
        if line.starts_with("#[cfg(test)]") {
            match rest.peek() {
                Some(next) if next.ends_with(';') => {
                    rest.next();
                    continue;
                }
                _ => break,
            }
        }
        lines.push(line);
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tests_do_not_count_as_production() {
        let text = "//! Doc.\n#[cfg(test)]\nmod tests;\nfn a() {}\n#[cfg(test)]\nmod more {\n}\nfn after() {}\n";
        assert_eq!(production(text), ["//! Doc.", "fn a() {}"]);
        assert!(
            is_source("crates/a/src/lib.rs")
                && !is_source("crates/a/src/tests.rs")
                && !is_source("crates/a/tests/it.rs")
        );
    }
}
