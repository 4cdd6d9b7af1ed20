//! Each way to falsify a journal, done once, and seen.

use schleuse_journal::Error;
use schleuse_journal::commit::registry::entry_tag;
use schleuse_oci::{ImageManifest, Manifest, Pull as _, Push as _};
use schleuse_sign::{Role, Statement, sign_statement};

use crate::world::{World, at, draft, promoted};

/// Points entry `sequence`'s tag at `manifest`: what somebody with push rights can do.
async fn overwrite(world: &World, sequence: u64, manifest: &Manifest) {
    let tag = entry_tag(&world.names.journal, &"staging".parse().unwrap(), sequence).unwrap();
    world.client.tag(&tag, manifest).await.unwrap();
}

async fn manifest(world: &World, sequence: u64) -> Manifest {
    let tag = entry_tag(&world.names.journal, &"staging".parse().unwrap(), sequence).unwrap();
    world.client.tagged(&tag).await.unwrap().unwrap()
}

async fn three_entries() -> World {
    let world = World::new().await;
    for n in 1..=3 {
        world.promote(&world.journal("staging"), n).await;
    }
    world
}

async fn refused(world: &World) -> String {
    let error = world.reader("staging").verify_all().await.unwrap_err();
    assert!(matches!(error, Error::Untrusted { .. } | Error::Truncated { .. }), "{error:?}");
    error.to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_whole_journal_verifies() {
    let world = three_entries().await;
    let entries = world.reader("staging").verify_all().await.unwrap();
    assert_eq!(entries.iter().map(|entry| entry.entry().sequence).collect::<Vec<_>>(), [3, 2, 1]);
    assert!(world.reader("production").head().await.unwrap().is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_entry_of_another_place_is_refused() {
    let world = three_entries().await;
    let old = manifest(&world, 1).await;
    overwrite(&world, 3, &old).await;
    let said = refused(&world).await;
    assert!(said.contains("it names sequence `1`, expected `3`"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_entry_of_another_environment_is_refused() {
    let world = three_entries().await;
    for n in 1..=3 {
        world.promote(&world.journal("dev"), n).await;
    }
    let tag = entry_tag(&world.names.journal, &"dev".parse().unwrap(), 3).unwrap();
    let foreign = world.client.tagged(&tag).await.unwrap().unwrap();
    overwrite(&world, 3, &foreign).await;
    assert!(refused(&world).await.contains("it names environment `dev`, expected `staging`"));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_entry_in_the_middle_that_was_replaced_is_seen() {
    let world = three_entries().await;
    // Validly signed, right place, but not the one that the third entry links to.
    let before = world.reader("staging").entry_at(1).await.unwrap();
    let rival = world.journal("staging");
    let lost = rival.append(Some(&before), draft(promoted(), 9), &world.key, at(5000)).await.unwrap();
    assert!(matches!(lost, schleuse_journal::Appended::Lost(_)));
    let mut forged: ImageManifest = manifest(&world, 2).await.as_image().unwrap();
    forged.annotations.insert("remark".to_owned(), "the same entry in another manifest".to_owned());
    overwrite(&world, 2, &forged.to_manifest()).await;
    assert!(refused(&world).await.contains("forked"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_envelope_is_refused() {
    let world = three_entries().await;
    let mut forged: ImageManifest = manifest(&world, 3).await.as_image().unwrap();
    let mut envelope = forged.layers[0].embedded().unwrap();
    let payload = envelope.windows(10).position(|window| window == b"\"payload\":").unwrap() + 40;
    envelope[payload] = if envelope[payload] == b'A' { b'B' } else { b'A' };
    forged.layers[0] = schleuse_oci::Descriptor::of(&forged.layers[0].media_type, &envelope).with_data(&envelope);
    world.client.push_blob(&world.names.journal, &forged.layers[0], envelope.into()).await.unwrap();
    overwrite(&world, 3, &forged.to_manifest()).await;
    let said = refused(&world).await;
    assert!(said.contains("entry #3"), "{said}");
}

/// Signed by a trusted key, in its place, and cut off from what was before: a walk must not take it for the beginning.
#[tokio::test(flavor = "multi_thread")]
async fn an_entry_that_is_cut_off_is_refused() {
    let world = three_entries().await;
    let mut entry = world.reader("staging").entry_at(3).await.unwrap().entry().clone();
    entry.previous = None;
    let predicate = schleuse_model::json::to_bytes(&entry);
    let kind = schleuse_model::predicate::JOURNAL_ENTRY_V1;
    let statement = Statement::new(kind, entry.image.to_string(), &entry.release.digest, predicate).unwrap();
    let envelope = sign_statement(&world.key, &statement).unwrap();
    let mut forged: ImageManifest = manifest(&world, 3).await.as_image().unwrap();
    forged.layers[0] = schleuse_oci::Descriptor::of(&forged.layers[0].media_type, &envelope).with_data(&envelope);
    world.client.push_blob(&world.names.journal, &forged.layers[0], envelope.into()).await.unwrap();
    overwrite(&world, 3, &forged.to_manifest()).await;
    let said = refused(&world).await;
    assert!(said.contains("it names no entry before it, and is not the first"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_without_the_build_role_writes_nothing_that_is_believed() {
    let world = three_entries().await;
    let trust = world.trust(&[Role::Approve]);
    let journal = schleuse_journal::Journal::new(
        world.names.clone(),
        "staging".parse().unwrap(),
        trust,
        world.client.clone(),
        None,
    );
    assert!(matches!(journal.head().await.unwrap_err(), Error::Untrusted { .. }));
    // And a writer whose key readers would not believe is stopped before it writes.
    let writer = journal.with_writer(world.writer(Default::default()));
    let error = writer.append(None, draft(promoted(), 1), &world.key, at(1)).await.unwrap_err();
    assert!(matches!(error, Error::Unfit { .. }), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_head_below_the_hint_is_truncation() {
    let world = three_entries().await;
    let journal = world.journal("staging");
    let head = journal.head().await.unwrap().unwrap();
    journal.leave_hint(&head).await.unwrap();
    assert_eq!(journal.head().await.unwrap().unwrap(), head);
    let tag = entry_tag(&world.names.journal, &"staging".parse().unwrap(), 3).unwrap();
    delete_tag(&world, &tag.to_string()).await;
    let error = journal.head().await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "staging's journal ends at #2, but the hint beside the image has seen #3: entries were removed"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gap_is_seen() {
    let world = three_entries().await;
    let tag = entry_tag(&world.names.journal, &"staging".parse().unwrap(), 2).unwrap();
    delete_tag(&world, &tag.to_string()).await;
    assert!(refused(&world).await.contains("it is missing, and a later one exists"));
}

/// `DELETE` of a tag, by hand: the client has no such verb.
async fn delete_tag(world: &World, tag: &str) {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let (host, rest) = tag.split_once('/').unwrap();
    let (repository, tag) = rest.rsplit_once(':').unwrap();
    assert_eq!(host, world.registry.addr().to_string());
    let mut stream = tokio::net::TcpStream::connect(world.registry.addr()).await.unwrap();
    let request =
        format!("DELETE /v2/{repository}/manifests/{tag} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 202"), "{answer}");
}
