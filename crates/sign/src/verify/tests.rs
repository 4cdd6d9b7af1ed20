//! Each rule is broken once, and seen to hold.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use proptest::prelude::*;
use rand_core::OsRng;
use schleuse_model::Explain as _;
use schleuse_model::predicate::{COSIGN_SIGN_V1, SLSA_PROVENANCE_V1};
use schleuse_oci::media_type;

use std::collections::BTreeMap;

use super::*;
use crate::dsse::Envelope;
use crate::error::Malformed;
use crate::keys::{KeyPair, Signer};
use crate::{bundle, legacy, sign_statement, simple};

mod demanded;
mod revoked;

const NOW: Timestamp = Timestamp::UNIX_EPOCH;

struct World {
    image: PinnedRef,
    build: KeyPair,
    person: KeyPair,
    stranger: KeyPair,
    trust: Trust,
}

fn world() -> World {
    let key = || KeyPair::generate(&mut OsRng).unwrap();
    let (build, person, stranger) = (key(), key(), key());
    let trust = Trust::new([
        TrustedKey::new(build.public_key().clone(), [Role::Build]),
        TrustedKey::new(person.public_key().clone(), [Role::Approve]).of("ada"),
    ])
    .unwrap();
    let image = format!("ghcr.io/acme/billing@{}", Digest::sha256(b"the image")).parse().unwrap();
    World { image, build, person, stranger, trust }
}

impl World {
    fn bundle(&self, signer: &dyn Signer) -> Vec<u8> {
        bundle::sign(signer, &Statement::signature(self.image.digest(), &BTreeMap::new()).unwrap()).unwrap()
    }

    fn simple(&self, signer: &dyn Signer) -> Candidate {
        let payload = simple::payload(self.image.repository(), self.image.digest(), None, &BTreeMap::new());
        let signature = STANDARD.encode(signer.sign(&payload).unwrap());
        Candidate::simple(Origin::Carried, payload, signature)
    }

    fn check(&self, bundle: impl Into<Bytes>) -> Result<Verified, VerifyError> {
        verify(&self.image, &[Candidate::bundle(Origin::Carried, bundle)], &self.trust, Role::Build, NOW)
    }

    /// The one reason why this bundle is refused.
    fn refused(&self, bundle: impl Into<Bytes>) -> Reason {
        one_reason(self.check(bundle).unwrap_err())
    }

    fn provenance(&self, signer: &dyn Signer) -> Vec<u8> {
        let statement = Statement::new(SLSA_PROVENANCE_V1, "billing", self.image.digest(), b"{}").unwrap();
        bundle::sign(signer, &statement).unwrap()
    }
}

fn one_reason(error: VerifyError) -> Reason {
    assert_eq!(error.exit(), schleuse_model::Exit::Untrusted);
    match error {
        VerifyError::NotTrusted { mut rejected, .. } if rejected.len() == 1 => rejected.remove(0).reason,
        other => panic!("expected one rejection, got {other:?}"),
    }
}

fn replaced(bytes: &[u8], from: &str, to: &str) -> Vec<u8> {
    let text = std::str::from_utf8(bytes).unwrap();
    assert!(text.contains(from), "{text} lacks {from}");
    text.replacen(from, to, 1).into_bytes()
}

#[test]
fn both_formats_by_the_build_key_are_accepted() {
    let world = world();
    let bytes = world.bundle(&world.build);
    let verified = world.check(bytes.clone()).unwrap();
    assert_eq!((verified.image(), verified.role(), verified.at()), (&world.image, Role::Build, NOW));
    assert_eq!(verified.signer().key(), world.build.public_key());
    assert_eq!((verified.evidence(), verified.evidence_digest()), (&bytes[..], Digest::sha256(&bytes)));
    let legacy = verify(&world.image, &[world.simple(&world.build)], &world.trust, Role::Build, NOW).unwrap();
    assert_eq!(legacy.signer(), verified.signer());
}

