//! Why a key cannot be used.

use schleuse_model::{Exit, Explain};

use super::file::KEY_FILE_LIMIT;

/// How a plain private key is called where one is expected.
pub(super) const PLAIN: &str = "PRIVATE KEY";

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
    /// An algorithm, or a size, that is not supported.
    #[error("the key is {algorithm}; supported are ECDSA P-256, ECDSA P-384, Ed25519, and RSA of 2048 to 8192 bits")]
    Algorithm {
        /// Which.
        algorithm: String,
    },
    /// An RSA private key.
    #[error("the key is RSA: those are verified with, not signed with")]
    VerifyOnly,
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
                    "keys are kept encrypted only: `schleuse key import FILE` makes such a file of it".to_owned(),
                    "or make a new one: `schleuse key generate`".to_owned(),
                ]
            }
            Self::Label { expected: PLAIN, found } => vec![match found.as_str() {
                "ENCRYPTED SIGSTORE PRIVATE KEY" | "ENCRYPTED COSIGN PRIVATE KEY" => {
                    "this is an encrypted key file already: use it as it is".to_owned()
                }
                "RSA PRIVATE KEY" => "RSA keys are verified with, not signed with".to_owned(),
                _ => "plain PKCS#8 and SEC1 keys can be imported; `openssl pkey -in FILE` prints one as PKCS#8"
                    .to_owned(),
            }],
            Self::Label { found, .. } if found.ends_with("PRIVATE KEY") => {
                vec!["this is a private key; the public half is needed here".to_owned()]
            }
            Self::Algorithm { .. } | Self::VerifyOnly => vec!["make one: `schleuse key generate`".to_owned()],
            Self::Encryption { .. } => vec![
                "accepted are scrypt with N 32768 or 65536, r 8, p 1, and nacl/secretbox: what cosign writes"
                    .to_owned(),
            ],
            _ => Vec::new(),
        }
    }
}
