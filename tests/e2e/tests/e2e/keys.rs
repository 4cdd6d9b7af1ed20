//! The CI's key is stolen, and something runs: going back with the key that lay in the safe, and going on with a new one.

mod rotation;

use std::fs;

use schleuse_model::Digest;

use crate::project::{HEALTH, Project, Rung, Setup};

const TRUSTED: &str = "build = [\"schleuse.pub\", \"new.pub\"]\nbreak-glass = [\"glass.pub\"]";
const STOLEN: &str = "build = [\"new.pub\"]\nbreak-glass = [\"glass.pub\"]\nrevoked = [{ key = \"schleuse.pub\", why = \
                      \"compromised\" }]";

/// Two good releases by the CI's key, one on top of the other, in an environment with a target; a new key and one for the night.
fn two_releases() -> (Project, [Digest; 2]) {
    let ladder = vec![Rung { name: "staging", local: false }, Rung { name: "canary", local: true }];
    let project = Project::with(Setup { ladder, health: HEALTH.to_owned(), ..Setup::default() });
    for name in ["new", "glass"] {
        project.run(&["key", "generate", "--output-prefix", name]).exits(0);
    }
    let releases = ["1.0.0", "1.1.0"].map(|version| {
        let release = project.release(version, "");
        project.run(&["promote", "staging", &project.image(&release)]).exits(0);
        project.run(&["promote", "canary"]).exits(0);
        release
    });
    trust(&project, TRUSTED);
    (project, releases)
}

/// Writes these keys into schleuse.toml.
fn trust(project: &Project, keys: &str) {
    let text = fs::read_to_string(project.path("schleuse.toml")).unwrap();
    let above = text.split("\n[trust]").next().unwrap();
    project.write("schleuse.toml", &format!("{above}\n[trust]\n{keys}\n"));
}

fn serves(project: &Project, version: &str) {
    assert_eq!(project.get("canary", "/"), Some((200, format!("billing {version}"))));
}

/// The canary's events, oldest first. That its whole journal verifies is part of it.
fn events(project: &Project) -> Vec<String> {
    let answer = ["history", "canary", "--verify", "--limit", "1000", "--format", "json"];
    let history = project.run(&answer).exits(0).result();
    let rows = history["environments"][0]["entries"].as_array().expect("entries").iter().rev();
    rows.map(|row| row["event"].as_str().expect("an event").to_owned()).collect()
}

#[test]
fn a_break_glass_key_rolls_back_with_the_journal() {
    let (project, [old, new]) = two_releases();
    project.run(&["rollback", "canary", "--yes", "--key", "glass.key"]).exits(0);
    serves(&project, "1.0.0");
    assert_eq!(events(&project)[6..], ["rollback", "rollout-started", "healthy"]);
    assert_eq!(project.tag("canary").as_ref(), Some(&old));
    let refused = project.run(&["promote", "canary", "--key", "glass.key"]).exits(11);
    assert!(refused.stderr.contains("may only go back"), "{refused}");
    serves(&project, "1.0.0");
    // The CI goes on behind it.
    project.run(&["promote", "canary"]).exits(0);
    serves(&project, "1.1.0");
    assert_eq!(project.tag("canary").as_ref(), Some(&new));
}

/// A third release has the traffic; the run that watches it is dead.
fn dies_in_a_rollout(project: &Project) {
    let third = project.release("1.2.0", "");
    trust(project, TRUSTED);
    project.run(&["promote", "staging", &project.image(&third)]).exits(0);
    let mut running = project.spawn(&["promote", "canary"]);
    while !running.stderr().contains("traffic goes to the new release") {
        assert!(!running.has_ended(), "{}", running.stderr());
        std::thread::sleep(std::time::Duration::from_millis(2));
    }
    running.kill();
    drop(running.wait());
}

#[test]
fn a_break_glass_key_leaves_a_rollout_whose_run_is_dead() {
    let (project, _) = two_releases();
    dies_in_a_rollout(&project);
    project.run(&["resume", "canary", "--key", "glass.key"]).exits(11);
    project.run(&["rollback", "canary", "--yes", "--key", "glass.key"]).exits(0);
    serves(&project, "1.1.0");
    assert_eq!(events(&project)[6..], ["promoted", "rollout-started", "rollback", "rollout-started", "healthy"]);
}

#[test]
fn a_stolen_key_stops_everything_but_the_way_back() {
    let (project, [old, _]) = two_releases();
    trust(&project, STOLEN);
    for verb in [&["status"][..], &["promote", "canary", "--key", "new.key"], &["resume", "canary", "--key", "new.key"]]
    {
        let refused = project.run(verb).exits(11);
        assert!(refused.stderr.contains("that key is compromised"), "{refused}");
    }
    // Not even the way back with that key itself, since nobody would believe the record of it.
    let refused = project.run(&["rollback", "canary", "--yes"]).exits(11);
    assert!(refused.stderr.contains("could not be recorded"), "{refused}");
    serves(&project, "1.1.0");

    let back = project.run(&["rollback", "canary", "--yes", "--key", "glass.key", "--reason", "stolen key"]).exits(0);
    assert!(back.stderr.contains("the journal could not be told"), "{back}");
    serves(&project, "1.0.0");

    // In the morning: somebody looks, vouches, and the journal learns of the night.
    project.run(&["key", "rotate", "--key", "new.key"]).exits(2);
    project.run(&["key", "rotate", "--key", "new.key", "--yes"]).exits(0);
    project.run(&["resume", "canary", "--key", "new.key"]).exits(0);
    assert_eq!(events(&project)[6..], ["rekeyed", "rollback"]);
    assert_eq!(project.tag("canary").as_ref(), Some(&old));
    serves(&project, "1.0.0");
    assert_eq!(project.instances("canary"), 1);
    // What was signed again goes on.
    project.run(&["promote", "canary", "--key", "new.key"]).exits(0);
    serves(&project, "1.1.0");
}

/// The way that the runbook describes for the worst night.
#[test]
fn a_key_is_stolen_while_a_rollout_is_unfinished() {
    let (project, [_, old]) = two_releases();
    dies_in_a_rollout(&project);
    trust(&project, STOLEN);
    let refused = project.run(&["key", "rotate", "--key", "new.key", "--yes"]).exits(10);
    assert!(refused.stderr.contains("a rollout in canary is unfinished"), "{refused}");
    project.run(&["rollback", "canary", "--yes", "--key", "glass.key"]).exits(0);
    serves(&project, "1.1.0");
    // In one checkout, for one command: the entries can be finished only by who believes them.
    trust(&project, TRUSTED);
    project.run(&["resume", "canary", "--key", "new.key"]).exits(0);
    trust(&project, STOLEN);
    project.run(&["key", "rotate", "--key", "new.key", "--yes"]).exits(0);
    assert_eq!(events(&project)[6..], ["promoted", "rollout-started", "rollback"], "the new key's entry pins the rest");
    assert_eq!(project.tag("canary").as_ref(), Some(&old));
    serves(&project, "1.1.0");
    assert_eq!(project.instances("canary"), 1);
}