#[test]
fn recorded_evidence_is_checked_like_any_other() {
    let world = world();
    let other: PinnedRef = format!("ghcr.io/acme/billing@{}", Digest::sha256(b"other")).parse().unwrap();
    for candidate in [Candidate::bundle(Origin::Carried, world.bundle(&world.build)), world.simple(&world.build)] {
        let found = verify(&world.image, &[candidate], &world.trust, Role::Build, NOW).unwrap();
        let again = verify_evidence(&world.image, found.evidence(), &world.trust, Role::Build, NOW).unwrap();
        assert_eq!(again, found);
        let wrong = verify_evidence(&other, found.evidence(), &world.trust, Role::Build, NOW).unwrap_err();
        assert!(matches!(one_reason(wrong), Reason::WrongDigest { .. }));
        let nobody = verify_evidence(&world.image, found.evidence(), &Trust::default(), Role::Build, NOW);
        assert!(matches!(nobody, Err(VerifyError::NobodyTrusted { .. })));
    }
}

#[test]
fn an_attestation_does_not_pass_as_a_signature() {
    let world = world();
    let reason = world.refused(world.provenance(&world.build));
    assert_eq!(reason, Reason::NotASignature { predicate_type: SLSA_PROVENANCE_V1.to_owned() });
    // Nor does the signature itself as a bare envelope among the attestations.
    let envelope =
        sign_statement(&world.build, &Statement::signature(world.image.digest(), &BTreeMap::new()).unwrap()).unwrap();
    let bare = Candidate::envelope(Origin::Carried, envelope);
    let error = verify(&world.image, &[bare], &world.trust, Role::Build, NOW).unwrap_err();
    assert!(matches!(one_reason(error), Reason::NotASignature { .. }));
}

#[test]
fn a_signature_of_another_image_is_not_this_one_s() {
    let world = world();
    let other = Statement::signature(&Digest::sha256(b"another image"), &BTreeMap::new()).unwrap();
    let reason = world.refused(bundle::sign(&world.build, &other).unwrap());
    assert_eq!(reason, Reason::WrongDigest { found: Digest::sha256(b"another image").to_string() });

    let payload = simple::payload(world.image.repository(), &Digest::sha256(b"another image"), None, &BTreeMap::new());
    let signature = STANDARD.encode(world.build.sign(&payload).unwrap());
    let legacy = Candidate::simple(Origin::Carried, payload, signature);
    let error = verify(&world.image, &[legacy], &world.trust, Role::Build, NOW).unwrap_err();
    assert!(matches!(one_reason(error), Reason::WrongDigest { .. }));

    // The digest under another algorithm's name is another digest.
    let hex = world.image.digest().hex();
    let swapped = format!(
        r#"{{"_type":"https://in-toto.io/Statement/v1","subject":[{{"digest":{{"sha512":"{hex}"}}}}],"predicateType":"{COSIGN_SIGN_V1}"}}"#
    );
    let statement = Statement::parse(swapped.into(), 4096).unwrap();
    assert!(matches!(world.refused(bundle::sign(&world.build, &statement).unwrap()), Reason::WrongDigest { .. }));
}

#[test]
fn the_hint_decides_nothing() {
    let world = world();
    let (ours, theirs) = (world.build.public_key().hint(), world.stranger.public_key().hint());
    // Signed by us, names a stranger: still ours.
    let misnamed = replaced(&world.bundle(&world.build), &ours, &theirs);
    assert_eq!(world.check(misnamed).unwrap().signer().key(), world.build.public_key());
    // Signed by a stranger, names us: not ours, and said so.
    let posing = replaced(&world.bundle(&world.stranger), &theirs, &ours);
    assert_eq!(world.refused(posing), Reason::BadSignature { key: world.build.public_key().fingerprint() });
    assert_eq!(world.refused(world.bundle(&world.stranger)), Reason::UnknownKey { hint: Some(theirs) });
}

