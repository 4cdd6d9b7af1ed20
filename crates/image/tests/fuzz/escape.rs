//! Whatever an image says: nothing outside the root changes, and nothing panics.

use std::cell::Cell;

use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use schleuse_image::Ownership;

use crate::support::{Bench, LayerBytes, Memory, Tar, names};

// Most sequences are meant to get as far as writing: hostile paths are rare, hostile links are not.

/// Few names, so that entries meet: files become folders, links lead to what others write through.
fn path() -> impl Strategy<Value = Vec<u8>> {
    let part = prop_oneof![
        60 => prop::sample::select(vec!["a", "b", "c", "file"]),
        1 => prop::sample::select(vec!["..", ".", "", ".wh...", ".wh."]),
    ];
    let last = prop::option::weighted(0.1, prop::sample::select(vec![".wh.a", ".wh.b", ".wh.file", ".wh..wh..opq"]));
    let joined = (prop::collection::vec(part, 1..4), last)
        .prop_map(|(parts, last)| parts.into_iter().chain(last).collect::<Vec<_>>().join("/").into_bytes());
    prop_oneof![
        40 => joined,
        1 => prop::collection::vec(any::<u8>(), 0..30),
    ]
}

fn link_target() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        3 => prop::sample::select(vec!["../outside", "../outside/file", "..", ".", "a", "../root/b", "a/../..", "/nonexistent"])
            .prop_map(|target| target.as_bytes().to_vec()),
        1 => path(),
    ]
}

type RawEntry = (u8, Vec<u8>, Vec<u8>, u32, Vec<u8>);

fn entry() -> impl Strategy<Value = RawEntry> {
    let kind = prop_oneof![
        20 => Just(b'0'),
        20 => Just(b'5'),
        25 => Just(b'2'),
        15 => Just(b'1'),
        5 => prop::sample::select(vec![b'3', b'6', b'7', 0]),
        1 => prop::sample::select(vec![b'L', b'K', b'x', b'g', b'S']),
    ];
    (kind, path(), link_target(), 0..0o10000_u32, prop::collection::vec(any::<u8>(), 0..20)).prop_map(
        |(kind, path, target, mode, content)| {
            let content = if matches!(kind, b'1' | b'2' | b'3' | b'5' | b'6') { Vec::new() } else { content };
            (kind, path, target, mode, content)
        },
    )
}

fn tar(entries: &[RawEntry]) -> Tar {
    entries
        .iter()
        .fold(Tar::new(), |tar, (kind, path, target, mode, content)| tar.raw(*kind, path, target, *mode, content))
}

/// Unpacks each of `cases` generated images; the bench itself looks whether anything beside the root changed. `written`: how
/// many of them at least must have got as far as being written, lest this test only shows that everything is refused.
fn run<S: Strategy>(cases: u32, written: u32, images: S, layers: impl Fn(S::Value) -> Vec<LayerBytes>) {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let bench = Bench::new();
    let good = Cell::new(0);
    let config = crate::cases(cases);
    // As many of them in a long run.
    let written = written * (config.cases / cases);
    let result = TestRunner::new(config).run(&images, |image| {
        let (memory, image) = Memory::image(layers(image));
        let unpacked = runtime.block_on(bench.unpack_from(&memory, &image, Ownership::Ours));
        if unpacked.is_ok() {
            good.set(good.get() + 1);
        } else if bench.root().exists() {
            prop_assert_eq!(names(&bench.root()), Vec::<String>::new());
        }
        if bench.root().exists() {
            std::fs::remove_dir_all(bench.root()).unwrap();
        }
        Ok(())
    });
    result.unwrap();
    assert!(good.get() >= written, "only {} of {cases} were written", good.get());
}

#[test]
fn no_sequence_of_entries_leads_out() {
    let images = prop::collection::vec(prop::collection::vec(entry(), 0..6), 1..4);
    run(1000, 150, images, |layers| layers.iter().map(|entries| tar(entries).into()).collect());
}

#[test]
fn no_damage_to_an_archive_does_harm() {
    let damage = prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4);
    let images = (prop::collection::vec(entry(), 1..5), damage, any::<prop::sample::Index>());
    run(700, 35, images, |(entries, damage, cut)| {
        let mut bytes = tar(&entries).bytes();
        for (at, byte) in damage {
            let at = at.index(bytes.len());
            bytes[at] = byte;
            // With the checksum made good again, or the damage would always end there.
            let start = at / 512 * 512;
            let mut header = tar::Header::from_byte_slice(&bytes[start..start + 512]).clone();
            header.set_cksum();
            bytes[start..start + 512].copy_from_slice(header.as_bytes());
        }
        bytes.truncate(bytes.len() - cut.index(bytes.len()) / 4);
        vec![bytes.into()]
    });
}
