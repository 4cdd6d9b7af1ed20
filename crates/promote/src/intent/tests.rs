use rand_core::OsRng;
use schleuse_model::Digest;
use schleuse_sign::{KeyPair, TrustedKey};

use super::*;

fn intent(asked_for: bool) -> Intent {
    Intent {
        image: "ghcr.io/acme/billing".parse().unwrap(),
        environment: "production".parse().unwrap(),
        leaves: Release { digest: Digest::sha256(b"new"), commit: None, version: None },
        returns_to: None,
        asked_for,
        reason: "wrong prices".to_owned(),
        seen: 4,
        run: RunId::new([1; 16]),
        actor: Actor { name: "ada".to_owned(), claimed: true },
        at: Timestamp::from_seconds(100),
    }
}

#[test]
fn whose_intents_count() {
    let pair = KeyPair::generate(&mut OsRng).unwrap();
    let opened = |role, revoked: Option<Revocation>, asked_for| {
        let key = schleuse_sign::Signer::public_key(&pair).clone();
        let key = revoked.into_iter().fold(TrustedKey::new(key, [role]).of("ada"), TrustedKey::revoked_as);
        let (trust, intent) = (Trust::new([key]).unwrap(), intent(asked_for));
        let bytes = intent.seal(&pair).unwrap();
        Intent::open(&bytes, &trust, &intent.image, &intent.environment).map_err(|error| error.to_string())
    };
    let superseded = |seconds| Some(Revocation::Superseded { since: Timestamp::from_seconds(seconds) });
    assert!(opened(Role::Build, None, false).is_ok());
    assert!(opened(Role::BreakGlass, None, true).is_ok());
    assert!(opened(Role::Build, superseded(101), false).is_ok());
    let table = [
        (Role::BreakGlass, None, false, "only what a person asks for"),
        (Role::Build, superseded(100), true, "after its key was superseded"),
        (Role::Build, Some(Revocation::Compromised), true, "its key is compromised"),
        (Role::BreakGlass, Some(Revocation::Compromised), true, "its key is compromised"),
        (Role::Approve, None, true, "not for build"),
    ];
    for (role, revoked, asked_for, why) in table {
        let error = opened(role, revoked, asked_for).unwrap_err();
        assert!(error.contains(why), "{error}");
    }
}
