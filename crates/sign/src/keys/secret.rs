//! The private half.

use ed25519_dalek::Signer as _;
use p256::ecdsa::signature::hazmat::PrehashSigner as _;
use p256::pkcs8::{EncodePrivateKey as _, PrivateKeyInfo, SecretDocument};
use rand_core::CryptoRngCore;
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

use super::{Algorithm, KeyError, PublicKey};
use crate::error::SignerError;

/// Each kind wipes itself on drop.
#[derive(Clone)]
pub(super) enum SecretKey {
    P256(p256::ecdsa::SigningKey),
    P384(p384::ecdsa::SigningKey),
    Ed25519(ed25519_dalek::SigningKey),
}

impl SecretKey {
    pub(super) fn generate(algorithm: Algorithm, rng: &mut impl CryptoRngCore) -> Result<Self, KeyError> {
        Ok(match algorithm {
            Algorithm::EcdsaP256 => Self::P256(p256::ecdsa::SigningKey::random(rng)),
            Algorithm::EcdsaP384 => Self::P384(p384::ecdsa::SigningKey::random(rng)),
            Algorithm::Ed25519 => Self::Ed25519(ed25519_dalek::SigningKey::generate(rng)),
            Algorithm::Rsa => return Err(KeyError::VerifyOnly),
        })
    }

    /// Reads a PKCS#8 `PrivateKeyInfo`, DER.
    pub(super) fn from_pkcs8(der: &[u8]) -> Result<Self, KeyError> {
        let malformed = |error: p256::pkcs8::Error| KeyError::Malformed(error.to_string());
        let info = PrivateKeyInfo::try_from(der).map_err(|error| KeyError::Malformed(error.to_string()))?;
        Ok(match Algorithm::read(&info.algorithm)? {
            Algorithm::EcdsaP256 => Self::P256(p256::ecdsa::SigningKey::try_from(info).map_err(malformed)?),
            Algorithm::EcdsaP384 => Self::P384(p384::ecdsa::SigningKey::try_from(info).map_err(malformed)?),
            Algorithm::Ed25519 => Self::Ed25519(ed25519_seed(info.private_key)?),
            Algorithm::Rsa => return Err(KeyError::VerifyOnly),
        })
    }

    /// As a PKCS#8 `PrivateKeyInfo`, version 0 (cosign's own; the later version with a public key is read by fewer tools).
    pub(super) fn to_pkcs8(&self) -> Result<SecretDocument, KeyError> {
        let document = match self {
            Self::P256(key) => key.to_pkcs8_der(),
            Self::P384(key) => key.to_pkcs8_der(),
            Self::Ed25519(key) => {
                let mut wrapped = Zeroizing::new(SEED_HEAD.to_vec());
                wrapped.extend_from_slice(key.as_bytes());
                PrivateKeyInfo::new(ed25519_dalek::pkcs8::ALGORITHM_ID, &wrapped).try_into()
            }
        };
        document.map_err(|_| KeyError::Malformed("it cannot be encoded".to_owned()))
    }

    pub(super) fn public(&self) -> Result<PublicKey, KeyError> {
        match self {
            Self::P256(key) => PublicKey::p256(*key.verifying_key()),
            Self::P384(key) => PublicKey::p384(*key.verifying_key()),
            Self::Ed25519(key) => PublicKey::ed25519(key.verifying_key()),
        }
    }

    pub(super) fn sign(&self, message: &[u8]) -> Result<Vec<u8>, SignerError> {
        let refused = |error: p256::ecdsa::Error| SignerError::Refused(error.to_string());
        // Nonces are derived, not drawn (RFC 6979).
        Ok(match self {
            Self::P256(key) => {
                let signature: p256::ecdsa::Signature = key.sign_prehash(&Sha256::digest(message)).map_err(refused)?;
                signature.to_der().as_bytes().to_vec()
            }
            Self::P384(key) => {
                let signature: p384::ecdsa::Signature = key.sign_prehash(&Sha256::digest(message)).map_err(refused)?;
                signature.to_der().as_bytes().to_vec()
            }
            Self::Ed25519(key) => key.sign(message).to_vec(),
        })
    }
}

/// RFC 8410, section 7: the seed is an OCTET STRING inside the OCTET STRING. Read and written here, since the library's own reader
/// leaves copies of it behind.
const SEED_HEAD: [u8; 2] = [0x04, 0x20];

fn ed25519_seed(private_key: &[u8]) -> Result<ed25519_dalek::SigningKey, KeyError> {
    let seed = private_key.strip_prefix(&SEED_HEAD).and_then(|seed| seed.try_into().ok());
    let seed: &[u8; 32] = seed.ok_or_else(|| KeyError::Malformed("it has no seed of 32 bytes".to_owned()))?;
    Ok(ed25519_dalek::SigningKey::from_bytes(seed))
}
