//! Which algorithms there are, and how a key file says which it is.

use std::fmt;

use p256::elliptic_curve::ALGORITHM_OID as EC;
use p256::pkcs8::der::asn1::{AnyRef, ObjectIdentifier};
use p256::pkcs8::spki::AlgorithmIdentifier;
use p256::pkcs8::{AssociatedOid as _, der};

use super::KeyError;

/// RFC 8017.
const RSA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");
/// RFC 8410.
const ED25519: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.101.112");

/// A key's algorithm.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Algorithm {
    /// ECDSA on NIST P-256.
    EcdsaP256,
    /// ECDSA on NIST P-384.
    EcdsaP384,
    /// Ed25519 (RFC 8032).
    Ed25519,
    /// RSA with PKCS#1 v1.5. To verify with, not to sign with.
    Rsa,
}

impl Algorithm {
    /// Those that keys are made for.
    pub const SIGNING: [Self; 3] = [Self::EcdsaP256, Self::EcdsaP384, Self::Ed25519];

    /// The name, as on the command line.
    pub const fn name(self) -> &'static str {
        match self {
            Self::EcdsaP256 => "ecdsa-p256",
            Self::EcdsaP384 => "ecdsa-p384",
            Self::Ed25519 => "ed25519",
            Self::Rsa => "rsa",
        }
    }

    /// What a key file says it is.
    pub(super) fn read(algorithm: &AlgorithmIdentifier<AnyRef<'_>>) -> Result<Self, KeyError> {
        let curve: der::Result<ObjectIdentifier> =
            algorithm.parameters.map_or(Err(der::ErrorKind::Failed.into()), |parameters| parameters.decode_as());
        match (algorithm.oid, curve) {
            (EC, Ok(p256::NistP256::OID)) => Ok(Self::EcdsaP256),
            (EC, Ok(p384::NistP384::OID)) => Ok(Self::EcdsaP384),
            (EC, Ok(curve)) => Err(KeyError::Algorithm { algorithm: format!("ECDSA on the curve {curve}") }),
            (EC, Err(_)) => Err(KeyError::Malformed("it names no curve".to_owned())),
            // RFC 8410, section 3: no parameters. RFC 8017, appendix A.1: NULL. One key, one spelling, one fingerprint.
            (ED25519, _) if algorithm.parameters.is_none() => Ok(Self::Ed25519),
            (RSA, _) if algorithm.parameters.is_some_and(|parameters| parameters.is_null()) => Ok(Self::Rsa),
            (ED25519 | RSA, _) => Err(KeyError::Malformed("its algorithm has wrong parameters".to_owned())),
            (other, _) => Err(KeyError::Algorithm { algorithm: format!("of the algorithm {other}") }),
        }
    }
}

impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
