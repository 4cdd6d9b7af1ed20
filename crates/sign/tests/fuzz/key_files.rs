//! Key files, private and public, mutated.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use proptest::prelude::*;
use rand_core::OsRng;
use schleuse_model::Secret;
use schleuse_sign::keys::{Algorithm, Described, KEY_FILE_LIMIT};
use schleuse_sign::{KeyError, KeyPair, PublicKey, Signer as _};

use crate::cases;
use crate::memory::{BESIDE, alone, bounded, peak};
use crate::mutation::{Change, changed, changes};

/// A key that was made for tests alone, and its signature over [`MESSAGE`].
const RSA: &str = concat!(
    "MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEArippT3AT2KjMo0D1TqDQg2qK1zNAzLLjVy5/+HUcrFRGE3HNvGdHDpKGE9iPtwmW8m",
    "QUVHAc1fp7hwjGCt8kPFDrSFKFtwKsHXqXtIBj2gyoEW0RflYNjnumtAQI5W7kfRDb68IexNPsQLVB2V4LfMFpsyrS6QsYZpKELUsZIoIh7PN2",
    "S6njnIpVgQkFrFYHD2cWo8eN8MH/tnrQDo0hTHxUuyAmXmUeXS8ZjNRYqa3ygKKlyb5hCxNph3SkZbYk3ZWAyot2IrMr5ee3elbJMh1oWDybqP",
    "dEUlfT7MfxwqRUFjZjQd+WGjVZPvkdNoLSnTi14y2DcgpqDTQa9btQhQIDAQAB",
);
const RSA_SHA256: &str = concat!(
    "G/lKf4oRVnt6g+rZgZrwoWTgD+6glNnn651ioBr2bYYc5Bceyro00ZFp9WJu0URARsWvRxG/DSk4QwPpXKMH7NeM1cpnbdOpknorSKMH7S5eei",
    "2BG7yuehZ2OxI7Dt7ehajq54mz0IrS1d1em9PJzI/HfGuCntcH87gv/uHdIn7JoHAs8l4bmfaFBstdJ8Y4ZDFm974bOhzCMX3Ew0lj1zla+mbp",
    "0/sVUd5yQyszCpPQ2muycxK9o0LPzrQsLEX1B+3k2Z2sglFaP18cB5Mng3kP1eoshIJlqSjxzKBeBH6/UnDWcJ+Nk6EV3ZFWU0BrbN4Zlx9TY4",
    "tw9WC4tLT1Dg==",
);
const MESSAGE: &[u8] = b"message";

/// What scrypt takes with the dearest parameters that are accepted (N 65536, r 8, p 1): 128 · N · r bytes, and little beside.
const SCRYPT: usize = 64 << 20;

fn password() -> Secret<String> {
    Secret::new("correct horse".to_owned())
}

/// One key pair and its file: making a file takes a while, on purpose.
fn ours() -> &'static (KeyPair, String) {
    static OURS: OnceLock<(KeyPair, String)> = OnceLock::new();
    OURS.get_or_init(|| {
        let pair = KeyPair::generate(&mut OsRng).unwrap();
        let file = pair.encrypt(&password(), &mut OsRng).unwrap();
        (pair, file)
    })
}

fn wrapped(label: &str, content: &[u8]) -> String {
    format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", STANDARD.encode(content))
}

/// The JSON inside the key file.
fn inside(file: &str) -> Vec<u8> {
    let body: String = file.lines().filter(|line| !line.starts_with('-')).collect();
    STANDARD.decode(body).unwrap()
}

/// Opens a file. Whatever is refused by its parameters is refused before memory is spent on them.
fn open(file: &[u8]) {
    /// So many files with good parameters are tried to the end.
    static DEAR: AtomicU32 = AtomicU32::new(8);
    let (pair, _) = ours();
    let described = bounded("a key file", file.len(), || Described::of(file));
    if !matches!(described, Ok(Described::Encrypted { .. })) {
        let opened = bounded("a key file that is refused", file.len(), || KeyPair::decrypt(file, &password()));
        assert!(opened.is_err());
    } else if DEAR.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_ok() {
        let (opened, peak) = peak(|| KeyPair::decrypt(file, &password()));
        assert!(peak <= SCRYPT + BESIDE, "{peak} bytes allocated");
        if let Ok(opened) = opened {
            assert_eq!(opened.public_key(), pair.public_key());
        }
    }
}

#[test]
fn opening_a_key_takes_what_scrypt_takes_and_no_more() {
    let _alone = alone();
    let (pair, file) = ours();
    let (opened, peak) = peak(|| KeyPair::decrypt(file.as_bytes(), &password()).unwrap());
    assert_eq!(opened.public_key(), pair.public_key());
    assert!((SCRYPT..SCRYPT + (1 << 20)).contains(&peak), "{peak} bytes allocated");
}

