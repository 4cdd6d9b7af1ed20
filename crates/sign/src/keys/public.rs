//! Public keys, and what they accept.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use p256::ecdsa::signature::hazmat::PrehashVerifier as _;
use p256::pkcs8::der::asn1::UintRef;
use p256::pkcs8::der::{self, Decode as _, Reader as _, SliceReader};
use p256::pkcs8::{DecodePublicKey as _, EncodePublicKey as _, SubjectPublicKeyInfoRef};
use sha2::{Digest as _, Sha256, Sha384, Sha512};

use super::{Algorithm, Fingerprint, KeyError, file};

pub(super) const LABEL: &str = "PUBLIC KEY";

/// The bits of an RSA modulus that are accepted: below 2048 is broken soon, above 8192 is a way to keep a verifier busy.
const RSA_BITS: std::ops::RangeInclusive<usize> = 2048..=8192;

#[derive(Clone, PartialEq, Eq)]
pub(super) enum Verifying {
    P256(p256::ecdsa::VerifyingKey),
    P384(p384::ecdsa::VerifyingKey),
    Ed25519(ed25519_dalek::VerifyingKey),
    /// PKCS#1 `RSAPublicKey`, DER.
    Rsa(Box<[u8]>),
}

/// A public key. Its encoding is canonical, so one key has one fingerprint however its file spells it.
#[derive(Clone, PartialEq, Eq)]
pub struct PublicKey {
    pub(super) key: Verifying,
    der: Box<[u8]>,
}

impl PublicKey {
    pub(super) fn p256(key: p256::ecdsa::VerifyingKey) -> Result<Self, KeyError> {
        Ok(Self { der: encode(key.to_public_key_der())?, key: Verifying::P256(key) })
    }

    pub(super) fn p384(key: p384::ecdsa::VerifyingKey) -> Result<Self, KeyError> {
        Ok(Self { der: encode(key.to_public_key_der())?, key: Verifying::P384(key) })
    }

    pub(super) fn ed25519(key: ed25519_dalek::VerifyingKey) -> Result<Self, KeyError> {
        Ok(Self { der: encode(key.to_public_key_der())?, key: Verifying::Ed25519(key) })
    }

    /// Reads a PEM file (`-----BEGIN PUBLIC KEY-----`), at most [`super::KEY_FILE_LIMIT`] bytes.
    ///
    /// # Errors
    /// [`KeyError`].
    pub fn from_pem(text: &[u8]) -> Result<Self, KeyError> {
        let block = file::pem_block(text)?;
        if block.tag() != LABEL {
            return Err(KeyError::Label { expected: LABEL, found: crate::error::shown(block.tag()) });
        }
        Self::from_der(block.contents())
    }

    /// Reads a DER `SubjectPublicKeyInfo` (RFC 5280, RFC 5480, RFC 8410, RFC 8017).
    ///
    /// # Errors
    /// [`KeyError`].
    pub fn from_der(der: &[u8]) -> Result<Self, KeyError> {
        let malformed = |error: String| KeyError::Malformed(error);
        let info = SubjectPublicKeyInfoRef::try_from(der).map_err(|error| malformed(error.to_string()))?;
        let spki = |error: p256::pkcs8::spki::Error| malformed(error.to_string());
        match Algorithm::read(&info.algorithm)? {
            Algorithm::EcdsaP256 => Self::p256(p256::ecdsa::VerifyingKey::from_public_key_der(der).map_err(spki)?),
            Algorithm::EcdsaP384 => Self::p384(p384::ecdsa::VerifyingKey::from_public_key_der(der).map_err(spki)?),
            Algorithm::Ed25519 => {
                let key = ed25519_dalek::VerifyingKey::from_public_key_der(der).map_err(spki)?;
                // Points of small order "sign" any message.
                if key.is_weak() { Err(malformed("its point is weak".to_owned())) } else { Self::ed25519(key) }
            }
            Algorithm::Rsa => {
                let bytes = info.subject_public_key.as_bytes().unwrap_or_default();
                let bits = modulus_bits(bytes).map_err(|error| malformed(error.to_string()))?;
                if !RSA_BITS.contains(&bits) {
                    return Err(KeyError::Algorithm { algorithm: format!("RSA with {bits} bits") });
                }
                Ok(Self { key: Verifying::Rsa(bytes.into()), der: der.into() })
            }
        }
    }

