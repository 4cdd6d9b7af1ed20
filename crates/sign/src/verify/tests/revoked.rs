//! Keys that were trusted once.

use super::*;
use crate::trust::Revocation;

const SINCE: Timestamp = Timestamp::from_seconds(1_000);

fn with(world: &World, revocation: Revocation) -> Trust {
    Trust::new([TrustedKey::new(world.build.public_key().clone(), [Role::Build]).revoked_as(revocation)]).unwrap()
}

fn both_formats(world: &World) -> [Candidate; 2] {
    [Candidate::bundle(Origin::Carried, world.bundle(&world.build)), world.simple(&world.build)]
}

#[test]
fn a_superseded_key_s_signature_holds_for_what_the_journal_named_before() {
    let world = world();
    let trust = with(&world, Revocation::Superseded { since: SINCE });
    let key = world.build.public_key().fingerprint();
    let named = |digest: &Digest, at: i64| trust.clone().naming(digest.clone(), Timestamp::from_seconds(at));
    for candidate in both_formats(&world) {
        let check = |trust: &Trust| verify(&world.image, std::slice::from_ref(&candidate), trust, Role::Build, NOW);
        let refused = Reason::Superseded { key, since: SINCE };
        assert_eq!(one_reason(check(&trust).unwrap_err()), refused);
        assert_eq!(
            one_reason(check(&named(world.image.digest(), 1_000)).unwrap_err()),
            refused,
            "not before, but then"
        );
        assert_eq!(one_reason(check(&named(&Digest::sha256(b"another"), 1)).unwrap_err()), refused);
        assert!(check(&named(world.image.digest(), 999)).is_ok());
    }
    let error = verify(&world.image, &both_formats(&world), &trust, Role::Build, NOW).unwrap_err();
    assert!(error.hints()[0].contains("sign it again"), "{:?}", error.hints());
}

#[test]
fn a_compromised_key_s_signature_holds_for_nothing_whatever_the_journal_says() {
    let world = world();
    let trust = Trust::new([
        TrustedKey::new(world.build.public_key().clone(), [Role::Build]).revoked_as(Revocation::Compromised),
        TrustedKey::new(world.stranger.public_key().clone(), [Role::Build]),
    ])
    .unwrap()
    .naming(world.image.digest().clone(), Timestamp::UNIX_EPOCH);
    let key = world.build.public_key().fingerprint();
    for candidate in both_formats(&world) {
        let error = verify(&world.image, &[candidate], &trust, Role::Build, NOW).unwrap_err();
        assert_eq!(one_reason(error), Reason::Compromised { key });
    }
    let statement = attestations(
        world.image.digest(),
        &[Candidate::bundle(Origin::Carried, world.provenance(&world.build))],
        &trust,
        Role::Build,
        SLSA_PROVENANCE_V1,
    );
    assert_eq!(statement.rejected[0].reason, Reason::Compromised { key });
    // Signed again with another key: good.
    let again = Candidate::bundle(Origin::Carried, world.bundle(&world.stranger));
    assert!(verify(&world.image, &[again], &trust, Role::Build, NOW).is_ok());
    let alone = with(&world, Revocation::Compromised);
    assert!(matches!(verify(&world.image, &[], &alone, Role::Build, NOW), Err(VerifyError::NobodyTrusted { .. })));
}

#[test]
fn a_superseded_key_s_statements_follow_the_same_rule_subject_by_subject() {
    let world = world();
    let trust = with(&world, Revocation::Superseded { since: SINCE });
    let known = trust.clone().naming(world.image.digest().clone(), Timestamp::UNIX_EPOCH);
    let candidate = [Candidate::bundle(Origin::Carried, world.provenance(&world.build))];
    let accepted =
        |trust| attestations(world.image.digest(), &candidate, trust, Role::Build, SLSA_PROVENANCE_V1).accepted.len();
    assert_eq!((accepted(&trust), accepted(&known)), (0, 1));
    // About two images, of which the journal has named one: whoever has the old key could slip the other in.
    let (named, new) = (world.image.digest().hex(), Digest::sha256(b"new"));
    let text = format!(
        r#"{{"_type":"https://in-toto.io/Statement/v1","subject":[{{"digest":{{"sha256":"{named}"}}}},{{"digest":{{"sha256":"{}"}}}}],"predicateType":"urn:x"}}"#,
        new.hex()
    );
    let envelope = sign_statement(&world.build, &Statement::parse(text.into(), 4096).unwrap()).unwrap();
    let verify = |trust: &Trust| verify_envelope(&envelope, trust, Role::Build, 4096);
    assert!(matches!(verify(&known), Err(Reason::Superseded { .. })));
    assert!(verify(&known.naming(new, Timestamp::UNIX_EPOCH)).is_ok());
}

#[test]
fn whose_an_envelope_is_can_be_asked_without_a_verdict() {
    let world = world();
    let trust = with(&world, Revocation::Compromised);
    let envelope =
        sign_statement(&world.build, &Statement::new("urn:x", "billing", world.image.digest(), b"{}").unwrap())
            .unwrap();
    let found = attribute_envelope(&envelope, &trust, &[Role::Approve, Role::Build], 4096).unwrap();
    assert_eq!((found.role(), found.signer().revoked()), (Role::Build, Some(Revocation::Compromised)));
    let none = attribute_envelope(&envelope, &trust, &[Role::Approve], 4096).unwrap_err();
    assert!(matches!(none, Reason::WrongRole { needed: Role::Approve, .. }));
}
