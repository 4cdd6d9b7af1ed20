use std::time::Duration;

use schleuse_model::{Exit, Explain};
use schleuse_process::{Ended, ProcessError, Program};
use tokio::time::Instant;

use super::support::{alive, eventually, pid_in, sh};

#[tokio::test]
async fn codes_and_signals_are_told_apart() {
    assert!(sh("exit 0").run().await.unwrap().success());
    assert_eq!(sh("exit 3").run().await.unwrap().ended, Ended::Code(3));
    let killed = sh("kill -9 $$").run().await.unwrap();
    assert_eq!((killed.ended, killed.ended.to_string().as_str()), (Ended::Signal(9), "killed by SIGKILL"));
    let error = sh("echo one; echo broken >&2; exit 7").run().await.unwrap().require_success().unwrap_err();
    assert_eq!(error.to_string(), "`sh` failed: exit code 7: broken");
}

#[tokio::test]
async fn at_the_deadline_the_whole_group_ends() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("pid");
    let script = format!("sleep 600 & echo $! > {}; echo working; wait", file.display());
    let started = Instant::now();
    let error = sh(&script).deadline(Duration::from_millis(300)).run().await.unwrap_err();
    assert!(started.elapsed() < Duration::from_secs(2), "SIGTERM was enough");
    assert_eq!(error.to_string(), "`sh` was stopped: not done after 0.3s");
    assert_eq!(error.hints(), ["its last line was: working"]);
    let grandchild = pid_in(&file).await;
    eventually("the grandchild is gone", || !alive(grandchild)).await;
}

#[tokio::test]
async fn who_ignores_sigterm_is_killed() {
    let started = Instant::now();
    let error =
        sh("trap '' TERM; while :; do sleep 0.1; done").deadline(Duration::from_millis(200)).run().await.unwrap_err();
    assert!(matches!(error, ProcessError::Deadline { .. }));
    let took = started.elapsed();
    assert!(took > Duration::from_secs(2) && took < Duration::from_secs(4), "{took:?}");
}

#[tokio::test]
async fn an_endless_writer_does_not_starve_the_deadline() {
    let started = Instant::now();
    let error = sh("while :; do echo yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy; done")
        .deadline(Duration::from_millis(300))
        .output_limit(1000)
        .run()
        .await
        .unwrap_err();
    assert!(matches!(error, ProcessError::Deadline { .. }));
    assert!(started.elapsed() < Duration::from_secs(4));
}

#[tokio::test]
async fn a_dropped_future_kills_the_group() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("pid");
    let script = format!("(trap '' TERM; sleep 600) & echo $! > {}; wait", file.display());
    let running = tokio::spawn(sh(&script).run());
    let grandchild = pid_in(&file).await;
    assert!(alive(grandchild));
    running.abort();
    eventually("the grandchild is gone", || !alive(grandchild)).await;
}

#[tokio::test]
async fn a_grandchild_that_keeps_the_pipe_does_not_hold_us() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("pid");
    let started = Instant::now();
    let finished = sh(&format!("sleep 600 & echo $! > {}; echo done", file.display())).run().await.unwrap();
    assert!(started.elapsed() < Duration::from_secs(3));
    assert!(finished.success());
    assert_eq!(finished.stdout.text(), "done\n");
    assert_eq!(finished.stdout.whole(), None, "its end was not seen");
    let grandchild = pid_in(&file).await;
    eventually("nothing of the group is left", || !alive(grandchild)).await;
}

#[tokio::test]
async fn what_cannot_be_found_says_where_it_was_looked_for() {
    let error = Program::new("no-such-program").search_path("/usr/bin::bin:/bin").run().await.unwrap_err();
    assert_eq!((error.to_string().as_str(), error.exit()), ("`no-such-program` was not found", Exit::Usage));
    assert_eq!(error.hints(), ["install `no-such-program`, or put its folder on PATH; looked in /usr/bin, /bin"]);
    let error = Program::new("/etc/passwd").run().await.unwrap_err();
    assert!(matches!(error, ProcessError::NotExecutable { .. }));
    for program in [Program::new("sh"), Program::new("bin/sh")] {
        assert!(matches!(program.run().await.unwrap_err(), ProcessError::NoSearchPath { .. }));
    }
    assert!(Program::new("./sh").current_dir("/bin").args(["-c", ":"]).run().await.unwrap().success());
}

#[tokio::test]
async fn a_checkout_cannot_bring_its_own_program() {
    use std::os::unix::fs::PermissionsExt;
    let dir = tempfile::tempdir().unwrap();
    let planted = dir.path().join("git");
    std::fs::write(&planted, "#!/bin/sh\necho planted\n").unwrap();
    std::fs::set_permissions(&planted, std::fs::Permissions::from_mode(0o755)).unwrap();
    for path in ["", ".", ":", ".:"] {
        let error = Program::new("git").search_path(path).current_dir(dir.path()).run().await.unwrap_err();
        assert!(matches!(error, ProcessError::NotFound { .. }), "{path:?}");
    }
}
