//! The client is killed before and after each git push.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use super::undertaker::Ended;
use super::{Ground, Story, every_point};
use crate::project::Setup;

/// Stands before the real git, counts the pushes, and kills who asks for the one whose number is in `kill-at`.
const SHIM: &str = r#"#!/bin/sh
here=${0%/*}
push=no
for argument; do [ "$argument" = push ] && push=yes; done
[ $push = no ] && exec /usr/bin/git "$@"
count=$(($(cat "$here/count") + 1))
echo $count > "$here/count"
if [ "$count" = "$(cat "$here/kill-before")" ]; then kill -9 $PPID; exit 1; fi
if [ "$count" = "$(cat "$here/kill-after")" ]; then /usr/bin/git "$@"; kill -9 $PPID; exit 1; fi
exec /usr/bin/git "$@"
"#;

#[test]
fn of_the_first_release() {
    every_push(Story::First);
}

#[test]
fn of_a_good_release() {
    every_push(Story::Good);
}

#[test]
fn of_a_sick_release() {
    every_push(Story::Sick);
}

fn every_push(story: Story) {
    let setup = Setup { git: true, commit: "git", ..Setup::default() };
    let points = every_point(story, &setup, die);
    // One for each entry.
    assert_eq!(points, 2 * 3);
    eprintln!("{story:?} release: killed before and after each of {} git pushes, {points} points", points / 2);
}

fn die(ground: &Ground, promotion: &[String; 3], point: usize) -> Ended {
    let (project, push) = (&ground.project, point / 2 + 1);
    let shim = project.path("shim");
    if !shim.exists() {
        fs::create_dir(&shim).unwrap();
        project.write("shim/git", SHIM);
        fs::set_permissions(shim.join("git"), fs::Permissions::from_mode(0o755)).unwrap();
    }
    let (before, after) = if point.is_multiple_of(2) { (push, 0) } else { (0, push) };
    for (name, number) in [("count", 0), ("kill-before", before), ("kill-after", after)] {
        project.write(&format!("shim/{name}"), &number.to_string());
    }
    let mut command = project.command(&promotion.each_ref().map(String::as_str));
    command.env("PATH", format!("{}:/usr/bin:/bin", shim.display()));
    let ended = project.start(command).wait();
    match ended.code {
        None => Ended::Died(format!("before push {before} or after push {after}\n{ended}")),
        code => {
            let pushes: usize = fs::read_to_string(shim.join("count")).unwrap().trim().parse().unwrap();
            assert!(pushes < push, "{pushes} pushes, and still alive: {ended}");
            Ended::Unharmed(code)
        }
    }
}
