//! Looking at a candidate without a demand: who signed it, in whatever role, and whether that holds.

use schleuse_model::PinnedRef;

use super::opening::{about, attribute_candidate, legacy};
use super::{ATTESTATION_LIMIT, Reason};
use crate::bundle::Bundle;
use crate::candidate::{Candidate, Content};
use crate::dsse::Envelope;
use crate::evidence::Believed;
use crate::statement::Statement;
use crate::trust::{Role, Trust};

/// Whether somebody trusted, in any role, signed it about this image.
pub(crate) fn believe(candidate: &Candidate, image: &PinnedRef, trust: &Trust) -> Result<Believed, Reason> {
    if let Content::Simple { payload, signature } = &candidate.content {
        let (signer, role, _) = legacy(payload, signature, image.digest(), trust, &Role::ALL)?;
        return Ok(Believed { signer: signer.clone(), role, statement: None });
    }
    let attributed = attribute_candidate(candidate, trust, &Role::ALL)?;
    about(attributed.statement(), image.digest())?;
    let super::Attributed { statement, signer, role } = attributed.standing(trust)?;
    Ok(Believed { signer, role, statement: Some(statement) })
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
