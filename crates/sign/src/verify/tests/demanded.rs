//! More than one signer, and annotations.

use std::num::NonZeroUsize;

use super::*;

fn builders(world: &World) -> Trust {
    Trust::new([&world.build, &world.person, &world.stranger].map(|pair| {
        let key = TrustedKey::new(pair.public_key().clone(), [Role::Build]);
        if std::ptr::eq(pair, &world.build) { key } else { key.of("ada") }
    }))
    .unwrap()
}

fn demand(quorum: Quorum) -> Demand {
    Demand { quorum, ..Demand::one(Role::Build) }
}

fn at_least(count: usize) -> Demand {
    demand(Quorum::AtLeast(NonZeroUsize::new(count).unwrap()))
}

#[test]
fn a_quorum_counts_people_not_keys_and_not_formats() {
    let world = world();
    let trust = builders(&world);
    let by = |pair: &KeyPair| Candidate::bundle(Origin::Carried, world.bundle(pair));
    let check =
        |candidates: &[Candidate], demand: &Demand| verify_demand(&world.image, candidates, &trust, demand, NOW);
    // Three keys, two signers: `ada` has two of the keys.
    let ada_twice = [by(&world.person), by(&world.stranger)];
    let error = check(&ada_twice, &at_least(2)).unwrap_err();
    assert!(matches!(&error, VerifyError::TooFew { needed: 2, by, .. } if by.len() == 2), "{error:?}");
    let one_in_both_formats = [by(&world.build), world.simple(&world.build)];
    assert!(matches!(check(&one_in_both_formats, &at_least(2)), Err(VerifyError::TooFew { .. })));
    assert_eq!(check(&[by(&world.build), by(&world.person)], &at_least(2)).unwrap().len(), 2);
    assert_eq!(check(&[by(&world.build), by(&world.stranger)], &demand(Quorum::All)).unwrap().len(), 2);
    assert!(check(&ada_twice, &demand(Quorum::All)).is_err());
    assert_eq!(check(&ada_twice, &demand(Quorum::Any)).unwrap().len(), 1, "no more than is needed");
    let impossible = check(&ada_twice, &at_least(3)).unwrap_err();
    assert!(matches!(impossible, VerifyError::TooFewTrusted { needed: 3, possible: 2, .. }));
    assert_eq!(impossible.exit(), schleuse_model::Exit::Usage);
    assert_eq!(error.exit(), schleuse_model::Exit::Untrusted);
}

#[test]
fn demanded_annotations_are_signed_ones() {
    let world = world();
    let annotations = BTreeMap::from([("env".to_owned(), "prod".to_owned()), ("run".to_owned(), "7".to_owned())]);
    let statement = Statement::signature(world.image.digest(), &annotations).unwrap();
    let payload = simple::payload(world.image.repository(), world.image.digest(), None, &annotations);
    let signature = STANDARD.encode(world.build.sign(&payload).unwrap());
    let annotated = [
        Candidate::bundle(Origin::Carried, bundle::sign(&world.build, &statement).unwrap()),
        Candidate::simple(Origin::Carried, payload, signature),
    ];
    let plain = [Candidate::bundle(Origin::Carried, world.bundle(&world.build)), world.simple(&world.build)];
    let demand = |value: &str| Demand {
        annotations: BTreeMap::from([("env".to_owned(), value.to_owned())]),
        ..Demand::one(Role::Build)
    };
    for (annotated, plain) in annotated.into_iter().zip(plain) {
        let check = |candidate: &Candidate, value| {
            verify_demand(&world.image, std::slice::from_ref(candidate), &world.trust, &demand(value), NOW)
        };
        assert_eq!(check(&annotated, "prod").unwrap()[0].annotations(), &annotations);
        for (candidate, value) in [(&annotated, "staging"), (&plain, "prod")] {
            let reason = one_reason(check(candidate, value).unwrap_err());
            assert_eq!(reason, Reason::Annotation { name: "env".to_owned(), wanted: value.to_owned() });
        }
    }
    // Annotations at a subject that is not the image are about something else.
    let (image, other) = (world.image.digest().hex(), Digest::sha256(b"other"));
    let text = format!(
        r#"{{"_type":"https://in-toto.io/Statement/v1","subject":[{{"digest":{{"sha256":"{}"}},"annotations":{{"env":"prod"}}}},{{"digest":{{"sha256":"{image}"}}}}],"predicateType":"{COSIGN_SIGN_V1}"}}"#,
        other.hex()
    );
    let misplaced = bundle::sign(&world.build, &Statement::parse(text.into(), 4096).unwrap()).unwrap();
    let misplaced = [Candidate::bundle(Origin::Carried, misplaced)];
    assert!(verify_demand(&world.image, &misplaced, &world.trust, &demand("prod"), NOW).is_err());
}

#[test]
fn nobody_waits_for_who_was_superseded() {
    let world = world();
    let since = Timestamp::from_seconds(1);
    let old = TrustedKey::new(world.stranger.public_key().clone(), [Role::Build]);
    let trust = Trust::new([
        TrustedKey::new(world.build.public_key().clone(), [Role::Build]),
        old.revoked_as(crate::trust::Revocation::Superseded { since }),
    ])
    .unwrap();
    let signed = [Candidate::bundle(Origin::Carried, world.bundle(&world.build))];
    let check = |demand: &Demand| verify_demand(&world.image, &signed, &trust, demand, NOW);
    assert_eq!(check(&demand(Quorum::All)).unwrap().len(), 1);
    assert!(matches!(check(&at_least(2)), Err(VerifyError::TooFewTrusted { needed: 2, possible: 1, .. })));
}