#[test]
fn a_payload_written_anew_is_not_the_payload_that_was_signed() {
    let world = world();
    let statement = Statement::signature(world.image.digest(), &BTreeMap::new()).unwrap();
    let spaced = [statement.payload().as_ref(), b" "].concat();
    let changed =
        replaced(&world.bundle(&world.build), &STANDARD.encode(statement.payload()), &STANDARD.encode(&spaced));
    assert_eq!(world.refused(changed), Reason::BadSignature { key: world.build.public_key().fingerprint() });
}

#[test]
fn the_payload_type_is_signed_too_and_must_be_a_statement_s() {
    let world = world();
    let renamed = replaced(&world.bundle(&world.build), media_type::IN_TOTO, "application/json");
    assert!(matches!(world.refused(renamed), Reason::BadSignature { .. }));
    // Truly signed as another type: the signature is good, the type is not.
    let payload = Statement::signature(world.image.digest(), &BTreeMap::new()).unwrap().payload().clone();
    let other = Envelope::sign("application/json", payload.clone(), &world.build).unwrap().to_bytes();
    let reason = verify_envelope(&other, &world.trust, Role::Build, 4096).unwrap_err();
    assert_eq!(reason, Reason::PayloadType { found: "application/json".to_owned() });
    // A bare signature over the payload, as the legacy format has it, is not one over the envelope; nor the reverse.
    let bare = STANDARD.encode(world.build.sign(&payload).unwrap());
    let dsse = STANDARD.encode(world.build.sign(&crate::dsse::pae(media_type::IN_TOTO, &payload)).unwrap());
    let confused = replaced(&world.bundle(&world.build), &dsse, &bare);
    assert!(matches!(world.refused(confused), Reason::BadSignature { .. }));
    let simple = simple::payload(world.image.repository(), world.image.digest(), None, &BTreeMap::new());
    let enveloped = STANDARD.encode(world.build.sign(&crate::dsse::pae(media_type::SIMPLE_SIGNING, &simple)).unwrap());
    let candidate = Candidate::simple(Origin::Carried, simple, enveloped);
    let error = verify(&world.image, &[candidate], &world.trust, Role::Build, NOW).unwrap_err();
    assert!(matches!(one_reason(error), Reason::UnknownKey { .. }));
}

#[test]
fn a_key_trusted_for_something_else_is_not_trusted() {
    let world = world();
    let reason = world.refused(world.bundle(&world.person));
    let person = world.person.public_key().fingerprint();
    assert_eq!(reason, Reason::WrongRole { key: person, holds: vec![Role::Approve], needed: Role::Build });
    let approved = Candidate::bundle(Origin::Carried, world.bundle(&world.person));
    let verified = verify(&world.image, &[approved], &world.trust, Role::Approve, NOW).unwrap();
    assert_eq!(verified.signer().person(), Some("ada"));
    let nobody = verify(&world.image, &[], &world.trust, Role::BreakGlass, NOW).unwrap_err();
    assert_eq!(nobody.exit(), schleuse_model::Exit::Usage);
}

#[test]
fn one_bad_candidate_does_not_hide_a_good_one_and_each_is_accounted_for() {
    let world = world();
    let bundle = |signer: &dyn Signer| Candidate::bundle(Origin::Carried, world.bundle(signer));
    let candidates = [bundle(&world.stranger), bundle(&world.person), bundle(&world.build)];
    assert!(verify(&world.image, &candidates, &world.trust, Role::Build, NOW).is_ok());
    let error = verify(&world.image, &candidates[..2], &world.trust, Role::Build, NOW).unwrap_err();
    let text = error.to_string();
    assert!(
        text.contains("not signed by any trusted key") && text.contains("trusted for approve, not for build"),
        "{text}"
    );
    assert!(error.hints()[0].contains("as `build` under [trust]"), "{:?}", error.hints());
    let none = verify(&world.image, &[], &world.trust, Role::Build, NOW).unwrap_err();
    assert!(matches!(none, VerifyError::NoSignature { .. }));
}

