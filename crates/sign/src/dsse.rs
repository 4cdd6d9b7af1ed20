//! DSSE envelopes (<https://github.com/secure-systems-lab/dsse>, protocol and envelope 1.0).
//!
//! What is signed is the PAE of the payload type and of the payload *as it was received*, decoded from base64 once. Nothing is
//! parsed and written again on the way to a signature check.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};
use bytes::Bytes;
use schleuse_model::json;
use serde::{Deserialize, Serialize};

use crate::error::{Malformed, SignerError};
use crate::keys::{PublicKey, Signer, sign_checked};

/// The most signatures of one envelope that are tried. Each try costs an ECDSA verification per trusted key.
pub const SIGNATURES_LIMIT: usize = 8;

const WHAT: &str = "DSSE envelope";

/// The pre-authentication encoding: `DSSEv1 <len> <type> <len> <payload>`.
pub fn pae(payload_type: &str, payload: &[u8]) -> Vec<u8> {
    let mut bytes = format!("DSSEv1 {} {payload_type} {} ", payload_type.len(), payload.len()).into_bytes();
    bytes.extend_from_slice(payload);
    bytes
}

/// The envelope as JSON.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Wire {
    payload: String,
    payload_type: String,
    signatures: Vec<WireSignature>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct WireSignature {
    sig: String,
}

/// A parsed envelope: payload type, the payload's exact bytes, signatures. Nothing in it is verified yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Envelope {
    payload_type: String,
    payload: Bytes,
    signatures: Vec<Vec<u8>>,
}

impl Envelope {
    /// Signs `payload`.
    ///
    /// # Errors
    /// If the signer does not sign, or not with the key it names.
    pub fn sign(payload_type: &str, payload: Bytes, signer: &dyn Signer) -> Result<Self, SignerError> {
        let signature = sign_checked(signer, &pae(payload_type, &payload))?;
        Ok(Self { payload_type: payload_type.to_owned(), payload, signatures: vec![signature] })
    }

    /// Reads an envelope of at most `limit` bytes. Key ids are ignored: they are unauthenticated.
    ///
    /// # Errors
    /// If it is malformed, has no signature, or more than [`SIGNATURES_LIMIT`].
    pub fn parse(bytes: &[u8], limit: usize) -> Result<Self, Malformed> {
        Self::from_wire(json::from_untrusted(bytes, limit).map_err(Malformed::json(WHAT))?)
    }

    pub(crate) fn from_wire(wire: Wire) -> Result<Self, Malformed> {
        if wire.signatures.is_empty() {
            return Err(Malformed::Lacks { what: WHAT, part: "signature" });
        }
        if wire.signatures.len() > SIGNATURES_LIMIT {
            let found = wire.signatures.len();
            return Err(Malformed::TooMany { what: WHAT, part: "signatures", found, limit: SIGNATURES_LIMIT });
        }
        let signatures =
            wire.signatures.iter().map(|one| decode(&one.sig, "DSSE signature")).collect::<Result<_, _>>()?;
        let payload = decode(&wire.payload, "DSSE payload")?.into();
        Ok(Self { payload_type: wire.payload_type, payload, signatures })
    }

    pub(crate) fn to_wire(&self) -> Wire {
        Wire {
            payload: STANDARD.encode(&self.payload),
            payload_type: self.payload_type.clone(),
            signatures: self.signatures.iter().map(|sig| WireSignature { sig: STANDARD.encode(sig) }).collect(),
        }
    }

    /// As JSON, ready to store.
    pub fn to_bytes(&self) -> Vec<u8> {
        json::to_bytes(&self.to_wire())
    }

    /// What the payload calls itself. Part of what is signed.
    pub fn payload_type(&self) -> &str {
        &self.payload_type
    }

    /// The payload's exact bytes.
    pub const fn payload(&self) -> &Bytes {
        &self.payload
    }

    /// How many signatures it has.
    pub fn signatures(&self) -> usize {
        self.signatures.len()
    }

    /// Whether one of the signatures is `key`'s over exactly this type and payload.
    pub fn is_signed_by(&self, key: &PublicKey) -> bool {
        let signed = pae(&self.payload_type, &self.payload);
        self.signatures.iter().any(|signature| key.verifies(&signed, signature))
    }
}

/// Standard or URL-safe base64: the envelope's specification leaves the choice to the writer.
fn decode(text: &str, what: &'static str) -> Result<Vec<u8>, Malformed> {
    STANDARD.decode(text).or_else(|_| URL_SAFE.decode(text)).map_err(|_| Malformed::Base64 { what })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pae_is_the_specification_s_example() {
        let pae = pae("http://example.com/HelloWorld", b"hello world");
        assert_eq!(pae, b"DSSEv1 29 http://example.com/HelloWorld 11 hello world");
    }

    #[test]
    fn refused_shapes() {
        let parse = |text: &str| Envelope::parse(text.as_bytes(), 4096).unwrap_err().to_string();
        let none = parse(r#"{"payload":"","payloadType":"t","signatures":[]}"#);
        assert_eq!(none, "the DSSE envelope has no signature");
        let nine = [r#"{"sig":"AA=="}"#; 9].join(",");
        let many = parse(&format!(r#"{{"payload":"","payloadType":"t","signatures":[{nine}]}}"#));
        assert_eq!(many, "the DSSE envelope has 9 signatures; at most 8 are read");
        assert_eq!(
            parse(r#"{"payload":"*","payloadType":"t","signatures":[{"sig":"AA=="}]}"#),
            "the DSSE payload is not base64"
        );
        assert!(parse(r#"{"payload":"","payload":"AA==","payloadType":"t","signatures":[]}"#).contains("stands twice"));
        let large = Envelope::parse(&[b' '; 100], 99).unwrap_err().to_string();
        assert!(large.contains("at most 99"), "{large}");
    }

    #[test]
    fn both_base64_alphabets() {
        let one = |payload: &str| {
            Envelope::parse(
                format!(r#"{{"payload":"{payload}","payloadType":"t","signatures":[{{"sig":"AA=="}}]}}"#).as_bytes(),
                999,
            )
        };
        assert_eq!(one("+/+/").unwrap(), one("-_-_").unwrap());
    }
}