#[test]
fn other_parameters_are_refused_before_memory_is_spent_on_them() {
    let _alone = alone();
    let json = String::from_utf8(inside(&ours().1)).unwrap();
    for (n, r, p) in [
        (1_u64 << 40, 8, 1),
        (1 << 20, 8, 1),
        (1 << 17, 8, 1),
        (65_536, 1 << 20, 1),
        (65_536, 8, 1 << 20),
        (65_536, 16, 1),
    ] {
        let other = json.replace(r#""N":65536,"r":8,"p":1"#, &format!(r#""N":{n},"r":{r},"p":{p}"#));
        assert_ne!(other, json);
        let file = wrapped("ENCRYPTED SIGSTORE PRIVATE KEY", other.as_bytes());
        let (refused, peak) = peak(|| KeyPair::decrypt(file.as_bytes(), &password()).unwrap_err());
        assert!(matches!(refused, KeyError::Encryption { .. }), "{refused}");
        assert!(peak < 64 << 10, "{n} {r} {p}: {peak} bytes allocated");
    }
    // More than a key file has, in one that could be read otherwise.
    for label in ["ENCRYPTED SIGSTORE PRIVATE KEY", "PUBLIC KEY"] {
        let large = wrapped(label, &vec![0; 12 << 20]);
        let private = peak(|| KeyPair::decrypt(large.as_bytes(), &password()).unwrap_err());
        let public = peak(|| PublicKey::from_pem(large.as_bytes()).unwrap_err());
        for (refused, peak) in [private, public] {
            assert!(
                matches!(refused, KeyError::TooLarge { .. }) && peak < 1 << 10,
                "{refused}: {peak} bytes allocated"
            );
        }
    }
}

/// Public keys of each algorithm as DER, and a signature by each over [`MESSAGE`].
fn public_keys() -> &'static [(Vec<u8>, Vec<u8>)] {
    static KEYS: OnceLock<Vec<(Vec<u8>, Vec<u8>)>> = OnceLock::new();
    KEYS.get_or_init(|| {
        let pairs = Algorithm::SIGNING.map(|algorithm| KeyPair::generate_as(algorithm, &mut OsRng).unwrap());
        let mut keys: Vec<_> =
            pairs.iter().map(|pair| (pair.public_key().as_der().to_vec(), pair.sign(MESSAGE).unwrap())).collect();
        keys.push((STANDARD.decode(RSA).unwrap(), STANDARD.decode(RSA_SHA256).unwrap()));
        keys
    })
}

/// Whatever key is read is the one it was, or another one that has not signed.
fn public(der: &[u8], was: &PublicKey, signature: &[u8]) {
    let pem = wrapped("PUBLIC KEY", der);
    let read = bounded("a public key", der.len(), || PublicKey::from_der(der));
    let as_pem = bounded("a public key as PEM", pem.len(), || PublicKey::from_pem(pem.as_bytes()));
    if pem.len() <= KEY_FILE_LIMIT {
        assert_eq!(read, as_pem);
    }
    if let Ok(read) = read
        && bounded("a signature's check", signature.len(), || read.verifies(MESSAGE, signature))
    {
        assert_eq!(read.fingerprint(), was.fingerprint());
    }
}

fn all_keys(which: usize, changes: &[Change]) {
    let keys = public_keys();
    let (der, signature) = &keys[which];
    let other = &keys[(which + 1) % keys.len()];
    let key = PublicKey::from_der(der).unwrap();
    public(&changed(der, &other.0, changes), &key, signature);
    let pem = changed(key.to_pem().as_bytes(), &other.0, changes);
    if let Ok(read) = bounded("a public key's file", pem.len(), || PublicKey::from_pem(&pem)) {
        assert!(!read.verifies(MESSAGE, signature) || read == key);
    }
    // The signature itself: another spelling of it is none, or is this key's over this message all the same.
    let spelled = changed(signature, &other.1, changes);
    assert!(!bounded("a mutated signature", spelled.len(), || key.verifies(b"massage", &spelled)));
}

proptest! {
    #![proptest_config(cases(250))]

    #[test]
    fn mutated_key_files(changes in changes()) {
        let _alone = alone();
        let file = &ours().1;
        open(&changed(file.as_bytes(), b"-----BEGIN PUBLIC KEY-----", &changes));
        open(wrapped("ENCRYPTED SIGSTORE PRIVATE KEY", &changed(&inside(file), file.as_bytes(), &changes)).as_bytes());
    }

    #[test]
    fn mutated_public_keys(which in 0_usize..4, changes in changes()) {
        let _alone = alone();
        all_keys(which, &changes);
    }

    #[test]
    fn heaps_of_bytes_as_keys(bytes in prop::collection::vec(any::<u8>(), 0..2_000)) {
        let _alone = alone();
        let key = PublicKey::from_der(&public_keys()[0].0).unwrap();
        public(&bytes, &key, &public_keys()[0].1);
        prop_assert!(!key.verifies(MESSAGE, &bytes));
        open(&bytes);
        for label in ["ENCRYPTED COSIGN PRIVATE KEY", "PRIVATE KEY", "EC PRIVATE KEY"] {
            let file = Secret::new(wrapped(label, &bytes).into_bytes());
            open(file.expose());
            prop_assert!(bounded("a plain key", bytes.len(), || KeyPair::import(&file)).is_err());
        }
    }
}
