//! Many promoters, one environment: one winner a sequence, nothing forks, nothing is lost, and whoever loses is told so.

use std::collections::BTreeSet;
use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::time::{Duration, Instant};

use schleuse_model::Digest;

use crate::project::{HEALTH, Kind, Project, Rung, Setup};
use crate::run::Output;

const PROMOTERS: usize = 16;

/// The check at the gate: waits until as many promoters as `need` says stand there, so that all of them have read the same
/// head before one commits. Bounded, so that a promoter that never comes fails the test and does not hang it.
const BARRIER: &str = "[check.barrier]\nrun = [\"sh\", \"barrier.sh\"]\ntimeout = \"60s\"\n";
const BARRIER_SH: &str = "\
: > barrier/$$
i=0
while [ \"$(ls barrier | wc -l)\" -lt \"$(cat need)\" ]; do
    i=$((i + 1)); [ $i -lt 250 ] || { echo nobody else came; exit 1; }
    sleep 0.2
done
";

fn rounds() -> usize {
    if std::env::var_os("SCHLEUSE_SOAK").is_some_and(|value| value == "1") { 50 } else { 5 }
}

/// A project of one rung, with the barrier at its gate, and a release to make others of.
fn crowded(setup: Setup) -> (Project, Digest) {
    let project = Project::with(setup);
    let base = project.build("0.0.1", "");
    let mut file = OpenOptions::new().append(true).open(project.path("schleuse.toml")).expect("the configuration");
    // The file ends in the last rung's table.
    write!(file, "checks = [\"barrier\"]\n\n{BARRIER}").expect("written");
    project.write("barrier.sh", BARRIER_SH);
    (project, base)
}

fn rung(local: bool) -> Vec<Rung> {
    vec![Rung { name: "staging", local }]
}

/// From now on as many promoters meet at the gate before the first is let on.
fn meet(project: &Project, need: usize) {
    let _ = fs::remove_dir_all(project.path("barrier"));
    fs::create_dir(project.path("barrier")).expect("a folder");
    project.write("need", &need.to_string());
}

/// Sequence, event and release of each entry, oldest first. All are verified.
fn entries(project: &Project) -> Vec<(u64, String, String)> {
    let answer = ["history", "staging", "--verify", "--limit", "100000", "--format", "json"];
    let history = project.run(&answer).exits(0).result();
    let rows = history["environments"][0]["entries"].as_array().expect("entries").iter().rev();
    rows.map(|row| {
        let text = |value: &serde_json::Value| value.as_str().expect("text").to_owned();
        (row["sequence"].as_u64().expect("a number"), text(&row["event"]), text(&row["release"]["digest"]))
    })
    .collect()
}

/// All at once. Answers each release with how its promotion ended.
fn promote_all<'a>(project: &Project, releases: &'a [Digest]) -> Vec<(&'a Digest, Output)> {
    let start = |release| project.spawn(&["promote", "staging", &project.image(release)]);
    let running: Vec<_> = releases.iter().map(|release| (release, start(release))).collect();
    running.into_iter().map(|(release, running)| (release, running.wait())).collect()
}

fn race(setup: Setup) {
    let (project, base) = crowded(setup);
    let mut before = Vec::new();
    for round in 0..rounds() {
        let version = |n| format!("1.{round}.{n}");
        let releases: Vec<_> = (0..PROMOTERS).map(|n| project.variant(&base, &version(n), "")).collect();
        // Every other round the gate opens early: then promoters that come later find a winner's head, or race for it.
        let need = if round % 2 == 0 { PROMOTERS } else { 4 };
        meet(&project, need);
        let ended = promote_all(&project, &releases);
        for (_, output) in &ended {
            assert!(matches!(output.code, Some(0 | 12)), "round {round}: {output}");
            if output.code == Some(12) {
                assert!(output.stderr.contains("hint:"), "{output}");
            }
        }
        let won: BTreeSet<_> =
            ended.iter().filter(|(_, output)| output.code == Some(0)).map(|(release, _)| release.to_string()).collect();
        let after = entries(&project);
        assert_eq!(after[..before.len()], before[..], "round {round}: what was written was changed");
        let new = &after[before.len()..];
        let promoted: Vec<_> = new.iter().filter(|(_, event, _)| event == "promoted").collect();
        let recorded: BTreeSet<_> = promoted.iter().map(|(_, _, release)| release.clone()).collect();
        assert_eq!((promoted.len(), &recorded), (won.len(), &won), "round {round}: exit codes and journal differ");
        assert_eq!(new.len(), promoted.len(), "round {round}: {new:?}");
        assert!(!won.is_empty(), "round {round}: nobody won");
        if need == PROMOTERS {
            assert_eq!(won.len(), 1, "round {round}: all had read the same head, and more than one won: {new:?}");
        }
        let sequences: Vec<_> = after.iter().map(|(sequence, _, _)| *sequence).collect();
        assert!(sequences.iter().copied().eq(1..=after.len() as u64), "round {round}: {sequences:?}");
        let head = &after[after.len() - 1].2;
        assert_eq!(project.tag("staging").map(|tag| tag.to_string()).as_ref(), Some(head), "round {round}: the tag");
        before = after;
    }
}

