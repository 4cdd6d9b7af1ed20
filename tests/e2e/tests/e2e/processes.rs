//! What runs on this machine for a project, found by the folder in its command line.

use std::fs;
use std::path::Path;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// A process and its command line.
#[derive(Clone, Debug)]
pub(crate) struct Process {
    pub(crate) pid: Pid,
    pub(crate) arguments: Vec<String>,
}

/// All processes that name a path below `folder`.
pub(crate) fn below(folder: &Path) -> Vec<Process> {
    let folder = format!("{}/", folder.display());
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc").expect("/proc").flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
        // It may be gone by now.
        let Ok(line) = fs::read(entry.path().join("cmdline")) else { continue };
        let arguments: Vec<String> = line.split(|b| *b == 0).map(|b| String::from_utf8_lossy(b).into_owned()).collect();
        if arguments.iter().any(|argument| argument.starts_with(&folder)) {
            found.push(Process { pid: Pid::from_raw(pid), arguments });
        }
    }
    found
}

/// How many instances of releases live in an environment's folder: each has one process 1.
pub(crate) fn instances(environment: &Path) -> usize {
    below(&environment.join("instances")).iter().filter(|it| it.arguments.iter().any(|arg| arg == "--inner")).count()
}

/// Kills what is left below `folder`. Answers what it was.
pub(crate) fn kill_below(folder: &Path) -> Vec<Process> {
    let left = below(folder);
    for process in &left {
        let _ = kill(process.pid, Signal::SIGKILL);
    }
    left
}
