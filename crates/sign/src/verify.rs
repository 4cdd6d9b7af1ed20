//! From bytes to belief. Pure: no I/O, no clock, no configuration but the [`Trust`] handed in.
//!
//! For each candidate, in this order: read the envelope; find the trusted key whose signature covers the exact bytes received;
//! demand the role; only then look at what was signed: the payload type, the predicate type, the subject. The first reason to
//! say no is the one reported.

mod reason;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use schleuse_model::predicate::COSIGN_SIGN_V1;
use schleuse_model::{Digest, PinnedRef, Timestamp};
use schleuse_oci::media_type;

use crate::bundle::Bundle;
use crate::candidate::{Candidate, Content, Origin, SIGNATURE_LIMIT};
use crate::dsse::Envelope;
use crate::error::{Malformed, shown};
use crate::keys::PublicKey;
use crate::simple;
use crate::statement::Statement;
use crate::trust::{Role, Trust, TrustedKey};

pub use reason::{Reason, Rejected, VerifyError};

/// The largest attestation that is read, in bytes: 64 MiB (inventories of large images have several).
pub const ATTESTATION_LIMIT: usize = 64 << 20;

/// This image is signed by a trusted key that holds the demanded role. Built only by [`verify()`] and [`verify_evidence`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verified {
    image: PinnedRef,
    signer: TrustedKey,
    role: Role,
    at: Timestamp,
    origin: Origin,
    evidence: Bytes,
}

impl Verified {
    /// The image.
    pub const fn image(&self) -> &PinnedRef {
        &self.image
    }

    /// The key that signed it.
    pub const fn signer(&self) -> &TrustedKey {
        &self.signer
    }

    /// The role that was demanded, and that the key holds.
    pub const fn role(&self) -> Role {
        self.role
    }

    /// When it was checked, as the caller said.
    pub const fn at(&self) -> Timestamp {
        self.at
    }

    /// Where the signature was found.
    pub const fn origin(&self) -> &Origin {
        &self.origin
    }

    /// The signature relied on, whole, as one JSON document that [`verify_evidence`] reads again.
    pub fn evidence(&self) -> &[u8] {
        &self.evidence
    }

    /// The digest of [`Verified::evidence`]. For a bundle, that is the digest of its blob in the registry.
    pub fn evidence_digest(&self) -> Digest {
        Digest::sha256(&self.evidence)
    }
}

/// A statement signed by a trusted key that holds the demanded role. Built only in this module.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifiedStatement {
    statement: Statement,
    signer: TrustedKey,
    role: Role,
}

impl VerifiedStatement {
    /// What was signed.
    pub const fn statement(&self) -> &Statement {
        &self.statement
    }

    /// The key that signed it.
    pub const fn signer(&self) -> &TrustedKey {
        &self.signer
    }

    /// The role that was demanded, and that the key holds.
    pub const fn role(&self) -> Role {
        self.role
    }
}

/// Checks that `image` is signed by a key trusted for `role`: the first acceptable candidate decides.
///
/// # Errors
/// [`VerifyError`], with the reason for every candidate.
pub fn verify(
    image: &PinnedRef,
    candidates: &[Candidate],
    trust: &Trust,
    role: Role,
    now: Timestamp,
) -> Result<Verified, VerifyError> {
    let mut check = Check::new(image, trust, role, now)?;
    for candidate in candidates {
        if let Some(verified) = check.accept(candidate) {
            return Ok(verified);
        }
    }
    Err(check.refuse())
}

/// Checks again what [`Verified::evidence`] gave, such as a journal entry carries it.
///
/// # Errors
/// As [`verify()`].
pub fn verify_evidence(
    image: &PinnedRef,
    evidence: &[u8],
    trust: &Trust,
    role: Role,
    now: Timestamp,
) -> Result<Verified, VerifyError> {
    verify(image, &[Candidate::from_evidence(evidence)], trust, role, now)
}

/// One signature check under way: candidates are offered one at a time, so that a reader can stop at the first good one.
pub(crate) struct Check<'a> {
    image: &'a PinnedRef,
    trust: &'a Trust,
    role: Role,
    now: Timestamp,
    rejected: Vec<Rejected>,
}

