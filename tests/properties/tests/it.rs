//! The properties, with documents that are nearly right: made from good ones by small changes. Random bytes alone are refused by the
//! first check they meet.
#![allow(clippy::disallowed_methods, clippy::panic, clippy::unwrap_used, reason = "a test fails by panicking")]

use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use schleuse_properties::{TARGETS, Target};

/// Documents tried for each property, in `make test` and in `make soak`.
const CASES: u32 = 300;
const SOAK_CASES: u32 = 20_000;

/// Good documents, and parts of some, by property.
fn seeds(name: &str) -> Vec<Vec<u8>> {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("seeds").join(name);
    let mut seeds: Vec<_> = std::fs::read_dir(&folder)
        .unwrap_or_else(|error| panic!("{}: {error}", folder.display()))
        .map(|entry| std::fs::read(entry.unwrap().path()).unwrap())
        .collect();
    assert!(!seeds.is_empty());
    seeds.sort();
    seeds
}

/// A small change.
#[derive(Clone, Debug)]
enum Change {
    Set(usize, u8),
    Flip(usize, u8),
    Cut(usize, usize),
    Double(usize, usize),
    Insert(usize, Vec<u8>),
    End(usize),
}

fn change() -> impl Strategy<Value = Change> {
    let at = || any::<usize>();
    let short = || 1..40_usize;
    let token = prop_oneof![
        Just(b"..".to_vec()),
        Just(b"/".to_vec()),
        Just(b"\"".to_vec()),
        Just(b"99999999999999999999".to_vec()),
        Just(b"-1".to_vec()),
        Just(b",".to_vec()),
        Just("\u{202e}".as_bytes().to_vec()),
        Just(vec![0xff]),
        proptest::collection::vec(any::<u8>(), 1..8),
    ];
    prop_oneof![
        3 => (at(), any::<u8>()).prop_map(|(at, byte)| Change::Set(at, byte)),
        3 => (at(), 0..8_u8).prop_map(|(at, bit)| Change::Flip(at, bit)),
        2 => (at(), short()).prop_map(|(at, length)| Change::Cut(at, length)),
        1 => (at(), prop_oneof![short(), Just(512_usize)]).prop_map(|(at, length)| Change::Double(at, length)),
        3 => (at(), token).prop_map(|(at, bytes)| Change::Insert(at, bytes)),
        1 => at().prop_map(Change::End),
    ]
}

fn changed(mut bytes: Vec<u8>, changes: &[Change]) -> Vec<u8> {
    for change in changes {
        let length = bytes.len().max(1);
        let place = |at: &usize| at % length;
        match change {
            _ if bytes.is_empty() => break,
            Change::Set(at, byte) => bytes[place(at)] = *byte,
            Change::Flip(at, bit) => bytes[place(at)] ^= 1 << bit,
            Change::Cut(at, count) => drop(bytes.drain(place(at)..(place(at) + count).min(length))),
            Change::Double(at, count) => {
                let part = bytes[place(at)..(place(at) + count).min(length)].to_vec();
                let at = place(at);
                bytes.splice(at..at, part);
            }
            Change::Insert(at, more) => {
                let at = place(at);
                bytes.splice(at..at, more.iter().copied());
            }
            Change::End(at) => bytes.truncate(place(at)),
        }
    }
    bytes
}

fn hold(target: Target) {
    let (name, property) = target;
    let seeds = seeds(name);
    seeds.iter().for_each(|seed| property(seed));
    let soak = std::env::var_os("SCHLEUSE_SOAK").is_some();
    let config = ProptestConfig { cases: if soak { SOAK_CASES } else { CASES }, ..ProptestConfig::default() };
    let document = (proptest::sample::select(seeds), proptest::collection::vec(change(), 1..6));
    let documents = document.prop_map(|(seed, changes)| changed(seed, &changes));
    TestRunner::new(config)
        .run(&documents, |document| {
            property(&document);
            Ok(())
        })
        .unwrap();
}

fn target(name: &str) -> Target {
    *TARGETS.iter().find(|(known, _)| *known == name).unwrap()
}

/// What is tried goes beyond the first check: good layers are unpacked, bad ones are not.
#[test]
fn good_layers_and_bad_ones() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("seeds/layer");
    let unpacks = |name: &str| schleuse_properties::tarballs::unpacks(&std::fs::read(folder.join(name)).unwrap());
    for good in ["plain.tar", "gnu-long.tar", "pax-long.tar", "whiteouts.tar", "devices.tar"] {
        assert!(unpacks(good), "{good}");
    }
    for bad in ["escapes.tar", "link-escape.tar"] {
        assert!(!unpacks(bad), "{bad}");
    }
}

macro_rules! held {
    ($($name:ident),*) => {
        $(#[test] fn $name() { hold(target(stringify!($name))); })*

        #[test]
        fn none_is_left_out() {
            assert_eq!(TARGETS.map(|(name, _)| name), [$(stringify!($name)),*]);
            // Nor in the long runs.
            let fuzz = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/fuzz_targets");
            for (name, _) in TARGETS {
                assert!(fuzz.join(format!("{name}.rs")).is_file(), "{name} has no fuzz target");
            }
        }
    };
}

held!(reference, manifest, index, layer, archive, headers, challenge);
