//! The service that the scenarios ship: as `schleuse demo-app`, but of a few hundred KiB, so that an image of it is built, pulled
//! and unpacked in no time. It listens on `PORT`, says `APP_VERSION`, and is sick as `APP_FAULT` demands.
#![allow(
    clippy::disallowed_methods,
    clippy::expect_used,
    clippy::exit,
    reason = "a service of a few lines with nothing but the standard library; it ships with nothing"
)]

use std::io::{BufRead, BufReader, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::time::{Duration, Instant};

fn main() {
    let fault = var("APP_FAULT");
    if fault == "crash-at-start" {
        std::process::exit(9);
    }
    let began = Instant::now();
    if let Some(after) = millis(&fault, "crash-after=") {
        std::thread::spawn(move || {
            std::thread::sleep(after);
            std::process::exit(9);
        });
    }
    let sick_after = millis(&fault, "health-500-after=");
    let port = var("PORT").parse().expect("PORT is a number");
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).expect("the port is free");
    for stream in listener.incoming().flatten() {
        let sick = sick_after.is_some_and(|after| began.elapsed() >= after);
        let hangs = fault == "hang";
        std::thread::spawn(move || serve(stream, sick, hangs));
    }
}

fn var(name: &str) -> String {
    std::env::var(name).unwrap_or_default()
}

fn millis(fault: &str, name: &str) -> Option<Duration> {
    Some(Duration::from_millis(fault.strip_prefix(name)?.parse().ok()?))
}

/// One request, one answer.
fn serve(mut stream: TcpStream, sick: bool, hangs: bool) -> Option<()> {
    let mut lines = BufReader::new(stream.try_clone().ok()?).lines();
    let request = lines.next()?.ok()?;
    while !lines.next()?.ok()?.is_empty() {}
    if hangs {
        std::thread::sleep(Duration::from_secs(3600));
    }
    let (version, digest) = (var("APP_VERSION"), var("SCHLEUSE_DIGEST"));
    let (status, body) = match request.split(' ').nth(1)? {
        "/api/health" => {
            let status = if sick { "500 Internal Server Error" } else { "200 OK" };
            (status, format!(r#"{{"version":"{version}","digest":"{digest}"}}"#))
        }
        "/slow" => {
            std::thread::sleep(Duration::from_millis(500));
            ("200 OK", format!("billing {version}\n"))
        }
        _ => ("200 OK", format!("billing {version}\n")),
    };
    let length = body.len();
    let answer = format!("HTTP/1.1 {status}\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}");
    stream.write_all(answer.as_bytes()).ok()
}
