//! ECDSA P-256 keys: what cosign generates by default, and the only algorithm we write.
//!
//! Signatures are ASN.1 DER over SHA-256. Ours are deterministic (RFC 6979): the same key over the same bytes gives the same
//! signature, so signing again changes nothing.

mod error;
mod file;

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use p256::ecdsa::signature::{Signer as _, Verifier as _};
use p256::ecdsa::{DerSignature, SigningKey, VerifyingKey};
use p256::pkcs8::{DecodePublicKey as _, EncodePublicKey as _, SubjectPublicKeyInfoRef};
use rand_core::CryptoRngCore;
use schleuse_model::digest::to_hex;
use sha2::{Digest as _, Sha256};

pub use error::KeyError;
pub use file::KEY_FILE_LIMIT;

use crate::error::SignerError;

const PUBLIC_LABEL: &str = "PUBLIC KEY";

/// Something that signs: a key in memory, or a service that holds one.
pub trait Signer: fmt::Debug + Send + Sync {
    /// The public half.
    fn public_key(&self) -> &PublicKey;

    /// An ASN.1 DER ECDSA signature over the SHA-256 of `message`.
    ///
    /// # Errors
    /// If the key cannot be used now.
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, SignerError>;
}

/// A public key. Its encoding is canonical (uncompressed point), so one key has one fingerprint however its file spells it.
#[derive(Clone, PartialEq, Eq)]
pub struct PublicKey {
    key: VerifyingKey,
    der: Box<[u8]>,
}

impl PublicKey {
    fn new(key: VerifyingKey) -> Result<Self, KeyError> {
        let der = key.to_public_key_der().map_err(|_| KeyError::Malformed("its point cannot be encoded".to_owned()))?;
        Ok(Self { der: der.as_bytes().into(), key })
    }

    /// Reads a PEM file (`-----BEGIN PUBLIC KEY-----`), at most [`KEY_FILE_LIMIT`] bytes.
    ///
    /// # Errors
    /// [`KeyError`].
    pub fn from_pem(text: &[u8]) -> Result<Self, KeyError> {
        let block = file::pem_block(text)?;
        if block.tag() != PUBLIC_LABEL {
            return Err(KeyError::Label { expected: PUBLIC_LABEL, found: crate::error::shown(block.tag()) });
        }
        Self::from_der(block.contents())
    }

    /// Reads a DER `SubjectPublicKeyInfo` (RFC 5280, RFC 5480).
    ///
    /// # Errors
    /// [`KeyError`].
    pub fn from_der(der: &[u8]) -> Result<Self, KeyError> {
        let info = SubjectPublicKeyInfoRef::try_from(der).map_err(|error| KeyError::Malformed(error.to_string()))?;
        error::must_be_p256(&info.algorithm)?;
        Self::new(VerifyingKey::from_public_key_der(der).map_err(|error| KeyError::Malformed(error.to_string()))?)
    }

    /// As PEM, LF line ends: what `cosign public-key` prints.
    pub fn to_pem(&self) -> String {
        file::to_pem(PUBLIC_LABEL, self.der.to_vec())
    }

    /// The canonical `SubjectPublicKeyInfo`.
    pub const fn as_der(&self) -> &[u8] {
        &self.der
    }

    /// What people and records name the key by.
    pub fn fingerprint(&self) -> Fingerprint {
        Fingerprint(Sha256::digest(&self.der).into())
    }

    /// What a sigstore bundle names the key by. An aid to find the key, not a proof of anything.
    pub fn hint(&self) -> String {
        STANDARD.encode(self.fingerprint().0)
    }

    /// Whether `signature` (ASN.1 DER) is this key's over exactly `message`.
    pub fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        DerSignature::try_from(signature).is_ok_and(|signature| self.key.verify(message, &signature).is_ok())
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKey({})", self.fingerprint())
    }
}

/// SHA-256 over a key's `SubjectPublicKeyInfo`; written as 64 hex digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Fingerprint([u8; 32]);

impl Fingerprint {
    /// The first four bytes, for people: `5f:1c:09:e2:…`. Never used to decide anything.
    pub fn short(&self) -> String {
        let mut text: String = self.0[..4].iter().map(|byte| format!("{byte:02x}:")).collect();
        text.push('…');
        text
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&to_hex(&self.0))
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A private key and its public half, in memory. Never prints; the private scalar is wiped on drop.
#[derive(Clone)]
pub struct KeyPair {
    secret: SigningKey,
    public: PublicKey,
}

impl KeyPair {
    /// A new key from `rng`.
    ///
    /// # Errors
    /// None in practice: only if the new public point could not be encoded.
    pub fn generate(rng: &mut impl CryptoRngCore) -> Result<Self, KeyError> {
        Self::from_secret(SigningKey::random(rng))
    }

    fn from_secret(secret: SigningKey) -> Result<Self, KeyError> {
        Ok(Self { public: PublicKey::new(*secret.verifying_key())?, secret })
    }
}

impl Signer for KeyPair {
    fn public_key(&self) -> &PublicKey {
        &self.public
    }

    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, SignerError> {
        let signature: DerSignature =
            self.secret.try_sign(message).map_err(|error| SignerError::Refused(error.to_string()))?;
        Ok(signature.as_bytes().to_vec())
    }
}

impl fmt::Debug for KeyPair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyPair({}, private half redacted)", self.public.fingerprint())
    }
}

/// Signs and checks the result with the signer's own public key before anybody else sees it.
pub(crate) fn sign_checked(signer: &dyn Signer, message: &[u8]) -> Result<Vec<u8>, SignerError> {
    let signature = signer.sign(message)?;
    if signer.public_key().verifies(message, &signature) { Ok(signature) } else { Err(SignerError::Mismatch) }
}

#[cfg(test)]
mod tests;
