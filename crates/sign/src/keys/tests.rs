mod algorithms;
mod imported;

use super::*;
use proptest::prelude::*;
use rand_core::OsRng;
use schleuse_model::Secret;

fn secret(text: &str) -> Secret<String> {
    Secret::new(text.to_owned())
}

/// The JSON inside a key file, changed, and wrapped again.
fn edited(file: &str, from: &str, to: &str) -> Vec<u8> {
    let block = pem::parse(file).unwrap();
    let json = String::from_utf8(block.contents().to_vec()).unwrap();
    assert!(json.contains(from), "{json} lacks {from}");
    file::to_pem(block.tag(), json.replacen(from, to, 1).into_bytes()).into_bytes()
}

#[test]
fn a_key_survives_its_file_and_nothing_else_opens_it() {
    let pair = KeyPair::generate(&mut OsRng).unwrap();
    let file = pair.encrypt(&secret("correct horse"), &mut OsRng).unwrap();
    assert!(file.starts_with("-----BEGIN ENCRYPTED SIGSTORE PRIVATE KEY-----\n") && !file.contains('\r'));
    let again = KeyPair::decrypt(file.as_bytes(), &secret("correct horse")).unwrap();
    assert_eq!(again.public_key(), pair.public_key());
    assert_eq!(again.sign(b"x"), pair.sign(b"x"), "RFC 6979: same key, same bytes, same signature");

    let wrong = KeyPair::decrypt(file.as_bytes(), &secret("correct horse\n")).unwrap_err();
    assert_eq!(wrong, KeyError::WrongPassword);
    let old = file.replace("SIGSTORE", "COSIGN");
    assert!(KeyPair::decrypt(old.as_bytes(), &secret("correct horse")).is_ok(), "cosign 1's label");

    // A changed ciphertext is indistinguishable from a wrong password, and never a key.
    let block = pem::parse(&file).unwrap();
    let json: serde_json::Value = schleuse_model::json::from_untrusted(block.contents(), 9999).unwrap();
    let text = json["ciphertext"].as_str().unwrap();
    let flipped = format!("{}{}", if text.starts_with('A') { "B" } else { "A" }, &text[1..]);
    let damaged = KeyPair::decrypt(&edited(&file, text, &flipped), &secret("correct horse")).unwrap_err();
    assert_eq!(damaged, KeyError::WrongPassword);
}

