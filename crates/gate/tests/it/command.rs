use std::time::Duration;

use schleuse_gate::{Decision, ProduceError};
use schleuse_model::predicate::test_result::TestOutcome;
use schleuse_model::{Digest, Secret};
use tokio::time::Instant;

use super::support::{at, command, facts, findings, gate, image, subject, with_result};

#[tokio::test]
async fn exit_0_passes_and_anything_else_blocks() {
    let dir = tempfile::tempdir().unwrap();
    for (script, outcome, blocked) in [
        ("exit 0", TestOutcome::Passed, vec![]),
        ("echo no >&2; exit 3", TestOutcome::Failed, vec!["smoke: failed".to_owned()]),
    ] {
        let gate = gate([command("smoke", dir.path(), &["sh", "-c", script])]);
        let mut produced = gate.produce(&subject(), &facts(), at(2000)).await;
        let produced = produced.remove(0).1.unwrap();
        assert_eq!(produced.result.result, outcome);
        let judged = gate.judge(&with_result("smoke", produced.result), at(2000));
        assert_eq!(findings(&judged), blocked);
    }
}

#[tokio::test]
async fn it_sees_what_it_is_about_and_nothing_else() {
    let dir = tempfile::tempdir().unwrap();
    let mut check = command("smoke", dir.path(), &["env"]);
    check.secret_env.insert("DATABASE_URL".to_owned(), Secret::new("postgres://pw@db".to_owned()));
    let gate = gate([check]);
    let mut produced = gate.produce(&subject(), &facts(), at(2000)).await;
    assert_eq!(
        produced.remove(0).1.unwrap().last_lines,
        [
            "DATABASE_URL=[redacted]".to_owned(),
            "PATH=/usr/bin:/bin".to_owned(),
            "SCHLEUSE_BASE_URL=http://127.0.0.1:3000".to_owned(),
            "SCHLEUSE_ENVIRONMENT=canary".to_owned(),
            format!("SCHLEUSE_IMAGE=registry.test/acme/billing@{}", image()),
        ]
    );
}

#[tokio::test]
async fn a_result_of_another_definition_or_environment_is_none() {
    let dir = tempfile::tempdir().unwrap();
    let lax = gate([command("smoke", dir.path(), &["true"])]);
    let produced = lax.produce(&subject(), &facts(), at(2000)).await.remove(0).1.unwrap();
    let passed = with_result("smoke", produced.result);
    assert_eq!(lax.judge(&passed, at(2000)).decision(), Decision::Open);
    assert!(lax.produce(&subject(), &passed, at(2000)).await.is_empty(), "what passes is not run again");

    let refused = ["smoke: was run for another environment, or has changed since it was run"];
    let strict = gate([command("smoke", dir.path(), &["./smoke.sh"])]);
    assert_eq!(findings(&strict.judge(&passed, at(2000))), refused);
    let mut elsewhere = passed.clone();
    elsewhere.environment = "production".parse().unwrap();
    assert_eq!(findings(&lax.judge(&elsewhere, at(2000))), refused);
}

#[tokio::test]
async fn no_result_is_an_error_and_not_a_no() {
    let dir = tempfile::tempdir().unwrap();
    let mut slow = command("slow", dir.path(), &["sleep", "60"]);
    slow.timeout = Duration::from_millis(200);
    let gate = gate([
        slow,
        command("missing", dir.path(), &["no-such-program"]),
        command("killed", dir.path(), &["sh", "-c", "kill -9 $$"]),
        command("empty", dir.path(), &[]),
        command("good", dir.path(), &["true"]),
    ]);
    let produced = gate.produce(&subject(), &facts(), at(2000)).await;
    let shown: Vec<_> = produced.iter().map(|(id, result)| (id.as_str(), result.is_ok())).collect();
    assert_eq!(shown, [("slow", false), ("missing", false), ("killed", false), ("empty", false), ("good", true)]);
    let killed = produced[2].1.as_ref().unwrap_err();
    assert_eq!(killed.to_string(), "killed has no result: killed by SIGKILL");
}

#[tokio::test]
async fn independent_ones_run_at_the_same_time() {
    let dir = tempfile::tempdir().unwrap();
    let started = Instant::now();
    let gate = gate(["a", "b", "c"].map(|id| command(id, dir.path(), &["sleep", "0.5"])));
    assert_eq!(gate.produce(&subject(), &facts(), at(2000)).await.len(), 3);
    assert!(started.elapsed() < Duration::from_millis(1400), "{:?}", started.elapsed());
}

#[tokio::test]
async fn a_script_that_changed_since_the_plan_is_not_run() {
    let dir = tempfile::tempdir().unwrap();
    let (script, ran) = (dir.path().join("smoke.sh"), dir.path().join("ran"));
    std::fs::write(&script, "exit 0\n").unwrap();
    let mut check = command("smoke", dir.path(), &["sh", "smoke.sh"]);
    check.scripts.insert("smoke.sh".to_owned(), Digest::sha256(b"exit 0\n"));
    let as_planned = gate([check.clone()]);
    assert!(as_planned.produce(&subject(), &facts(), at(2000)).await.remove(0).1.is_ok());

    std::fs::write(&script, "touch ran\n").unwrap();
    let error = as_planned.produce(&subject(), &facts(), at(2000)).await.remove(0).1.unwrap_err();
    assert!(matches!(error, ProduceError::ScriptChanged { .. }));
    assert!(!ran.exists());

    // Another content is another definition: the plan's hash changes with it.
    check.scripts.insert("smoke.sh".to_owned(), Digest::sha256(b"touch ran\n"));
    assert_ne!(as_planned.definitions()[3].digest(), gate([check]).definitions()[3].digest());
    std::fs::remove_file(&script).unwrap();
    let error = as_planned.produce(&subject(), &facts(), at(2000)).await.remove(0).1.unwrap_err();
    assert!(matches!(error, ProduceError::ScriptUnreadable { .. }));
}
