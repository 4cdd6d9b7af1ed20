//! The disk fails: each operation of each step once, with "no space left" and with "input/output error".

use hyper::StatusCode;

use super::power::{Seen, after, play};
use super::scenario::{How, Refused, Server, Step};
use super::volume::{CrashVolume, Fault};

const EIO: i32 = 5;
const ENOSPC: i32 = 28;

/// A refusal that says what is wrong in the specification's words, and nothing about this machine.
fn judge(refused: &Refused, error: i32) -> Result<(), String> {
    let got = match refused {
        Refused::Answer(got) => got,
        Refused::Collector(schleuse_registry::Error::Storage { .. }) => return Ok(()),
        Refused::Collector(error) => return Err(format!("{error:?}")),
    };
    let wanted = if error == ENOSPC { StatusCode::INSUFFICIENT_STORAGE } else { StatusCode::INTERNAL_SERVER_ERROR };
    let text = String::from_utf8_lossy(&got.body);
    if got.status != wanted || (!got.body.is_empty() && got.code() != "UNKNOWN") || text.contains("secret") {
        return Err(format!("{got:?}"));
    }
    Ok(())
}

/// Whatever operation fails: the client is told, nothing that was acknowledged is harmed, the registry goes on serving, the next
/// try succeeds, and what it then promises outlives a power cut (a sync that has failed is not trusted the second time).
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_operation_fails_once() {
    let played = play().await;
    let (mut failures, mut unharmed, mut seen) = (0, 0, Seen::default());
    for (number, step) in played.steps.iter().enumerate() {
        let (before, next) = (&played.worlds[number], &played.worlds[number + 1]);
        // How many operations it takes, in a process that has just started.
        let volume = CrashVolume::holding(played.disks[number].clone());
        let mut server = Server::on(&volume).await;
        let first = volume.count();
        server.run(step, How::First).await.unwrap();
        for at in first..volume.count() {
            for error in [EIO, ENOSPC] {
                let volume = CrashVolume::holding(played.disks[number].clone()).with_fault(Fault::Fail(at, error));
                let mut server = Server::on(&volume).await;
                let answer = server.run(step, How::First).await;
                let hit = volume.hit().unwrap();
                let context = format!("error {error} at {} {:?} in {step:?}", hit.what, hit.path);
                match &answer {
                    Ok(()) => unharmed += 1,
                    Err(refused) => judge(refused, error).unwrap_or_else(|error| panic!("{context}: {error}")),
                }
                failures += 1;
                let before = if answer.is_ok() { next } else { before };
                if answer.is_err() && !matches!(step, Step::DeleteManifest { .. }) {
                    // Who was refused has not moved a tag; a manifest's tags go before it does.
                    let tags = server.tags_are(before, &played.universe).await;
                    tags.unwrap_or_else(|error| panic!("{context}: {error}"));
                }
                let check = server.check(before, next, &played.universe).await;
                check.unwrap_or_else(|error| panic!("{context}: {error}"));
                let again = server.run(step, How::Looking).await;
                again.unwrap_or_else(|refused| panic!("{context}: not done again: {refused:?}"));
                server.check(next, next, &played.universe).await.unwrap_or_else(|error| panic!("{context}: {error}"));
                let recovered = played.all_recover(&volume.disk(), after(number + 1), &mut seen).await;
                recovered.unwrap_or_else(|error| panic!("{context}, done again, then a power cut: {error}"));
            }
        }
    }
    println!("{failures} failures, {unharmed} without harm; {} states after a power cut", seen.visited());
    assert!(failures > 300 && unharmed < failures / 10, "{failures} failures, {unharmed} without harm");
}

/// A disk that fails while the folder is opened: no registry, and one at the next try.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_opening_that_fails() {
    let played = play().await;
    // In the middle of an upload: something is to be swept.
    let moments = [played.disks[0].clone(), played.interrupted()];
    let mut failures = 0;
    for disk in moments {
        for at in 0.. {
            let volume = CrashVolume::holding(disk.clone()).with_fault(Fault::Fail(at, EIO));
            let opened = Server::try_on(&volume).await;
            if volume.hit().is_none() {
                opened.unwrap();
                break;
            }
            assert!(matches!(opened, Err(schleuse_registry::Error::Storage { .. })), "{:?}", volume.hit());
            failures += 1;
            Server::on(&volume).await;
        }
    }
    assert!(failures > 2, "{failures}");
}