impl<'a> Check<'a> {
    pub(crate) fn new(image: &'a PinnedRef, trust: &'a Trust, role: Role, now: Timestamp) -> Result<Self, VerifyError> {
        if trust.holders(role).next().is_none() {
            return Err(VerifyError::NobodyTrusted { image: image.clone(), role });
        }
        Ok(Self { image, trust, role, now, rejected: Vec::new() })
    }

    pub(crate) fn accept(&mut self, candidate: &Candidate) -> Option<Verified> {
        match self.signer(&candidate.content) {
            Ok((signer, evidence)) => Some(Verified {
                image: self.image.clone(),
                signer: signer.clone(),
                role: self.role,
                at: self.now,
                origin: candidate.origin.clone(),
                evidence: evidence.or_else(|| candidate.evidence())?,
            }),
            Err(reason) => {
                self.rejected.push(Rejected { origin: candidate.origin.clone(), reason });
                None
            }
        }
    }

    pub(crate) fn refuse(self) -> VerifyError {
        let image = self.image.clone();
        if self.rejected.is_empty() {
            VerifyError::NoSignature { image }
        } else {
            VerifyError::NotTrusted { image, role: self.role, rejected: self.rejected }
        }
    }

    fn signer(&self, content: &Content) -> Result<(&'a TrustedKey, Option<Bytes>), Reason> {
        match content {
            Content::Bundle(bytes) => {
                let bundle = Bundle::parse(bytes, SIGNATURE_LIMIT)?;
                let found = open(&bundle.envelope, bundle.hint, self.trust, self.role)?;
                signs(&found.statement, self.image.digest())?;
                Ok((found.signer, Some(bytes.clone())))
            }
            Content::Simple { payload, signature } => Ok((self.simple(payload, signature)?, None)),
            // cosign keeps no signatures under `.att`, and neither do we.
            Content::Envelope(_) => {
                Err(Reason::NotASignature { predicate_type: "a bare envelope under the legacy tag".to_owned() })
            }
            Content::Unreadable(reason) => Err(reason.clone()),
        }
    }

    fn simple(&self, payload: &[u8], signature: &str) -> Result<&'a TrustedKey, Reason> {
        let signature =
            STANDARD.decode(signature.trim()).map_err(|_| Malformed::Base64 { what: "legacy signature" })?;
        let signer = signer(self.trust, self.role, None, |key| key.verifies(payload, &signature))?;
        let found = simple::signed_digest(payload)?;
        if found == *self.image.digest() { Ok(signer) } else { Err(Reason::WrongDigest { found: found.to_string() }) }
    }
}

/// A statement counts as a signature only if it says so, about this digest.
fn signs(statement: &Statement, digest: &Digest) -> Result<(), Reason> {
    if statement.predicate_type() != COSIGN_SIGN_V1 {
        return Err(Reason::NotASignature { predicate_type: shown(statement.predicate_type()) });
    }
    about(statement, digest)
}

fn about(statement: &Statement, digest: &Digest) -> Result<(), Reason> {
    if statement.is_about(digest) {
        return Ok(());
    }
    let found = statement.subjects().iter().flat_map(|subject| &subject.digest).next();
    Err(Reason::WrongDigest { found: found.map_or_else(String::new, |(name, hex)| shown(&format!("{name}:{hex}"))) })
}

struct Opened<'t> {
    statement: Statement,
    signer: &'t TrustedKey,
}

/// Signature first, then role, then the payload: nothing unsigned is parsed as a statement.
fn open<'t>(envelope: &Envelope, hint: Option<String>, trust: &'t Trust, role: Role) -> Result<Opened<'t>, Reason> {
    let signer = signer(trust, role, hint, |key| envelope.is_signed_by(key))?;
    if envelope.payload_type() != media_type::IN_TOTO {
        return Err(Reason::PayloadType { found: shown(envelope.payload_type()) });
    }
    let payload = envelope.payload().clone();
    let limit = payload.len();
    Ok(Opened { statement: Statement::parse(payload, limit)?, signer })
}

