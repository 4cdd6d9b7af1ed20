use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use nix::sys::signal::{Signal, kill, killpg};
use nix::unistd::{Pid, getpgrp, getsid};
use schleuse_process::{ProcessError, Program};

use super::support::{alive, eventually, sh};

/// `setsid(1)` without `--fork` calls setsid and then becomes the program: what our own verbs do.
fn detaching(script: &str) -> Program {
    Program::new("setsid").search_path("/usr/bin:/bin").args(["sh", "-c", script])
}

#[tokio::test]
async fn it_leads_its_own_session_and_writes_its_log() {
    let dir = tempfile::tempdir().unwrap();
    let log = dir.path().join("log");
    std::fs::write(&log, "before\n").unwrap();
    let detached = detaching("echo out; echo err >&2; sleep 600").spawn_detached(&log).await.unwrap();
    let pid = Pid::from_raw(i32::try_from(detached.pid).unwrap());
    assert_eq!(getsid(Some(pid)), Ok(pid));
    assert_ne!(pid, getpgrp());
    eventually("the log is written", || std::fs::read_to_string(&log).unwrap() == "before\nout\nerr\n").await;
    assert!(alive(detached.pid));
    killpg(pid, Signal::SIGKILL).unwrap();
    // Collected, not left as a zombie: the pid is free again.
    eventually("its end is collected", || kill(pid, None).is_err()).await;
}

#[tokio::test]
async fn the_log_is_private() {
    let dir = tempfile::tempdir().unwrap();
    let log = dir.path().join("log");
    let detached = detaching("sleep 600").spawn_detached(&log).await.unwrap();
    assert_eq!(std::fs::metadata(&log).unwrap().permissions().mode() & 0o777, 0o600);
    killpg(Pid::from_raw(i32::try_from(detached.pid).unwrap()), Signal::SIGKILL).unwrap();
}

#[tokio::test]
async fn who_ends_at_once_is_reported() {
    let dir = tempfile::tempdir().unwrap();
    let log = dir.path().join("log");
    let error = sh("echo no port >&2; exit 4").spawn_detached(&log).await.unwrap_err();
    assert_eq!(error.to_string(), "`sh` ended at once: exit code 4");
    assert_eq!(std::fs::read_to_string(&log).unwrap(), "no port\n");
}

#[tokio::test]
async fn who_never_detaches_is_stopped() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("pid");
    let script = format!("echo $$ > {}; exec sleep 600", file.display());
    let error = sh(&script).spawn_detached(&dir.path().join("log")).await.unwrap_err();
    assert!(matches!(error, ProcessError::NotDetached { .. }));
    let pid = super::support::pid_in(&file).await;
    tokio::time::sleep(Duration::from_millis(10)).await;
    eventually("it is gone", || !alive(pid)).await;
}
