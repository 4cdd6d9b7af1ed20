//! The demo as a new user runs it: as whoever runs the tests, and as an ordinary user if that is root.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;

/// A user id that owns nothing here.
const ORDINARY: &str = "65533";

#[allow(clippy::disallowed_methods, reason = "a test starts the program under test")]
fn play(ordinary: bool) {
    let folder = tempfile::tempdir().unwrap();
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o777)).unwrap();
    // A copy: the build's folder may be closed to other users.
    let program = folder.path().join("schleuse");
    fs::copy(env!("CARGO_BIN_EXE_schleuse"), &program).unwrap();
    let room = folder.path().join("room");
    fs::create_dir(&room).unwrap();
    fs::set_permissions(&room, fs::Permissions::from_mode(0o777)).unwrap();
    let mut command = if ordinary {
        let mut command = Command::new("setpriv");
        command.args(["--reuid", ORDINARY, "--regid", ORDINARY, "--clear-groups"]).arg(&program);
        command
    } else {
        Command::new(&program)
    };
    command.args(["demo", "--fast"]).env_clear().env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin").env("TMPDIR", &room);
    let output = command.env("HOME", &room).output().unwrap();
    let told = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{told}");
    for expected in
        ["Everything went as it must", ", 0 lost", "ROLLED BACK  canary", "taking over from run", "the whole journal"]
    {
        assert!(told.contains(expected), "`{expected}` is not in:\n{told}");
    }
    assert_eq!(fs::read_dir(&room).unwrap().count(), 0, "files are left");
    assert_eq!(still_running(&room), Vec::<String>::new(), "processes are left");
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap();
    assert!(!mounts.contains(room.to_str().unwrap()), "mounts are left");
}

/// The command lines of living processes that know `folder`. (What has ended and waits for a lazy init to collect it has none.)
fn still_running(folder: &Path) -> Vec<String> {
    let mut found = Vec::new();
    for process in fs::read_dir("/proc").unwrap().flatten() {
        let Ok(line) = fs::read(process.path().join("cmdline")) else { continue };
        let line = String::from_utf8_lossy(&line).replace('\0', " ");
        if line.contains(folder.to_str().unwrap()) {
            found.push(line);
        }
    }
    found
}

#[test]
fn the_demo_goes_as_it_must_and_leaves_nothing() {
    play(false);
}

#[test]
fn the_demo_needs_no_root() {
    if nix::unistd::geteuid().is_root() {
        play(true);
    }
}

#[test]
#[allow(clippy::disallowed_methods, reason = "a test starts the program under test")]
fn a_folder_that_is_no_demo_is_not_cleared_away() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("precious"), "x").unwrap();
    let output =
        Command::new(env!("CARGO_BIN_EXE_schleuse")).arg("demo").arg("--clean").arg(folder.path()).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(folder.path().join("precious").exists());
}
