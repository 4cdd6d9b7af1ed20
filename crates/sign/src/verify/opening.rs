//! Who signed an envelope, and whether that key may still say so. Signature first, then role, then the payload: nothing unsigned
//! is parsed as a statement.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use schleuse_model::Digest;
use schleuse_oci::media_type;

use super::{ATTESTATION_LIMIT, Reason};
use crate::bundle::Bundle;
use crate::candidate::{Candidate, Content};
use crate::dsse::Envelope;
use crate::error::{Malformed, shown};
use crate::keys::PublicKey;
use crate::simple;
use crate::statement::Statement;
use crate::trust::{Revocation, Role, Trust, TrustedKey};

/// A statement whose signature is a known key's, which holds, or held, a demanded role. Whether a *revoked* key counts is left to
/// whoever holds it: a journal judges its entries by their place in the chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attributed {
    pub(super) statement: Statement,
    pub(super) signer: TrustedKey,
    pub(super) role: Role,
}

impl Attributed {
    /// What was signed.
    pub const fn statement(&self) -> &Statement {
        &self.statement
    }

    /// The key that signed it. Look at [`TrustedKey::revoked`].
    pub const fn signer(&self) -> &TrustedKey {
        &self.signer
    }

    /// The first of the demanded roles that the key holds, or held.
    pub const fn role(&self) -> Role {
        self.role
    }

    /// Refuses a revoked key, unless it was superseded and the journal had named everything that this is about.
    pub(super) fn standing(self, trust: &Trust) -> Result<Self, Reason> {
        let named = |since| {
            let digests = self.statement.subjects().iter().flat_map(|subject| subject.digests());
            let mut digests = digests.peekable();
            digests.peek().is_some() && digests.all(|digest| trust.named_before(&digest, since))
        };
        may_speak(&self.signer, named)?;
        Ok(self)
    }
}

/// Reads a DSSE envelope of at most `limit` bytes and finds the key that signed the statement in it, among those that hold, or
/// held, one of `roles`. Not a verdict: see [`Attributed`].
///
/// # Errors
/// The [`Reason`] why it is nobody's.
pub fn attribute_envelope(bytes: &[u8], trust: &Trust, roles: &[Role], limit: usize) -> Result<Attributed, Reason> {
    attribute(&Envelope::parse(bytes, limit)?, None, trust, roles)
}

pub(super) fn attribute(
    envelope: &Envelope,
    hint: Option<String>,
    trust: &Trust,
    roles: &[Role],
) -> Result<Attributed, Reason> {
    let (signer, role) = signer(trust, roles, hint, |key| envelope.is_signed_by(key))?;
    if envelope.payload_type() != media_type::IN_TOTO {
        return Err(Reason::PayloadType { found: shown(envelope.payload_type()) });
    }
    let payload = envelope.payload().clone();
    let limit = payload.len();
    Ok(Attributed { statement: Statement::parse(payload, limit)?, signer: signer.clone(), role })
}

/// Whose statement a candidate is.
pub(super) fn attribute_candidate(candidate: &Candidate, trust: &Trust, roles: &[Role]) -> Result<Attributed, Reason> {
    match &candidate.content {
        Content::Bundle(bytes) => {
            let bundle = Bundle::parse(bytes, ATTESTATION_LIMIT)?;
            attribute(&bundle.envelope, bundle.hint, trust, roles)
        }
        Content::Envelope(bytes) => attribute_envelope(bytes, trust, roles, ATTESTATION_LIMIT),
        Content::Simple { .. } => Err(Reason::PayloadType { found: media_type::SIMPLE_SIGNING.to_owned() }),
        Content::Unreadable(reason) => Err(reason.clone()),
    }
}

/// Whose legacy signature of `digest` this is, and what it says beside the digest.
pub(super) fn legacy<'t>(
    payload: &[u8],
    signature: &str,
    digest: &Digest,
    trust: &'t Trust,
    roles: &[Role],
) -> Result<(&'t TrustedKey, Role, simple::Signed), Reason> {
    let signature = STANDARD.decode(signature.trim()).map_err(|_| Malformed::Base64 { what: "legacy signature" })?;
    let (signer, role) = signer(trust, roles, None, |key| key.verifies(payload, &signature))?;
    let signed = simple::read(payload)?;
    if signed.digest != *digest {
        return Err(Reason::WrongDigest { found: signed.digest.to_string() });
    }
    may_speak(signer, |since| trust.named_before(&signed.digest, since))?;
    Ok((signer, role, signed))
}

/// Refuses a revoked key. `named`: whether the journal had named what this is about before a time.
pub(super) fn may_speak(
    signer: &TrustedKey,
    named: impl FnOnce(schleuse_model::Timestamp) -> bool,
) -> Result<(), Reason> {
    match signer.revoked() {
        None => Ok(()),
        Some(Revocation::Compromised) => Err(Reason::Compromised { key: signer.fingerprint() }),
        Some(Revocation::Superseded { since }) if named(since) => Ok(()),
        Some(Revocation::Superseded { since }) => Err(Reason::Superseded { key: signer.fingerprint(), since }),
    }
}

/// The trusted key that made the signature, if it holds one of `roles`. Every key is tried: the hint only explains a failure.
pub(super) fn signer<'t>(
    trust: &'t Trust,
    roles: &[Role],
    hint: Option<String>,
    made_by: impl Fn(&PublicKey) -> bool,
) -> Result<(&'t TrustedKey, Role), Reason> {
    let mut other = None;
    for key in trust.keys().filter(|key| made_by(key.key())) {
        if let Some(role) = roles.iter().find(|role| key.holds(**role)) {
            return Ok((key, *role));
        }
        other = Some(key);
    }
    if let (Some(key), Some(needed)) = (other, roles.first()) {
        let holds = key.roles().iter().copied().collect();
        return Err(Reason::WrongRole { key: key.fingerprint(), holds, needed: *needed });
    }
    let named = trust.keys().find(|key| hint.as_ref().is_some_and(|hint| *hint == key.key().hint()));
    Err(match named {
        Some(key) => Reason::BadSignature { key: key.fingerprint() },
        None => Reason::UnknownKey { hint: hint.map(|hint| shown(&hint)) },
    })
}

/// A statement is about `digest`, or the reason why that is refused.
pub(super) fn about(statement: &Statement, digest: &Digest) -> Result<(), Reason> {
    if statement.is_about(digest) {
        return Ok(());
    }
    let found = statement.subjects().iter().flat_map(|subject| &subject.digest).next();
    Err(Reason::WrongDigest { found: found.map_or_else(String::new, |(name, hex)| shown(&format!("{name}:{hex}"))) })
}
