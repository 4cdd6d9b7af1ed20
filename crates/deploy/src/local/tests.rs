//! Whole rollouts on this machine, with real processes. Run as root, the parts that differ run once more as an ordinary user.

mod door;
mod restore;
mod rollout;
mod sandbox;
mod ways_to_end;
mod world;

use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::process::Command;

/// Nobody on any system we know: no home, no group, no right to anything.
const ORDINARY: u32 = 65_533;

#[test]
#[allow(clippy::disallowed_methods, reason = "starts this very test program, as another user")]
fn again_as_an_ordinary_user() {
    if !nix::unistd::geteuid().is_root() {
        return;
    }
    // Where that user can reach them: the checkout may be in a folder of root's.
    let folder = tempfile::Builder::new().prefix("schleuse-user").tempdir_in("/tmp").unwrap();
    std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
    let (tests, fixture) = (folder.path().join("tests"), folder.path().join("fixture"));
    std::fs::copy(std::env::current_exe().unwrap(), &tests).unwrap();
    std::fs::copy(world::fixture(), &fixture).unwrap();
    let home = folder.path().join("home");
    std::fs::create_dir(&home).unwrap();
    chown(&home, Some(ORDINARY), Some(ORDINARY)).unwrap();
    let mut command = Command::new(tests);
    // The parts in which the two differ.
    let parts = ["local::tests::sandbox", "local::tests::ways_to_end", "local::tests::restore", "callers_files"];
    command.args(parts).arg("--test-threads=4").uid(ORDINARY).gid(ORDINARY).current_dir("/");
    let ran = command.env("TMPDIR", &home).env(world::FIXTURE, fixture).output().unwrap();
    let output = String::from_utf8_lossy(&ran.stdout);
    assert!(ran.status.success(), "{output}\n{}", String::from_utf8_lossy(&ran.stderr));
    assert!(output.contains("sandbox::a_release_sees_nothing_of_the_machine ... ok"), "{output}");
}
