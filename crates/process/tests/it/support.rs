use std::path::Path;
use std::time::Duration;

use schleuse_process::Program;

/// A shell script; the shell is the one program every test machine has.
pub(crate) fn sh(script: &str) -> Program {
    Program::new("sh").search_path("/usr/bin:/bin").args(["-c", script])
}

/// Whether the process runs (a zombie does not).
pub(crate) fn alive(pid: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit(')').next().is_some_and(|rest| !rest.trim().is_empty() && !rest.trim_start().starts_with(['Z', 'X']))
}

/// Waits up to 5 s for `condition`.
pub(crate) async fn eventually(what: &str, mut condition: impl FnMut() -> bool) {
    for _ in 0..500 {
        if condition() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("not within 5 s: {what}");
}

/// Waits for a script to have written its pid.
pub(crate) async fn pid_in(path: &Path) -> u32 {
    let read = || std::fs::read_to_string(path).ok().and_then(|text| text.trim().parse().ok());
    eventually("a pid in the file", || read().is_some()).await;
    read().unwrap()
}
