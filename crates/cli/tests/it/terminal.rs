//! On a terminal: colour, and passwords that are not echoed.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::process::Stdio;

use nix::pty::{OpenptyResult, openpty};

use crate::support::{Run, schleuse};

/// Runs with stdin and stderr on a terminal; `talk` reads and types. Answers the exit code and all that was shown.
fn on_a_terminal(run: Run, mut typed: Vec<(&str, &str)>) -> (Option<i32>, String) {
    let OpenptyResult { master, slave } = openpty(None, None).unwrap();
    let mut command = run.command();
    command.stdin(Stdio::from(slave.try_clone().unwrap())).stdout(Stdio::null()).stderr(Stdio::from(slave));
    let mut child = command.spawn().unwrap();
    drop(command);
    let mut master = File::from(master);
    let (mut shown, mut buffer) = (String::new(), [0; 4096]);
    // The read fails (EIO) once the program has closed its side.
    while let Ok(length) = master.read(&mut buffer) {
        shown.push_str(&String::from_utf8_lossy(&buffer[..length]));
        if let Some((question, answer)) = typed.first()
            && shown.ends_with(question)
        {
            master.write_all(format!("{answer}\n").as_bytes()).unwrap();
            typed.remove(0);
        }
    }
    assert!(typed.is_empty(), "never asked: {typed:?} in {shown}");
    (child.wait().unwrap().code(), shown)
}

#[test]
fn errors_are_red_on_a_terminal_and_plain_where_colour_is_not_wanted() {
    let folder = tempfile::tempdir().unwrap();
    let wrong = || schleuse(folder.path(), &["bulid"]);
    assert!(on_a_terminal(wrong().env("TERM", "xterm"), Vec::new()).1.starts_with("\u{1b}[1;31merror:\u{1b}[0m "));
    for (name, value) in [("NO_COLOR", "1"), ("TERM", "dumb")] {
        let shown = on_a_terminal(wrong().env(name, value), Vec::new()).1;
        assert!(shown.starts_with("error: ") && !shown.contains('\u{1b}'), "{name}: {shown:?}");
    }
    assert!(!wrong().done().stderr().contains('\u{1b}'), "no colour in a pipe");
}

#[test]
fn a_password_is_asked_for_twice_and_never_echoed() {
    let folder = tempfile::tempdir().unwrap();
    let generate = || schleuse(folder.path(), &["key", "generate"]).env("TERM", "dumb");
    let typed = |second| vec![("Password for the new key: ", "hunter2"), ("The same again: ", second)];
    let (code, shown) = on_a_terminal(generate(), typed("hunter3"));
    assert_eq!(code, Some(2));
    assert!(shown.contains("the two passwords are not the same") && !shown.contains("hunter"), "{shown}");
    let (code, shown) = on_a_terminal(generate(), typed("hunter2"));
    assert_eq!(code, Some(0), "{shown}");
    assert!(!shown.contains("hunter2"), "{shown}");
    // It is the key's password indeed.
    let public = schleuse(folder.path(), &["key", "public", "schleuse.key"]).env("COSIGN_PASSWORD", "hunter2").done();
    public.exits(0);
    // In CI nobody is asked, terminal or not.
    let other = schleuse(folder.path(), &["key", "generate", "--output-prefix", "ci"]).env("CI", "true");
    assert_eq!(on_a_terminal(other, Vec::new()).0, Some(2));
}