    /// As PEM, LF line ends: what `cosign public-key` prints.
    pub fn to_pem(&self) -> String {
        file::to_pem(LABEL, self.der.to_vec())
    }

    /// The canonical `SubjectPublicKeyInfo`.
    pub const fn as_der(&self) -> &[u8] {
        &self.der
    }

    /// Its algorithm.
    pub const fn algorithm(&self) -> Algorithm {
        match self.key {
            Verifying::P256(_) => Algorithm::EcdsaP256,
            Verifying::P384(_) => Algorithm::EcdsaP384,
            Verifying::Ed25519(_) => Algorithm::Ed25519,
            Verifying::Rsa(_) => Algorithm::Rsa,
        }
    }

    /// What people and records name the key by.
    pub fn fingerprint(&self) -> Fingerprint {
        Fingerprint(Sha256::digest(&self.der).into())
    }

    /// What a sigstore bundle names the key by. An aid to find the key, not a proof of anything.
    pub fn hint(&self) -> String {
        STANDARD.encode(self.fingerprint().0)
    }

    /// Whether `signature` is this key's over exactly `message`, in one of the forms of the table in [`super`].
    ///
    /// ECDSA signatures must be DER to the byte. High `s` is accepted, as by cosign, skopeo, OpenSSL and every KMS: nothing here is
    /// decided by a signature's own bytes, so a second spelling of a good signature is worth nothing.
    pub fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        match &self.key {
            Verifying::P256(key) => p256::ecdsa::Signature::from_der(signature)
                .is_ok_and(|signature| key.verify_prehash(&Sha256::digest(message), &signature).is_ok()),
            Verifying::P384(key) => p384::ecdsa::Signature::from_der(signature).is_ok_and(|signature| {
                key.verify_prehash(&Sha256::digest(message), &signature).is_ok()
                    || key.verify_prehash(&Sha384::digest(message), &signature).is_ok()
            }),
            Verifying::Ed25519(key) => ed25519_dalek::Signature::from_slice(signature).is_ok_and(|signature| {
                // The two are separated by domain: one's signature is never the other's of any message.
                key.verify_strict(message, &signature).is_ok()
                    || key.verify_prehashed_strict(Sha512::new_with_prefix(message), None, &signature).is_ok()
            }),
            Verifying::Rsa(key) => {
                let key = ring::signature::UnparsedPublicKey::new(&ring::signature::RSA_PKCS1_2048_8192_SHA256, key);
                key.verify(message, signature).is_ok()
            }
        }
    }
}

fn encode(der: p256::pkcs8::spki::Result<der::Document>) -> Result<Box<[u8]>, KeyError> {
    Ok(der.map_err(|_| KeyError::Malformed("its point cannot be encoded".to_owned()))?.as_bytes().into())
}

/// The bits of the modulus of a PKCS#1 `RSAPublicKey` (RFC 8017, appendix A.1.1).
fn modulus_bits(bytes: &[u8]) -> der::Result<usize> {
    let mut reader = SliceReader::new(bytes)?;
    let modulus = reader.sequence(|reader| {
        let modulus = UintRef::decode(reader)?;
        UintRef::decode(reader)?;
        Ok(modulus)
    })?;
    reader.finish(modulus).map(|modulus| {
        let bytes = modulus.as_bytes();
        let zeros = bytes.first().map_or(0, |byte| byte.leading_zeros() as usize);
        bytes.len() * 8 - zeros
    })
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKey({} {})", self.algorithm(), self.fingerprint())
    }
}
