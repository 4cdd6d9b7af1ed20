//! sigstore bundles, version 0.3, signed by a key (<https://github.com/sigstore/protobuf-specs>): the DSSE envelope plus a hint at
//! the key. The hint is unsigned and decides nothing.

use schleuse_model::json;
use schleuse_oci::media_type;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::dsse::{self, Envelope};
use crate::error::{Error, Malformed};
use crate::keys::Signer;
use crate::statement::{self, Statement};

/// The spelling of earlier 0.3 writers; readers accept both.
const OLD_MEDIA_TYPE: &str = "application/vnd.dev.sigstore.bundle+json;version=0.3";
const WHAT: &str = "sigstore bundle";

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Write {
    media_type: &'static str,
    verification_material: WriteMaterial,
    dsse_envelope: dsse::Wire,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct WriteMaterial {
    public_key: Hint,
}

#[derive(Serialize, Deserialize)]
struct Hint {
    #[serde(default)]
    hint: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Read<'a> {
    media_type: String,
    verification_material: ReadMaterial<'a>,
    #[serde(default)]
    dsse_envelope: Option<dsse::Wire>,
    #[serde(borrow, default)]
    message_signature: Option<&'a RawValue>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ReadMaterial<'a> {
    #[serde(default)]
    public_key: Option<Hint>,
    #[serde(borrow, default)]
    certificate: Option<&'a RawValue>,
    #[serde(borrow, default)]
    x509_certificate_chain: Option<&'a RawValue>,
}

/// A parsed bundle. Nothing in it is verified yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bundle {
    /// The signed envelope: exactly one signature.
    pub envelope: Envelope,
    /// The key it claims to be by.
    pub hint: Option<String>,
}

impl Bundle {
    /// Reads a bundle of at most `limit` bytes.
    ///
    /// # Errors
    /// If it is malformed, of another version, signed by a certificate instead of a key, over a bare message instead of an
    /// envelope, or its envelope has not exactly one signature (the bundle's specification demands that).
    pub fn parse(bytes: &[u8], limit: usize) -> Result<Self, Malformed> {
        let read: Read<'_> = json::from_untrusted(bytes, limit).map_err(Malformed::json(WHAT))?;
        if ![media_type::SIGSTORE_BUNDLE_V03, OLD_MEDIA_TYPE].contains(&read.media_type.as_str()) {
            return Err(Malformed::kind(WHAT, &read.media_type));
        }
        let material = read.verification_material;
        let Some(key) = material.public_key else {
            let keyless = material.certificate.is_some() || material.x509_certificate_chain.is_some();
            return Err(if keyless {
                Malformed::kind(WHAT, "keyless signature (by a certificate)")
            } else {
                Malformed::Lacks { what: WHAT, part: "key hint" }
            });
        };
        let Some(wire) = read.dsse_envelope else {
            return Err(if read.message_signature.is_some() {
                Malformed::kind(WHAT, "message signature")
            } else {
                Malformed::Lacks { what: WHAT, part: "DSSE envelope" }
            });
        };
        let envelope = Envelope::from_wire(wire)?;
        if envelope.signatures() != 1 {
            let found = envelope.signatures();
            return Err(Malformed::TooMany { what: WHAT, part: "signatures", found, limit: 1 });
        }
        Ok(Self { envelope, hint: Some(key.hint).filter(|hint| !hint.is_empty()) })
    }
}

/// Signs `statement` and returns the bundle as JSON.
///
/// # Errors
/// If the signer does not sign.
pub fn sign(signer: &dyn Signer, statement: &Statement) -> Result<Vec<u8>, Error> {
    Ok(json::to_bytes(&Write {
        media_type: media_type::SIGSTORE_BUNDLE_V03,
        verification_material: WriteMaterial { public_key: Hint { hint: signer.public_key().hint() } },
        dsse_envelope: statement::envelope(signer, statement)?.to_wire(),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_a_key_s_bundle_is_named() {
        let parse = |text: &str| Bundle::parse(text.as_bytes(), 4096).unwrap_err().to_string();
        let with = |material: &str, content: &str| {
            parse(&format!(
                r#"{{"mediaType":"application/vnd.dev.sigstore.bundle.v0.3+json","verificationMaterial":{material}{content}}}"#
            ))
        };
        assert!(with(r#"{"certificate":{"rawBytes":""}}"#, "").contains("keyless signature"));
        assert!(with("{}", "").contains("no key hint"));
        let key = r#"{"publicKey":{"hint":"x"}}"#;
        assert!(with(key, r#","messageSignature":{}"#).contains("message signature"));
        assert!(with(key, "").contains("no DSSE envelope"));
        let two = r#","dsseEnvelope":{"payload":"","payloadType":"","signatures":[{"sig":"AA=="},{"sig":"AA=="}]}"#;
        assert!(with(key, two).contains("has 2 signatures; at most 1"));
        let future =
            parse(r#"{"mediaType":"application/vnd.dev.sigstore.bundle.v0.9+json","verificationMaterial":{}}"#);
        assert!(future.contains("bundle.v0.9+json`, which is not supported"), "{future}");
    }
}
