//! Signing keys: ECDSA P-256 (what cosign generates, and our default), ECDSA P-384, Ed25519; RSA to verify with.
//!
//! # What is signed, and how
//! | key | written | read as well |
//! |---|---|---|
//! | ECDSA P-256 | SHA-256, ASN.1 DER | |
//! | ECDSA P-384 | SHA-256, ASN.1 DER | SHA-384, which cosign 3.1 writes |
//! | Ed25519 | RFC 8032, pure | Ed25519ph, which cosign 3.1 writes |
//! | RSA, 2048 to 8192 bits | never | PKCS#1 v1.5, SHA-256 |
//!
//! What is written is what cosign 2.5, cosign 3.1, skopeo 1.22 and `@sigstore/verify` all accept by default (observed).
//! Ours are deterministic (RFC 6979, RFC 8032): the same key over the same bytes gives the same signature, so signing again changes
//! nothing.

mod algorithm;
mod error;
mod file;
mod import;
mod public;
mod secret;

use std::fmt;

use rand_core::CryptoRngCore;
use schleuse_model::digest::to_hex;

pub use algorithm::Algorithm;
pub use error::KeyError;
pub use file::{Described, KEY_FILE_LIMIT};
pub use public::PublicKey;

use crate::error::SignerError;
use secret::SecretKey;

/// Something that signs: a key in memory, or a service that holds one (a KMS, Vault).
pub trait Signer: fmt::Debug + Send + Sync {
    /// The public half.
    fn public_key(&self) -> &PublicKey;

    /// A signature over `message` as the key's algorithm has it: see the table in [`keys`](self). An ECDSA service may answer in any
    /// of the forms that are read.
    ///
    /// # Errors
    /// If the key cannot be used now.
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, SignerError>;
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

/// A private key and its public half, in memory. Never prints; the private half is wiped on drop.
#[derive(Clone)]
pub struct KeyPair {
    secret: SecretKey,
    public: PublicKey,
}

impl KeyPair {
    /// A new ECDSA P-256 key from `rng`: what every tool of the field reads.
    ///
    /// # Errors
    /// None in practice: only if the new public point could not be encoded.
    pub fn generate(rng: &mut impl CryptoRngCore) -> Result<Self, KeyError> {
        Self::generate_as(Algorithm::EcdsaP256, rng)
    }

    /// A new key of `algorithm` from `rng`.
    ///
    /// # Errors
    /// RSA keys are verified with, not signed with.
    pub fn generate_as(algorithm: Algorithm, rng: &mut impl CryptoRngCore) -> Result<Self, KeyError> {
        Self::from_secret(SecretKey::generate(algorithm, rng)?)
    }

    fn from_secret(secret: SecretKey) -> Result<Self, KeyError> {
        Ok(Self { public: secret.public()?, secret })
    }
}

impl Signer for KeyPair {
    fn public_key(&self) -> &PublicKey {
        &self.public
    }

    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, SignerError> {
        self.secret.sign(message)
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
