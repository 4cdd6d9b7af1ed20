//! Ctrl-C and SIGTERM while something blocks that is not ours: a FIFO nobody writes to, stdin that never ends, a question.

use std::fs::File;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use nix::pty::{OpenptyResult, openpty};
use nix::sys::signal::{Signal, kill};
use nix::sys::stat::Mode;
use nix::unistd::{Pid, mkfifo};
use tokio::time::Instant;

use crate::support::{Checkout, nobody, registry};

/// Sends the signal once the program waits; answers its exit code and what it has said.
fn stopped(mut command: Command, signal: Signal) -> (Option<i32>, String) {
    let child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    // Long enough to be reading: what is said on a signal before that is the same, only nothing would be tested.
    std::thread::sleep(Duration::from_millis(700));
    stop(child, signal)
}

fn stop(child: Child, signal: Signal) -> (Option<i32>, String) {
    let sent = Instant::now();
    kill(Pid::from_raw(i32::try_from(child.id()).unwrap()), signal).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(sent.elapsed() < Duration::from_secs(5), "it took {:?} to notice", sent.elapsed());
    (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
}

fn fifo(path: &Path) {
    mkfifo(path, Mode::S_IRUSR | Mode::S_IWUSR).unwrap();
}

#[test]
fn a_file_that_gives_nothing_can_be_interrupted() {
    let checkout = Checkout::new(nobody());
    fifo(&checkout.path().join("fifo"));
    let image = format!("{}:x", checkout.image);
    let attest = ["attest", &image, "--type", "urn:x", "--key", "schleuse.key", "--predicate"];
    let sign = ["sign", "--key", "fifo", &image];
    for (arguments, signal) in [
        ([&attest[..], &["fifo"]].concat(), Signal::SIGINT),
        (sign.to_vec(), Signal::SIGINT),
        (vec!["verify", "--key", "fifo", &image], Signal::SIGTERM),
        (vec!["key", "inspect", "fifo"], Signal::SIGINT),
    ] {
        let (code, said) = stopped(checkout.run(&arguments).command(), signal);
        assert_eq!(code, Some(130), "{arguments:?}: {said}");
        assert_eq!(said.lines().next(), Some(format!("error: interrupted by {signal}").as_str()), "{arguments:?}");
    }
    // A pipe that stays open and silent.
    let (theirs, _ours) = nix::unistd::pipe().unwrap();
    let mut command = checkout.run(&[&attest[..], &["-"]].concat()).command();
    command.stdin(theirs);
    assert_eq!(stopped(command, Signal::SIGINT).0, Some(130));
}

#[test]
fn a_question_can_be_interrupted() {
    let server = registry();
    let checkout = Checkout::new(server.address);
    let OpenptyResult { master, slave } = openpty(None, None).unwrap();
    let mut command = checkout.run(&["rollback", "dev"]).env("TERM", "dumb").command();
    command.stdin(slave.try_clone().unwrap()).stdout(Stdio::null()).stderr(slave);
    let child = command.spawn().unwrap();
    drop(command);
    let (mut master, mut shown, mut buffer) = (File::from(master), String::new(), [0; 4096]);
    while !shown.ends_with("Go? [Y/n] ") {
        let length = master.read(&mut buffer).unwrap_or_else(|error| panic!("{error} after {shown}"));
        shown.push_str(&String::from_utf8_lossy(&buffer[..length]));
    }
    assert_eq!(stop(child, Signal::SIGINT).0, Some(130));
}

#[test]
fn a_fifo_somebody_writes_to_is_read() {
    let server = registry();
    let checkout = Checkout::new(server.address);
    let image = checkout.run(&["build"]).done().exits(0).stdout().trim().to_owned();
    let path = checkout.path().join("fifo");
    fifo(&path);
    // Opened and written once: who reads it twice waits for ever.
    let feed = |bytes: Vec<u8>| {
        let path = path.clone();
        std::thread::spawn(move || File::options().write(true).open(path).unwrap().write_all(&bytes).unwrap())
    };
    let private = std::fs::read(checkout.path().join("schleuse.key")).unwrap();
    let attest = ["attest", &image, "--type", "urn:x", "--key", "schleuse.key", "--predicate", "fifo"];
    for (bytes, arguments) in [
        (b"{}".to_vec(), &attest[..]),
        (private.clone(), &["key", "inspect", "fifo"]),
        (private.clone(), &["key", "public", "fifo"]),
        (private, &["sign", "--key", "fifo", &image]),
    ] {
        let writer = feed(bytes);
        checkout.run(arguments).done().exits(0);
        writer.join().unwrap();
    }
}

#[test]
fn a_run_that_waits_long_says_so_once_where_no_line_can_stand() {
    // Takes connections and never answers.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let checkout = Checkout::new(silent.local_addr().unwrap());
    let image = format!("{}:x", checkout.image);
    let start = |more: &[&str]| {
        let mut command = checkout.run(&[&["verify", image.as_str()], more].concat()).command();
        command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap()
    };
    let (mut told, quiet) = (start(&[]), start(&["--quiet"]));
    let mut line = String::new();
    BufReader::new(told.stderr.take().unwrap()).read_line(&mut line).unwrap();
    assert_eq!(line, "still looking for signatures after 10 s\n");
    assert_eq!(stop(told, Signal::SIGTERM).0, Some(130));
    assert!(stop(quiet, Signal::SIGTERM).1.starts_with("error: interrupted by SIGTERM"));
}