#[test]
fn parameters_are_refused_before_memory_is_spent_on_them() {
    let file = KeyPair::generate(&mut OsRng).unwrap().encrypt(&secret(""), &mut OsRng).unwrap();
    for (from, to) in [
        (r#""N":65536"#, r#""N":1099511627776"#),
        (r#""N":65536"#, r#""N":131072"#),
        (r#""N":65536"#, r#""N":1024"#),
        (r#""N":65536"#, r#""N":0"#),
        (r#""r":8"#, r#""r":4000000000"#),
        (r#""p":1"#, r#""p":2"#),
        (r#""name":"scrypt""#, r#""name":"none""#),
        (r#""name":"nacl/secretbox""#, r#""name":"aes""#),
    ] {
        let error = KeyPair::decrypt(&edited(&file, from, to), &secret("")).unwrap_err();
        assert!(matches!(error, KeyError::Encryption { .. }), "{to}: {error}");
    }
    // 32768, as older cosign wrote it, gets as far as the ciphertext.
    let older = KeyPair::decrypt(&edited(&file, "65536", "32768"), &secret("")).unwrap_err();
    assert_eq!(older, KeyError::WrongPassword);
    let twice = KeyPair::decrypt(&edited(&file, r#""N":65536"#, r#""N":65536,"N":32768"#), &secret("")).unwrap_err();
    assert!(twice.to_string().contains("stands twice"), "{twice}");
    let nonce = KeyPair::decrypt(&edited(&file, r#""nonce":""#, r#""nonce":"AAAA"#), &secret("")).unwrap_err();
    assert!(nonce.to_string().contains("24 bytes"), "{nonce}");
    let large = KeyPair::decrypt(&vec![b'-'; KEY_FILE_LIMIT + 1], &secret("")).unwrap_err();
    assert!(matches!(large, KeyError::TooLarge { size: 16_385 }));
}

#[test]
fn the_wrong_kind_of_file_is_named() {
    use schleuse_model::Explain as _;
    let pair = KeyPair::generate(&mut OsRng).unwrap();
    let private = pair.encrypt(&secret(""), &mut OsRng).unwrap();
    let error = PublicKey::from_pem(private.as_bytes()).unwrap_err();
    assert!(matches!(&error, KeyError::Label { expected: "PUBLIC KEY", .. }), "{error}");
    assert_eq!(error.hints(), ["this is a private key; the public half is needed here"]);
    let plain = KeyPair::decrypt(b"-----BEGIN EC PRIVATE KEY-----\nAAAA\n-----END EC PRIVATE KEY-----\n", &secret(""));
    assert!(plain.unwrap_err().hints()[0].contains("kept encrypted only"));
}

#[test]
fn one_key_has_one_fingerprint() {
    let pair = KeyPair::generate(&mut OsRng).unwrap();
    let public = pair.public_key();
    assert_eq!(&PublicKey::from_pem(public.to_pem().as_bytes()).unwrap(), public);
    assert_eq!(&PublicKey::from_pem(public.to_pem().replace('\n', "\r\n").as_bytes()).unwrap(), public);
    // The same point, compressed, is the same key.
    let public::Verifying::P256(key) = &public.key else { panic!("{public:?}") };
    let point = p256::EncodedPoint::from(key).compress();
    let mut der = vec![0x30, 0x39, 0x30, 0x13, 6, 7, 0x2a, 0x86, 0x48, 0xce, 0x3d, 2, 1];
    der.extend([6, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 3, 1, 7, 3, 0x22, 0]);
    der.extend(point.as_bytes());
    assert_eq!(PublicKey::from_der(&der).unwrap().fingerprint(), public.fingerprint());
    let hex = public.fingerprint().to_string();
    assert_eq!(public.fingerprint().short(), format!("{}:{}:{}:{}:…", &hex[..2], &hex[2..4], &hex[4..6], &hex[6..8]));
}

#[test]
fn nothing_private_prints() {
    for algorithm in Algorithm::SIGNING {
        let pair = KeyPair::generate_as(algorithm, &mut OsRng).unwrap();
        let printed = format!("{pair:?} {:?}", pair.public_key());
        let fingerprint = pair.public_key().fingerprint().to_string();
        assert!(printed.contains(&fingerprint) && printed.contains(algorithm.name()), "{printed}");
        let bytes = match &pair.secret {
            SecretKey::P256(key) => key.to_bytes().to_vec(),
            SecretKey::P384(key) => key.to_bytes().to_vec(),
            SecretKey::Ed25519(key) => key.to_bytes().to_vec(),
        };
        assert!(!printed.contains(&to_hex(&bytes)), "{printed}");
    }
}

#[derive(Debug)]
struct Lying(KeyPair, KeyPair);

impl Signer for Lying {
    fn public_key(&self) -> &PublicKey {
        self.0.public_key()
    }
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, SignerError> {
        self.1.sign(message)
    }
}

#[test]
fn a_signer_that_signs_with_another_key_is_noticed() {
    let lying = Lying(KeyPair::generate(&mut OsRng).unwrap(), KeyPair::generate(&mut OsRng).unwrap());
    assert_eq!(sign_checked(&lying, b"x"), Err(SignerError::Mismatch));
}

proptest! {
    #[test]
    fn arbitrary_files_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..400), label in "(ENCRYPTED (SIGSTORE|COSIGN) PRIVATE|PUBLIC) KEY") {
        let _ = KeyPair::decrypt(&bytes, &secret(""));
        let _ = PublicKey::from_pem(&bytes);
        let _ = PublicKey::from_der(&bytes);
        let wrapped = file::to_pem(&label, bytes);
        let _ = KeyPair::decrypt(wrapped.as_bytes(), &secret(""));
        let _ = PublicKey::from_pem(wrapped.as_bytes());
    }

    #[test]
    fn arbitrary_signatures_never_panic(message in prop::collection::vec(any::<u8>(), 0..40), signature in prop::collection::vec(any::<u8>(), 0..80)) {
        let pair = KeyPair::generate(&mut OsRng).unwrap();
        prop_assert!(!pair.public_key().verifies(&message, &signature));
    }
}
