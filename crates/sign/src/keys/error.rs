//! Why a key cannot be used.

use p256::elliptic_curve::ALGORITHM_OID as EC;
use p256::pkcs8::der::asn1::{AnyRef, ObjectIdentifier};
use p256::pkcs8::spki::AlgorithmIdentifier;
use p256::pkcs8::{AssociatedOid as _, der};
use schleuse_model::{Exit, Explain};

use super::file::KEY_FILE_LIMIT;

/// A key file that cannot be used. Never repeats any of its content but labels and parameters.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// The password does not open the key (or the file was changed: authenticated encryption cannot tell the two apart).
    #[error("the password does not open this key")]
    WrongPassword,
    /// More bytes than any key file has.
    #[error("the key file has {size} bytes; at most {KEY_FILE_LIMIT} are read")]
    TooLarge {
        /// Its size.
        size: usize,
    },
    /// Not a key file, or a damaged one.
    #[error("the key file is malformed: {0}")]
    Malformed(String),
    /// Another PEM block than expected.
    #[error("the file holds a `{found}`, not a `{expected}`")]
    Label {
        /// What is needed.
        expected: &'static str,
        /// What is there.
        found: String,
    },
    /// Encrypted in a way that we refuse.
    #[error("the key is encrypted with {what}, which is not accepted")]
    Encryption {
        /// Which function and parameters.
        what: String,
    },
    /// Not ECDSA P-256.
    #[error("the key is {algorithm}; only ECDSA P-256 is supported")]
    Algorithm {
        /// Which.
        algorithm: String,
    },
}

impl Explain for KeyError {
    fn exit(&self) -> Exit {
        Exit::Usage
    }

    fn hints(&self) -> Vec<String> {
        match self {
            Self::WrongPassword => {
                vec!["check COSIGN_PASSWORD: is it this key's, without a trailing line break?".to_owned()]
            }
            Self::Label { expected, found } if expected.starts_with("ENCRYPTED") && found.ends_with("PRIVATE KEY") => {
                vec![
                    "keys are kept encrypted only: import it with `cosign import-key-pair --key FILE`".to_owned(),
                    "or make a new one: `schleuse key generate`".to_owned(),
                ]
            }
            Self::Label { found, .. } if found.ends_with("PRIVATE KEY") => {
                vec!["this is a private key; the public half is needed here".to_owned()]
            }
            Self::Algorithm { .. } => vec!["make one: `schleuse key generate`".to_owned()],
            Self::Encryption { .. } => vec![
                "accepted are scrypt with N 32768 or 65536, r 8, p 1, and nacl/secretbox: what cosign writes"
                    .to_owned(),
            ],
            _ => Vec::new(),
        }
    }
}

/// Refuses every algorithm but EC keys on P-256, by a name a person knows where there is one.
pub(super) fn must_be_p256(algorithm: &AlgorithmIdentifier<AnyRef<'_>>) -> Result<(), KeyError> {
    const RSA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");
    const ED25519: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.101.112");
    let curve: der::Result<ObjectIdentifier> =
        algorithm.parameters.map_or(Err(der::ErrorKind::Failed.into()), |parameters| parameters.decode_as());
    match (algorithm.oid, curve) {
        (EC, Ok(p256::NistP256::OID)) => Ok(()),
        (EC, Ok(curve)) => Err(KeyError::Algorithm { algorithm: format!("ECDSA on the curve {curve}") }),
        (EC, Err(_)) => Err(KeyError::Malformed("it names no curve".to_owned())),
        (RSA, _) => Err(KeyError::Algorithm { algorithm: "RSA".to_owned() }),
        (ED25519, _) => Err(KeyError::Algorithm { algorithm: "Ed25519".to_owned() }),
        (other, _) => Err(KeyError::Algorithm { algorithm: format!("of the algorithm {other}") }),
    }
}
