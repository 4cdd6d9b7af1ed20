use std::path::Path;
use std::sync::Arc;

use schleuse_journal::journal::CommitChoice;
use schleuse_journal::{Appended, CommitKind, Error};
use schleuse_process::Program;

use crate::world::{World, at, draft, promoted};

#[tokio::test(flavor = "multi_thread")]
async fn sixteen_writers_one_winner_a_sequence() {
    let world = Arc::new(World::new().await);
    world.promote(&world.journal("staging"), 99).await;
    for round in 0..3 {
        let head = world.journal("staging").head().await.unwrap();
        let writers: Vec<_> = (0..16_u8)
            .map(|n| {
                let (world, head) = (world.clone(), head.clone());
                tokio::spawn(async move {
                    let journal = world.journal("staging");
                    journal.append(head.as_ref(), draft(promoted(), n), &world.key, at(2000)).await.unwrap()
                })
            })
            .collect();
        let mut winners = Vec::new();
        for writer in writers {
            match writer.await.unwrap() {
                Appended::Won(entry) => winners.push(entry.digest().clone()),
                Appended::Lost(entry) => assert_eq!(entry.entry().sequence, round + 2),
            }
        }
        let head = world.journal("staging").head().await.unwrap().unwrap();
        assert_eq!(winners, [head.digest().clone()]);
    }
    assert_eq!(world.reader("staging").verify_all().await.unwrap().len(), 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_was_lost_is_no_lost_race() {
    let world = World::new().await;
    let journal = world.journal("staging");
    let first = journal.append(None, draft(promoted(), 1), &world.key, at(1)).await.unwrap();
    // The same entry again, as a retry after a broken connection would write it. (ECDSA is deterministic, RFC 6979.)
    let again = journal.append(None, draft(promoted(), 1), &world.key, at(1)).await.unwrap();
    assert!(matches!((first, again), (Appended::Won(_), Appended::Won(_))));
}

#[tokio::test(flavor = "multi_thread")]
async fn environments_with_a_common_beginning_do_not_meet() {
    let world = World::new().await;
    for environment in ["eu", "eu-1"] {
        world.promote(&world.journal(environment), 1).await;
    }
    world.promote(&world.journal("eu-1"), 2).await;
    assert_eq!(world.reader("eu").verify_all().await.unwrap().len(), 1);
    assert_eq!(world.reader("eu-1").verify_all().await.unwrap().len(), 2);
}

async fn git(folder: &Path, arguments: &[&str]) {
    let program = Program::new("git").search_path("/usr/local/bin:/usr/bin:/bin").args(arguments.iter().copied());
    program.current_dir(folder).env("HOME", folder).run().await.unwrap().require_success().unwrap();
}

pub(crate) async fn remote_and_checkout(folder: &Path) {
    git(folder, &["init", "--quiet", "--bare", "remote"]).await;
    git(folder, &["init", "--quiet", "checkout"]).await;
    git(&folder.join("checkout"), &["remote", "add", "origin", "../remote"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn git_refs_commit_and_witness() {
    let (world, folder) = (World::new().await, tempfile::tempdir().unwrap());
    remote_and_checkout(folder.path()).await;
    let journal = world.with_git("staging", folder.path(), CommitChoice::Git);
    let first = world.promote(&journal, 1).await;
    let second = world.promote(&journal, 2).await;
    assert_eq!((first.entry().commit, second.entry().sequence), (CommitKind::Git, 2));
    assert_eq!(journal.head().await.unwrap().unwrap(), second);

    // Without the remote, such a journal is not read at all: its end could not be proven.
    let blind = world.reader("staging").head().await.unwrap_err();
    assert!(matches!(blind, Error::NoCommitPoint { .. }), "{blind}");

    // Another image, `<image>/staging`, has refs of its own: they are not this environment's.
    let prefix = format!("refs/schleuse/{}/staging", world.names.image.to_string().replace(':', "+"));
    let (name, deeper) = (format!("{prefix}/0000000002"), format!("{prefix}/production/0000000001"));
    git(&folder.path().join("remote"), &["update-ref", &deeper, &name]).await;
    assert_eq!(journal.head().await.unwrap().unwrap(), second);

    // A ref that was removed is noticed.
    git(&folder.path().join("remote"), &["update-ref", "-d", &name]).await;
    let cut = journal.head().await.unwrap_err();
    assert!(cut.to_string().contains("forked"), "{cut}");
}

#[tokio::test(flavor = "multi_thread")]
async fn git_lets_one_of_many_win() {
    let (world, folder) = (Arc::new(World::new().await), tempfile::tempdir().unwrap());
    remote_and_checkout(folder.path()).await;
    let path = folder.path().to_owned();
    let writers: Vec<_> = (0..6_u8)
        .map(|n| {
            let (world, path) = (world.clone(), path.clone());
            tokio::spawn(async move {
                let journal = world.with_git("staging", &path, CommitChoice::Git);
                journal.append(None, draft(promoted(), n), &world.key, at(1)).await.unwrap()
            })
        })
        .collect();
    let mut won = 0;
    for writer in writers {
        won += usize::from(matches!(writer.await.unwrap(), Appended::Won(_)));
    }
    assert_eq!(won, 1);
    let journal = world.with_git("staging", &path, CommitChoice::Git);
    assert_eq!(journal.verify_all().await.unwrap().len(), 1);
}
