//! Key files: ours opened by cosign, cosign's by us.

use rand_core::OsRng;
use schleuse_model::Secret;
use schleuse_sign::{KeyError, KeyPair, PublicKey, Signer as _};

use crate::peers::{COSIGN_2, COSIGN_3, PASSWORD, cosign, words};
use crate::world::key;

#[test]
fn cosign_opens_our_keys() {
    let folder = tempfile::tempdir().unwrap();
    let pair = key();
    let write = |name: &str, password: &str| {
        let file = pair.encrypt(&Secret::new(password.to_owned()), &mut OsRng).unwrap();
        std::fs::write(folder.path().join(name), file).unwrap();
    };
    write("good.key", PASSWORD);
    write("other.key", "another password");
    for version in [COSIGN_2, COSIGN_3] {
        let public = cosign(version, folder.path(), &["public-key", "--key", "good.key"]);
        assert_eq!(String::from_utf8_lossy(&public.stdout), pair.public_key().to_pem(), "{}", words(&public));
        let refused = cosign(version, folder.path(), &["public-key", "--key", "other.key"]);
        assert!(!refused.status.success(), "{version} opened a key with the wrong password");
    }
}

#[test]
fn we_open_cosign_s_keys() {
    let folder = tempfile::tempdir().unwrap();
    for version in [COSIGN_2, COSIGN_3] {
        let made = cosign(version, folder.path(), &["generate-key-pair", "--output-key-prefix", version]);
        assert!(made.status.success(), "{}", words(&made));
        let read = |suffix: &str| std::fs::read(folder.path().join(format!("{version}.{suffix}"))).unwrap();
        let public = PublicKey::from_pem(&read("pub")).unwrap();
        let pair = KeyPair::decrypt(&read("key"), &Secret::new(PASSWORD.to_owned())).unwrap();
        assert_eq!(pair.public_key(), &public);
        assert_eq!(public.to_pem().as_bytes(), read("pub"));
        let wrong = KeyPair::decrypt(&read("key"), &Secret::new("wrong".to_owned())).unwrap_err();
        assert_eq!(wrong, KeyError::WrongPassword);
    }
}
