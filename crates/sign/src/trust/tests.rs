//! The rules of the roles, each broken once.

use super::*;
use crate::keys::{KeyPair, Signer as _};

fn key() -> PublicKey {
    KeyPair::generate(&mut rand_core::OsRng).unwrap().public_key().clone()
}

#[test]
fn one_key_listed_twice_holds_both_roles() {
    let key = key();
    let listed =
        [TrustedKey::new(key.clone(), [Role::Approve]).of("ada"), TrustedKey::new(key.clone(), [Role::Quarantine])];
    let trust = Trust::new(listed).unwrap();
    let one = trust.keys().next().unwrap();
    assert!(one.holds(Role::Approve) && one.holds(Role::Quarantine) && !one.holds(Role::Build));
    assert_eq!((trust.keys().count(), one.person()), (1, Some("ada")));
}

#[test]
fn the_rules_of_the_roles() {
    let (a, fingerprint) = {
        let key = key();
        (key.clone(), key.fingerprint())
    };
    let both = Trust::new([TrustedKey::new(a.clone(), [Role::Build, Role::Approve]).of("ada")]);
    assert_eq!(both, Err(TrustError::BuildHolds { key: fingerprint, other: Role::Approve }));
    let split = [TrustedKey::new(a.clone(), [Role::Build]), TrustedKey::new(a.clone(), [Role::BreakGlass])];
    assert_eq!(Trust::new(split), Err(TrustError::BuildHolds { key: fingerprint, other: Role::BreakGlass }));
    let nobody = Trust::new([TrustedKey::new(a.clone(), [Role::Approve])]);
    assert_eq!(nobody, Err(TrustError::Nobody { key: fingerprint, role: Role::Approve }));
    let two =
        [TrustedKey::new(a.clone(), [Role::Approve]).of("ada"), TrustedKey::new(a.clone(), [Role::Approve]).of("bo")];
    assert!(matches!(Trust::new(two), Err(TrustError::TwoPeople { .. })));
    let name = Trust::new([TrustedKey::new(a, [Role::Approve]).of("a\u{1b}[2J")]);
    assert_eq!(name, Err(TrustError::Name { key: fingerprint }));
    let many = Trust::new((0..=KEYS_LIMIT).map(|_| TrustedKey::new(key(), [Role::Build])));
    assert_eq!(many, Err(TrustError::TooMany { found: 65 }));
}

#[test]
fn a_key_is_trusted_or_revoked_and_revoked_in_one_way() {
    let key = key();
    let superseded = Revocation::Superseded { since: Timestamp::UNIX_EPOCH };
    let listed = |first: Option<Revocation>, second: Option<Revocation>| {
        let one = |revocation: Option<Revocation>| {
            let key = TrustedKey::new(key.clone(), [Role::Build]);
            revocation.map_or(key.clone(), |revocation| key.revoked_as(revocation))
        };
        Trust::new([one(first), one(second)])
    };
    let fault = Err(TrustError::TwoStandings { key: key.fingerprint() });
    assert_eq!(listed(None, Some(Revocation::Compromised)), fault);
    assert_eq!(listed(Some(superseded), Some(Revocation::Compromised)), fault);
    assert!(listed(Some(superseded), Some(superseded)).unwrap().has_superseded());
    let compromised = listed(Some(Revocation::Compromised), Some(Revocation::Compromised)).unwrap();
    assert!(!compromised.has_superseded() && compromised.holders(Role::Build).next().is_none());
}

#[test]
fn the_earliest_naming_counts() {
    let digest = Digest::sha256(b"");
    let at = Timestamp::from_seconds;
    let trust =
        Trust::default().naming(digest.clone(), at(20)).naming(digest.clone(), at(10)).naming(digest.clone(), at(30));
    assert!(trust.named_before(&digest, at(11)) && !trust.named_before(&digest, at(10)));
    assert!(!trust.named_before(&Digest::sha256(b"x"), at(99)));
}