#[test]
fn sixteen_on_the_embedded_registry() {
    race(Setup { registry: Kind::Disk, ladder: rung(false), ..Setup::default() });
}

#[test]
fn sixteen_on_docker_registry_with_git() {
    race(Setup { registry: Kind::Docker, git: true, ladder: rung(false), ..Setup::default() });
}

/// Shows that the race is one: all have passed every check before the gate, with nothing promoted yet, before the first goes on.
#[test]
fn all_sixteen_stand_at_the_gate_at_once() {
    let (project, base) = crowded(Setup { ladder: rung(false), ..Setup::default() });
    let releases: Vec<_> = (0..PROMOTERS).map(|n| project.variant(&base, &format!("1.0.{n}"), "")).collect();
    // One more than come: nobody is let on.
    meet(&project, PROMOTERS + 1);
    let running: Vec<_> =
        releases.iter().map(|release| project.spawn(&["promote", "staging", &project.image(release)])).collect();
    let began = Instant::now();
    let at_the_gate = || fs::read_dir(project.path("barrier")).expect("the gate").count();
    while at_the_gate() < PROMOTERS {
        assert!(began.elapsed() < Duration::from_secs(60), "{} came", at_the_gate());
        std::thread::sleep(Duration::from_millis(20));
    }
    assert_eq!(project.tag("staging"), None);
    assert_eq!(entries(&project), []);
    project.write("need", "1");
    let codes: Vec<_> = running.into_iter().map(|running| running.wait().code).collect();
    assert_eq!(codes.iter().filter(|code| **code == Some(0)).count(), 1, "{codes:?}");
    assert_eq!(codes.iter().filter(|code| **code == Some(12)).count(), PROMOTERS - 1, "{codes:?}");
}

/// Two jobs of one pipeline promote the same release.
#[test]
fn the_same_release_twice_is_promoted_once() {
    for setup in [
        Setup { ladder: rung(false), ..Setup::default() },
        Setup { registry: Kind::Docker, git: true, ladder: rung(false), ..Setup::default() },
    ] {
        let (project, base) = crowded(setup);
        for round in 0..rounds().min(10) {
            let release = project.variant(&base, &format!("2.0.{round}"), "");
            meet(&project, 2);
            let twice = [release.clone(), release.clone()];
            let ended = promote_all(&project, &twice);
            let codes: Vec<_> = ended.iter().map(|(_, output)| output.code).collect();
            assert!(codes.contains(&Some(0)), "{codes:?}");
            assert!(codes.iter().all(|code| matches!(code, Some(0 | 12))), "{}\n{}", ended[0].1, ended[1].1);
            let mine = entries(&project).iter().filter(|(_, _, digest)| *digest == release.to_string()).count();
            assert_eq!(mine, 1, "{}\n{}", ended[0].1, ended[1].1);
        }
    }
}

#[test]
fn a_registry_without_order_and_no_git_is_refused() {
    let project = Project::with(Setup { registry: Kind::Docker, ladder: rung(false), ..Setup::default() });
    let release = project.release("1.0.0", "");
    let refused = project.run(&["promote", "staging", &project.image(&release)]).exits(2);
    let hints: Vec<_> = refused.stderr.lines().filter(|line| line.contains("hint:")).collect();
    assert!(hints.iter().any(|hint| hint.contains("schleuse registry serve")), "{refused}");
    assert!(hints.iter().any(|hint| hint.contains("commit = \"git\"")), "{refused}");
    assert_eq!(project.tag("staging"), None);
}

/// One rolls out; another comes.
#[test]
fn who_comes_during_a_rollout_is_turned_away() {
    let health = HEALTH.replace("window = \"900ms\"", "window = \"8s\"");
    let project = Project::with(Setup { ladder: rung(true), health, ..Setup::default() });
    let first = project.release("1.0.0", "");
    let second = project.variant(&first, "1.0.1", "");
    let mut rolling = project.spawn(&["promote", "staging", &project.image(&first)]);
    let began = Instant::now();
    while project.get("staging", "/").is_none() {
        assert!(began.elapsed() < Duration::from_secs(60) && !rolling.has_ended(), "{}", rolling.stderr());
        std::thread::sleep(Duration::from_millis(50));
    }
    let turned_away = project.run(&["promote", "staging", &project.image(&second)]).exits(12);
    assert!(turned_away.stderr.contains("hint:"), "{turned_away}");
    assert!(!rolling.has_ended(), "the rollout was over before the second came; nothing was shown");
    rolling.wait().exits(0);
    assert_eq!(project.get("staging", "/"), Some((200, "billing 1.0.0".to_owned())));
    let events: Vec<_> = entries(&project).into_iter().map(|(_, event, _)| event).collect();
    assert_eq!(events, ["promoted", "rollout-started", "healthy"]);
    assert_eq!(project.instances("staging"), 1);
}
