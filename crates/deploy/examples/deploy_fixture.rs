//! What the tests of the local target run in place of `schleuse`: its hidden verbs, and an application to put into a sandbox.
#![allow(clippy::disallowed_methods, clippy::exit, clippy::print_stdout, clippy::unwrap_used, clippy::expect_used)]

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{self, ExitCode};
use std::time::Duration;

use nix::sys::signal::{SigSet, Signal};

fn main() -> ExitCode {
    let mut args = std::env::args_os().skip(1);
    match args.next().as_deref().and_then(|verb| verb.to_str()) {
        Some(schleuse_deploy::local::init::VERB) => schleuse_deploy::local::init::main(args),
        Some(schleuse_deploy::front_door::VERB) => schleuse_deploy::front_door::main(args),
        Some("app") => app(),
        _ => ExitCode::from(2),
    }
}

fn var(name: &str) -> String {
    std::env::var(name).unwrap_or_default()
}

fn app() -> ExitCode {
    on_terminate();
    println!("{} starts with the password {}", var("APP_VERSION"), var("APP_PASSWORD"));
    if var("APP_VERSION") == "crash-at-start" {
        return ExitCode::from(9);
    }
    let listener = TcpListener::bind(("127.0.0.1", var("PORT").parse().unwrap())).unwrap();
    for stream in listener.incoming() {
        std::thread::spawn(move || serve(stream.unwrap()));
    }
    ExitCode::SUCCESS
}

fn on_terminate() {
    let mut signals = SigSet::empty();
    signals.add(Signal::SIGTERM);
    match var("APP_TERM").as_str() {
        "graceful" => {
            signals.thread_block().unwrap();
            std::thread::spawn(move || {
                signals.wait().unwrap();
                process::exit(7);
            });
        }
        "ignore" => signals.thread_block().unwrap(),
        _ => {}
    }
}

/// HTTP/1.1 with kept connections, as much of it as the tests need.
fn serve(stream: TcpStream) {
    let mut lines = BufReader::new(stream.try_clone().unwrap()).lines();
    let mut stream = stream;
    while let Some(Ok(request)) = lines.next() {
        while lines.next().and_then(Result::ok).is_some_and(|line| !line.is_empty()) {}
        let body = answer(request.split(' ').nth(1).unwrap_or("/"));
        let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len());
        if stream.write_all(format!("{head}{body}").as_bytes()).is_err() {
            return;
        }
    }
}

fn answer(path: &str) -> String {
    match path {
        "/crash" => process::exit(3),
        "/slow" => {
            std::thread::sleep(Duration::from_millis(600));
            var("APP_VERSION")
        }
        "/orphan" => {
            // A grandchild whose parent ends: process 1 inherits it, and must collect it.
            let done = process::Command::new("/app").arg("none").status().unwrap();
            format!("{done}")
        }
        "/flood" => {
            for n in 0..60_000 {
                println!("{n:064}");
            }
            println!("the end of the flood");
            String::new()
        }
        "/isolation" => isolation(),
        _ => var("APP_VERSION"),
    }
}

fn isolation() -> String {
    let pids = fs::read_dir("/proc")
        .unwrap()
        .flatten()
        .filter(|entry| entry.file_name().to_string_lossy().bytes().all(|b| b.is_ascii_digit()));
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let wanted = ["Uid:", "Gid:", "CapEff:", "CapPrm:", "CapBnd:", "CapAmb:", "CapInh:", "NoNewPrivs:", "SigBlk:"];
    let status: Vec<&str> = status.lines().filter(|line| wanted.iter().any(|name| line.starts_with(name))).collect();
    let mut root: Vec<_> =
        fs::read_dir("/").unwrap().flatten().map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    root.sort();
    let attempt = |path: &str| match fs::write(path, "x") {
        Ok(()) => "yes".to_owned(),
        Err(error) => format!("{:?}", error.kind()),
    };
    let mut env: Vec<_> = std::env::vars().map(|(name, value)| format!("{name}={value}")).collect();
    env.sort();
    let lines = [
        format!("pid {}", process::id()),
        format!("pids {}", pids.count()),
        format!("root {}", root.join(" ")),
        format!("write / {}", attempt("/x")),
        format!("write /dev {}", attempt("/dev/x")),
        format!("write /tmp {}", attempt("/tmp/x")),
        format!("write /dev/shm {}", attempt("/dev/shm/x")),
        format!("write /dev/null {}", attempt("/dev/null")),
        format!("read init {:?}", fs::read_link("/proc/1/exe").map_err(|error| error.kind())),
        format!("host {}", fs::read_to_string("/proc/sys/kernel/hostname").unwrap().trim()),
        format!("folder {}", std::env::current_dir().unwrap().display()),
        format!(
            "core {}",
            fs::read_to_string("/proc/self/limits").unwrap().lines().find(|l| l.contains("core")).unwrap()
        ),
        format!("env {}", env.join(" ")),
        status.join("\n"),
    ];
    lines.join("\n")
}
