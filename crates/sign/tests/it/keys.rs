//! Key files: ours opened by cosign, cosign's by us.

use rand_core::OsRng;
use schleuse_model::Secret;
use schleuse_sign::{KeyError, KeyPair, PublicKey, Signer as _};

use crate::peers::{COSIGN_2, COSIGN_3, PASSWORD, run, words};
use crate::world::key;

#[test]
fn our_key_is_opened_by_cosign_2() {
    ours_is_opened(COSIGN_2);
}

#[test]
fn our_key_is_opened_by_cosign_3() {
    ours_is_opened(COSIGN_3);
}

#[test]
fn cosign_2_s_key_is_opened() {
    theirs_is_opened(COSIGN_2);
}

#[test]
fn cosign_3_s_key_is_opened() {
    theirs_is_opened(COSIGN_3);
}

fn ours_is_opened(version: &str) {
    let folder = tempfile::tempdir().unwrap();
    let pair = key();
    let write = |name: &str, password: &str| {
        let file = pair.encrypt(&Secret::new(password.to_owned()), &mut OsRng).unwrap();
        std::fs::write(folder.path().join(name), file).unwrap();
    };
    write("good.key", PASSWORD);
    write("other.key", "another password");
    let public = run(version, folder.path(), &["public-key", "--key", "good.key"]);
    assert_eq!(String::from_utf8_lossy(&public.stdout), pair.public_key().to_pem(), "{}", words(&public));
    let refused = run(version, folder.path(), &["public-key", "--key", "other.key"]);
    assert!(!refused.status.success(), "{version} opened a key with the wrong password");
}

fn theirs_is_opened(version: &str) {
    let folder = tempfile::tempdir().unwrap();
    let made = run(version, folder.path(), &["generate-key-pair", "--output-key-prefix", version]);
    assert!(made.status.success(), "{}", words(&made));
    let read = |suffix: &str| std::fs::read(folder.path().join(format!("{version}.{suffix}"))).unwrap();
    let public = PublicKey::from_pem(&read("pub")).unwrap();
    let pair = KeyPair::decrypt(&read("key"), &Secret::new(PASSWORD.to_owned())).unwrap();
    assert_eq!(pair.public_key(), &public);
    assert_eq!(public.to_pem().as_bytes(), read("pub"));
    let wrong = KeyPair::decrypt(&read("key"), &Secret::new("wrong".to_owned())).unwrap_err();
    assert_eq!(wrong, KeyError::WrongPassword);
}
