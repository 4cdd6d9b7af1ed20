//! Looking at a candidate without a demand: who signed it, in whatever role, and whether that holds.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use schleuse_model::PinnedRef;

use super::opening::{about, attribute, attribute_envelope, may_speak, signer};
use super::{ATTESTATION_LIMIT, Reason};
use crate::bundle::Bundle;
use crate::candidate::{Candidate, Content};
use crate::dsse::Envelope;
use crate::error::Malformed;
use crate::evidence::Believed;
use crate::simple;
use crate::statement::Statement;
use crate::trust::{Role, Trust};

/// Whether somebody trusted, in any role, signed it about this image.
pub(crate) fn believe(candidate: &Candidate, image: &PinnedRef, trust: &Trust) -> Result<Believed, Reason> {
    let attributed = match &candidate.content {
        Content::Bundle(bytes) => {
            let bundle = Bundle::parse(bytes, ATTESTATION_LIMIT)?;
            attribute(&bundle.envelope, bundle.hint, trust, &Role::ALL)?
        }
        Content::Envelope(bytes) => attribute_envelope(bytes, trust, &Role::ALL, ATTESTATION_LIMIT)?,
        Content::Simple { payload, signature } => return legacy(payload, signature, image, trust),
        Content::Unreadable(reason) => return Err(reason.clone()),
    };
    about(attributed.statement(), image.digest())?;
    let super::Attributed { statement, signer, role } = attributed.standing(trust)?;
    Ok(Believed { signer, role, statement: Some(statement) })
}

fn legacy(payload: &[u8], signature: &str, image: &PinnedRef, trust: &Trust) -> Result<Believed, Reason> {
    let signature = STANDARD.decode(signature.trim()).map_err(|_| Malformed::Base64 { what: "legacy signature" })?;
    let (signer, role) = signer(trust, &Role::ALL, None, |key| key.verifies(payload, &signature))?;
    let signed = simple::read(payload)?;
    if signed.digest != *image.digest() {
        return Err(Reason::WrongDigest { found: signed.digest.to_string() });
    }
    may_speak(signer, |since| trust.named_before(&signed.digest, since))?;
    Ok(Believed { signer: signer.clone(), role, statement: None })
}

/// What it calls itself, signed by somebody known or not. For showing it.
pub(crate) fn claimed_type(candidate: &Candidate) -> Option<String> {
    let envelope = match &candidate.content {
        Content::Bundle(bytes) => Bundle::parse(bytes, ATTESTATION_LIMIT).ok()?.envelope,
        Content::Envelope(bytes) => Envelope::parse(bytes, ATTESTATION_LIMIT).ok()?,
        Content::Simple { .. } | Content::Unreadable(_) => return None,
    };
    let payload = envelope.payload().clone();
    let limit = payload.len();
    Some(Statement::parse(payload, limit).ok()?.predicate_type().to_owned())
}