#[test]
fn a_damaged_signature_is_a_bad_one() {
    let world = world();
    let good = world.bundle(&world.build);
    let statement = Statement::signature(world.image.digest(), &BTreeMap::new()).unwrap();
    let mut signature = world.build.sign(&crate::dsse::pae(media_type::IN_TOTO, statement.payload())).unwrap();
    let text = STANDARD.encode(&signature);
    let last = signature.len() - 1;
    signature[last] ^= 1;
    let bad = world.refused(replaced(&good, &text, &STANDARD.encode(&signature)));
    assert_eq!(bad, Reason::BadSignature { key: world.build.public_key().fingerprint() });
    // Trailing bytes after the DER: another encoding of the same signature is not accepted.
    signature[last] ^= 1;
    signature.push(0);
    let padded = world.refused(replaced(&good, &text, &STANDARD.encode(&signature)));
    assert!(matches!(padded, Reason::BadSignature { .. }));
}

#[test]
fn duplicate_keys_and_oversize_are_refused() {
    let world = world();
    let good = world.bundle(&world.build);
    let twice = replaced(&good, r#""payloadType""#, r#""payloadType":"x","payloadType""#);
    assert!(world.refused(twice).to_string().contains("stands twice"));
    let large = [good.as_slice(), &vec![b' '; SIGNATURE_LIMIT]].concat();
    assert!(world.refused(large.clone()).to_string().contains("at most 262144"));
    let recorded = verify_evidence(&world.image, &large, &world.trust, Role::Build, NOW).unwrap_err();
    assert!(one_reason(recorded).to_string().contains("at most 262144"));
    // Signed with a duplicate key inside the statement: whoever signed it, two readers could see two things.
    let payload = Statement::signature(world.image.digest(), &BTreeMap::new()).unwrap().payload().clone();
    let doubled = replaced(&payload, r#""predicate":{}"#, r#""predicate":{},"predicateType":"x""#);
    let envelope = Envelope::sign(media_type::IN_TOTO, doubled.into(), &world.build).unwrap().to_bytes();
    let reason = verify_envelope(&envelope, &world.trust, Role::Build, 4096).unwrap_err();
    assert!(reason.to_string().contains("stands twice"));
}

#[test]
fn every_truncation_is_refused() {
    let world = world();
    let bundle = world.bundle(&world.build);
    let envelope =
        sign_statement(&world.build, &Statement::signature(world.image.digest(), &BTreeMap::new()).unwrap()).unwrap();
    let evidence = world.simple(&world.build).evidence().unwrap();
    for length in 0..bundle.len() {
        assert!(world.check(bundle[..length].to_vec()).is_err(), "{length}");
    }
    for length in 0..envelope.len() {
        assert!(verify_envelope(&envelope[..length], &world.trust, Role::Build, 4096).is_err(), "{length}");
    }
    for length in 0..evidence.len() {
        assert!(
            verify_evidence(&world.image, &evidence[..length], &world.trust, Role::Build, NOW).is_err(),
            "{length}"
        );
    }
}

#[test]
fn statements_are_of_the_type_and_about_the_subject_asked_for() {
    let world = world();
    let statement = Statement::new("urn:x", "billing", world.image.digest(), br#"{"a":1}"#).unwrap();
    let envelope = sign_statement(&world.build, &statement).unwrap();
    let check = |role, kind, subject: &Digest| verify_statement(&envelope, &world.trust, role, kind, subject);
    let verified = check(Role::Build, "urn:x", world.image.digest()).unwrap();
    assert_eq!((verified.statement(), verified.role()), (&statement, Role::Build));
    let kind = check(Role::Build, "urn:y", world.image.digest()).unwrap_err();
    assert_eq!(kind, Reason::WrongPredicate { found: "urn:x".to_owned(), expected: "urn:y".to_owned() });
    assert!(matches!(check(Role::Build, "urn:x", &Digest::sha256(b"")), Err(Reason::WrongDigest { .. })));
    assert!(matches!(check(Role::Approve, "urn:x", world.image.digest()), Err(Reason::WrongRole { .. })));
    let limit = verify_envelope(&envelope, &world.trust, Role::Build, envelope.len() - 1).unwrap_err();
    assert!(matches!(limit, Reason::Malformed(Malformed::Json { .. })));
}

#[test]
fn attestations_are_sorted_from_what_is_not_believed() {
    let world = world();
    let candidates = [
        Candidate::bundle(Origin::Carried, world.provenance(&world.stranger)),
        Candidate::bundle(Origin::Carried, world.provenance(&world.build)),
        Candidate::bundle(Origin::Carried, world.bundle(&world.build)),
        world.simple(&world.build),
    ];
    let found = attestations(world.image.digest(), &candidates, &world.trust, Role::Build, SLSA_PROVENANCE_V1);
    assert_eq!((found.accepted.len(), found.rejected.len()), (1, 3));
    assert_eq!(found.accepted[0].signer().key(), world.build.public_key());
}

#[test]
fn appending_keeps_what_is_there_and_adds_nothing_twice() {
    let world = world();
    let payload = simple::payload(world.image.repository(), world.image.digest(), None, &BTreeMap::new());
    let first = legacy::append_signature(None, &payload, &world.stranger).unwrap().unwrap().manifest;
    let second = legacy::append_signature(Some(&first), &payload, &world.build).unwrap().unwrap().manifest;
    let layers = second.as_image().unwrap().layers;
    assert_eq!((layers.len(), &layers[0]), (2, &first.as_image().unwrap().layers[0]));
    for signer in [&world.stranger, &world.build] {
        assert_eq!(legacy::append_signature(Some(&second), &payload, signer).unwrap(), None);
    }
    // Somebody else's signature in our place does not count as ours.
    let mut forged = second.as_image().unwrap();
    let stranger = forged.layers[0].annotations.clone();
    forged.layers[1].annotations = stranger;
    assert!(legacy::append_signature(Some(&forged.to_manifest()), &payload, &world.build).unwrap().is_some());
}

#[test]
fn untrusted_text_is_shown_without_its_control_characters() {
    let world = world();
    let nasty = Statement::new("\u{1b}[2Jx", "n", world.image.digest(), b"{}").unwrap();
    let error = world.check(bundle::sign(&world.build, &nasty).unwrap()).unwrap_err();
    assert!(!error.to_string().contains('\u{1b}'), "{error}");
}

proptest! {
    #[test]
    fn arbitrary_bytes_are_refused_without_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let world = world();
        prop_assert!(world.check(bytes.clone()).is_err());
        prop_assert!(verify_envelope(&bytes, &world.trust, Role::Build, 4096).is_err());
        prop_assert!(verify_evidence(&world.image, &bytes, &world.trust, Role::Build, NOW).is_err());
        prop_assert!(simple::read(&bytes).is_err());
        prop_assert!(Statement::parse(bytes.clone().into(), 4096).is_err());
        let simple = Candidate::simple(Origin::Carried, bytes.clone(), String::from_utf8_lossy(&bytes));
        prop_assert!(verify(&world.image, &[simple], &world.trust, Role::Build, NOW).is_err());
    }

    #[test]
    fn one_changed_byte_is_never_a_signature_of_another_image(at in any::<prop::sample::Index>(), to in any::<u8>()) {
        let world = world();
        let mut bytes = world.bundle(&world.build);
        let at = at.index(bytes.len());
        bytes[at] = to;
        // A change in the hint or in white space is harmless; whatever is accepted is signed by us about this image.
        if let Ok(verified) = world.check(bytes) {
            prop_assert_eq!(verified.image(), &world.image);
            prop_assert_eq!(verified.signer().key(), world.build.public_key());
        }
        let other: PinnedRef = format!("ghcr.io/acme/billing@{}", Digest::sha256(b"other")).parse().unwrap();
        let candidate = Candidate::bundle(Origin::Carried, world.bundle(&world.build));
        prop_assert!(verify(&other, &[candidate], &world.trust, Role::Build, NOW).is_err());
    }
}