/// The trusted key that made the signature, if it holds the role. Every key is tried: the hint only explains a failure.
fn signer(
    trust: &Trust,
    role: Role,
    hint: Option<String>,
    made_by: impl Fn(&PublicKey) -> bool,
) -> Result<&TrustedKey, Reason> {
    let mut other = None;
    for key in trust.keys().filter(|key| made_by(key.key())) {
        if key.holds(role) {
            return Ok(key);
        }
        other = Some(key);
    }
    if let Some(key) = other {
        let holds = key.roles().iter().copied().collect();
        return Err(Reason::WrongRole { key: key.fingerprint(), holds, needed: role });
    }
    let named = trust.keys().find(|key| hint.as_ref().is_some_and(|hint| *hint == key.key().hint()));
    Err(match named {
        Some(key) => Reason::BadSignature { key: key.fingerprint() },
        None => Reason::UnknownKey { hint: hint.map(|hint| shown(&hint)) },
    })
}

/// Reads a DSSE envelope of at most `limit` bytes and checks that a key trusted for `role` signed the statement in it. Which
/// statement it is, and about what, is the caller's to judge; [`verify_statement`] does both.
///
/// # Errors
/// The [`Reason`] why it is not believed.
pub fn verify_envelope(bytes: &[u8], trust: &Trust, role: Role, limit: usize) -> Result<VerifiedStatement, Reason> {
    let envelope = Envelope::parse(bytes, limit)?;
    let Opened { statement, signer } = open(&envelope, None, trust, role)?;
    Ok(VerifiedStatement { statement, signer: signer.clone(), role })
}

/// As [`verify_envelope`] (at most [`ATTESTATION_LIMIT`] bytes), and the statement is of `predicate_type` and about `subject`.
///
/// # Errors
/// The [`Reason`] why it is not believed.
pub fn verify_statement(
    bytes: &[u8],
    trust: &Trust,
    role: Role,
    predicate_type: &str,
    subject: &Digest,
) -> Result<VerifiedStatement, Reason> {
    says(verify_envelope(bytes, trust, role, ATTESTATION_LIMIT)?, predicate_type, subject)
}

fn says(verified: VerifiedStatement, predicate_type: &str, subject: &Digest) -> Result<VerifiedStatement, Reason> {
    let found = verified.statement.predicate_type();
    if found != predicate_type {
        return Err(Reason::WrongPredicate { found: shown(found), expected: predicate_type.to_owned() });
    }
    about(&verified.statement, subject)?;
    Ok(verified)
}

/// What [`attestations`] made of the candidates.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Attestations {
    /// Believed, in the order of the candidates.
    pub accepted: Vec<VerifiedStatement>,
    /// Not believed. Statements of another type are among them.
    pub rejected: Vec<Rejected>,
}

/// The statements of `predicate_type` about `subject` that keys trusted for `role` have made. None accepted means none believed;
/// whether that blocks is the caller's to say.
pub fn attestations(
    subject: &Digest,
    candidates: &[Candidate],
    trust: &Trust,
    role: Role,
    predicate_type: &str,
) -> Attestations {
    let mut result = Attestations::default();
    for candidate in candidates {
        let verified =
            attestation(&candidate.content, trust, role).and_then(|verified| says(verified, predicate_type, subject));
        match verified {
            Ok(verified) => result.accepted.push(verified),
            Err(reason) => result.rejected.push(Rejected { origin: candidate.origin.clone(), reason }),
        }
    }
    result
}

fn attestation(content: &Content, trust: &Trust, role: Role) -> Result<VerifiedStatement, Reason> {
    match content {
        Content::Bundle(bytes) => {
            let bundle = Bundle::parse(bytes, ATTESTATION_LIMIT)?;
            let Opened { statement, signer } = open(&bundle.envelope, bundle.hint, trust, role)?;
            Ok(VerifiedStatement { statement, signer: signer.clone(), role })
        }
        Content::Envelope(bytes) => verify_envelope(bytes, trust, role, ATTESTATION_LIMIT),
        Content::Simple { .. } => Err(Reason::PayloadType { found: media_type::SIMPLE_SIGNING.to_owned() }),
        Content::Unreadable(reason) => Err(reason.clone()),
    }
}

#[cfg(test)]
mod tests;
