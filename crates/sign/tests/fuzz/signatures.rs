//! Bundles, envelopes, payloads, statements and recorded signatures, mutated.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use proptest::prelude::*;
use schleuse_model::json;
use schleuse_model::predicate::COSIGN_SIGN_V1;
use schleuse_oci::media_type;
use schleuse_sign::bundle::Bundle;
use schleuse_sign::candidate::{Origin, SIGNATURE_LIMIT};
use schleuse_sign::dsse::Envelope;
use schleuse_sign::{Candidate, Role, Signer as _, Statement, attestations, simple, verify_envelope};

use crate::cases;
use crate::documents::{World, world};
use crate::memory::{alone, bounded};
use crate::mutation::{Change, changed, changes};

/// Every bundle that is accepted carries the statement that was signed, to the byte.
fn bundles(world: &World, bytes: &[u8]) {
    let read = bounded("a bundle", bytes.len(), || Bundle::parse(bytes, SIGNATURE_LIMIT));
    let candidate = Candidate::bundle(Origin::Carried, bytes.to_vec());
    let verified = bounded("a bundle's check", bytes.len(), || world.check(&world.image, &candidate, &world.trust));
    if let Ok(verified) = verified {
        assert_eq!(read.unwrap().envelope.payload(), world.statement().payload());
        assert_eq!(verified.signer().key(), world.build.public_key());
    }
    world.is_nobody_else_s(&candidate);
    let found = bounded("a bundle as an attestation", bytes.len(), || {
        attestations(world.image.digest(), std::slice::from_ref(&candidate), &world.misled, Role::Build, COSIGN_SIGN_V1)
    });
    assert!(found.accepted.is_empty());
}

fn envelopes(world: &World, bytes: &[u8]) {
    let verified =
        bounded("an envelope", bytes.len(), || verify_envelope(bytes, &world.trust, Role::Build, SIGNATURE_LIMIT));
    if let Ok(verified) = verified {
        assert_eq!(verified.statement(), &world.statement());
    }
    assert!(verify_envelope(bytes, &world.misled, Role::Build, SIGNATURE_LIMIT).is_err());
    let candidate = Candidate::envelope(Origin::Carried, bytes.to_vec());
    assert!(world.check(&world.image, &candidate, &world.trust).is_err(), "a bare envelope is no signature");
}

fn recorded(world: &World, bytes: &[u8]) {
    let candidate = bounded("recorded evidence", bytes.len(), || Candidate::from_evidence(bytes));
    let verified = bounded("its check", bytes.len(), || world.check(&world.image, &candidate, &world.trust));
    if let Ok(verified) = verified {
        assert_eq!(verified.signer().key(), world.build.public_key());
    }
    world.is_nobody_else_s(&candidate);
}

/// A payload under the signature of the one that was signed; and truly signed as it is, by us and by a stranger.
fn payloads(world: &World, bytes: &[u8]) {
    let read = bounded("a payload", bytes.len(), || simple::read(bytes));
    let with = |signature| Candidate::simple(Origin::Carried, bytes.to_vec(), signature);
    let kept = with(world.signature(&world.payload(), &world.build));
    if world.check(&world.image, &kept, &world.trust).is_ok() {
        assert_eq!(bytes, world.payload());
    }
    world.is_nobody_else_s(&kept);
    let resigned = with(world.signature(bytes, &world.build));
    let verified = bounded("a payload's check", bytes.len(), || world.check(&world.image, &resigned, &world.trust));
    let about = read.ok().map(|read| read.digest);
    assert_eq!(verified.is_ok(), about.as_ref() == Some(world.image.digest()));
    world.is_nobody_else_s(&resigned);
}

/// What an independent reader sees in a statement: a signature of the image, or not. Shapes aside, which only we look at.
fn signs_it(world: &World, bytes: &[u8]) -> bool {
    let Ok(value) = json::from_untrusted::<serde_json::Value>(bytes, bytes.len()) else { return false };
    let about = |subject: &serde_json::Value| subject["digest"]["sha256"] == world.image.digest().hex();
    value["predicateType"] == COSIGN_SIGN_V1
        && value["subject"].as_array().is_some_and(|subjects| subjects.iter().any(about))
}

/// A statement under the signature of the one that was signed; and truly signed as it is.
fn statements(world: &World, bytes: &[u8]) {
    let read = bounded("a statement", bytes.len(), || Statement::parse(bytes.to_vec().into(), SIGNATURE_LIMIT));
    if let Ok(read) = read {
        assert!(read.is_about(world.image.digest()) || !signs_it(world, bytes));
    }
    let text = String::from_utf8(world.bundle()).unwrap();
    let put = |from: &str, to: &[u8]| text.replace(from, &STANDARD.encode(to)).into_bytes();
    let original = STANDARD.encode(world.statement().payload());
    bundles(world, &put(&original, bytes));
    let signed = Envelope::sign(media_type::IN_TOTO, bytes.to_vec().into(), &world.build).unwrap().to_bytes();
    let start = text.find(r#""dsseEnvelope":"#).unwrap() + r#""dsseEnvelope":"#.len();
    let resigned = [&text.as_bytes()[..start], &signed, b"}"].concat();
    let candidate = Candidate::bundle(Origin::Carried, resigned);
    let size = bytes.len();
    if bounded("a signed statement's check", size, || world.check(&world.image, &candidate, &world.trust)).is_ok() {
        assert!(signs_it(world, bytes));
    }
    world.is_nobody_else_s(&candidate);
}

type Reader = fn(&World, &[u8]);

/// Each kind of document, with everything that reads it.
fn kinds(world: &World) -> [(Vec<u8>, Reader); 5] {
    [
        (world.bundle(), bundles),
        (world.envelope(), envelopes),
        (world.evidence(), recorded),
        (world.payload(), payloads),
        (world.statement().payload().to_vec(), statements),
    ]
}

fn all(kind: usize, next: usize, changes: &[Change]) {
    let _alone = alone();
    let kinds = kinds(world());
    let other = &kinds[(kind + next) % kinds.len()].0;
    let (document, reader) = &kinds[kind];
    reader(world(), &changed(document, other, changes));
}

#[test]
fn the_documents_themselves_are_good() {
    let _alone = alone();
    let world = world();
    kinds(world).iter().for_each(|(document, reader)| reader(world, document));
    for candidate in [Candidate::bundle(Origin::Carried, world.bundle()), Candidate::from_evidence(&world.evidence())] {
        world.check(&world.image, &candidate, &world.trust).unwrap();
    }
    verify_envelope(&world.envelope(), &world.trust, Role::Build, SIGNATURE_LIMIT).unwrap();
}

macro_rules! mutated {
    ($($name:ident: $kind:literal),+ $(,)?) => {
        proptest! {
            #![proptest_config(cases(150))]
            $(#[test]
            fn $name(next in 0_usize..5, changes in changes()) {
                all($kind, next, &changes);
            })+
        }
    };
}

mutated![
    mutated_bundles: 0,
    mutated_envelopes: 1,
    mutated_recorded_signatures: 2,
    mutated_payloads: 3,
    mutated_statements: 4,
];

proptest! {
    #![proptest_config(cases(60))]

    #[test]
    fn heaps_of_bytes(bytes in prop::collection::vec(any::<u8>(), 0..2_000), text in ".{0,400}") {
        let _alone = alone();
        for (_, reader) in kinds(world()) {
            reader(world(), &bytes);
            reader(world(), text.as_bytes());
        }
    }
}
