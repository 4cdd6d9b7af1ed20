//! From bytes to belief. Pure: no I/O, no clock, no configuration but the [`Trust`] handed in.
//!
//! For each candidate, in this order: read the envelope; find the trusted key whose signature covers the exact bytes received;
//! demand the role; only then look at what was signed: the payload type, the predicate type, the subject. The first reason to
//! say no is the one reported.

mod attestation;
mod demand;
pub(crate) mod examine;
mod opening;
mod reason;

use std::collections::BTreeMap;

use bytes::Bytes;
use schleuse_model::predicate::COSIGN_SIGN_V1;
use schleuse_model::{Digest, PinnedRef, Timestamp};

use crate::bundle::Bundle;
use crate::candidate::{Candidate, Content, Origin, SIGNATURE_LIMIT};
use crate::error::shown;
use crate::statement::Statement;
use crate::trust::{Role, Trust, TrustedKey};

pub use attestation::{
    Attestations, VerifiedStatement, attestations, attestations_of, verify_envelope, verify_statement,
};
pub use demand::{Demand, Quorum, count};
pub use opening::{Attributed, attribute_envelope};
use opening::{about, attribute, legacy};
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
    annotations: BTreeMap<String, String>,
    identity: Option<String>,
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

    /// What the signer wrote beside the digest: signed, and the signer's word.
    pub const fn annotations(&self) -> &BTreeMap<String, String> {
        &self.annotations
    }

    /// The name that a legacy signature is made under (`docker-reference`), for readers whose policy compares it. Bundles have none.
    pub fn identity(&self) -> Option<&str> {
        self.identity.as_deref()
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
    let demand = Demand::one(role);
    let mut check = Check::new(image, trust, &demand, now)?;
    for candidate in candidates {
        if check.accept(candidate) {
            break;
        }
    }
    check.one()
}

/// Checks that `image` is signed as demanded: by so many signers, each with these annotations. Answers the signatures relied on, no
/// more than are needed.
///
/// # Errors
/// [`VerifyError`], with the reason for every candidate.
pub fn verify_demand(
    image: &PinnedRef,
    candidates: &[Candidate],
    trust: &Trust,
    demand: &Demand,
    now: Timestamp,
) -> Result<Vec<Verified>, VerifyError> {
    let mut check = Check::new(image, trust, demand, now)?;
    for candidate in candidates {
        if check.accept(candidate) {
            break;
        }
    }
    check.verdict()
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

/// One signature check under way: candidates are offered one at a time, so that a reader can stop at the first good ones.
pub(crate) struct Check<'a> {
    image: &'a PinnedRef,
    trust: &'a Trust,
    demand: &'a Demand,
    now: Timestamp,
    needed: usize,
    accepted: Vec<Verified>,
    rejected: Vec<Rejected>,
}

/// What a good signature says.
struct Said<'a> {
    signer: &'a TrustedKey,
    annotations: BTreeMap<String, String>,
    identity: Option<String>,
}

impl<'a> Check<'a> {
    pub(crate) fn new(
        image: &'a PinnedRef,
        trust: &'a Trust,
        demand: &'a Demand,
        now: Timestamp,
    ) -> Result<Self, VerifyError> {
        let needed = demand.needed(trust, image)?;
        Ok(Self { image, trust, demand, now, needed, accepted: Vec::new(), rejected: Vec::new() })
    }

    /// Looks at one candidate. `true`: what is demanded is there, and no further one needs to be read.
    pub(crate) fn accept(&mut self, candidate: &Candidate) -> bool {
        let (origin, evidence) = (candidate.origin.clone(), candidate.evidence());
        match (self.signer(&candidate.content), evidence) {
            (Ok(Said { signer, annotations, identity }), Some(evidence)) => {
                // The same signer in both formats counts once, and the first is what is relied on.
                if !self.accepted.iter().any(|one| one.signer == *signer) {
                    let (image, signer, role) = (self.image.clone(), signer.clone(), self.demand.role);
                    let at = self.now;
                    self.accepted.push(Verified { image, signer, role, at, origin, annotations, identity, evidence });
                }
            }
            (Err(reason), _) => self.rejected.push(Rejected { origin, reason }),
            // Nothing readable: `signer` has said so.
            (Ok(_), None) => {}
        }
        self.is_met()
    }

    fn is_met(&self) -> bool {
        demand::count(self.accepted.iter().map(Verified::signer)) >= self.needed
    }

    /// The signatures relied on, if they are enough.
    pub(crate) fn verdict(self) -> Result<Vec<Verified>, VerifyError> {
        if self.is_met() { Ok(self.accepted) } else { Err(self.refuse()) }
    }

    /// The one signature of a demand for one.
    pub(crate) fn one(mut self) -> Result<Verified, VerifyError> {
        match self.accepted.pop() {
            Some(verified) if self.needed == 1 => Ok(verified),
            _ => Err(self.refuse()),
        }
    }

    fn refuse(self) -> VerifyError {
        let (image, role) = (self.image.clone(), self.demand.role);
        match (self.accepted.as_slice(), self.rejected) {
            ([], rejected) if rejected.is_empty() => VerifyError::NoSignature { image },
            ([], rejected) => VerifyError::NotTrusted { image, role, rejected },
            (accepted, rejected) => {
                let by = accepted.iter().map(|one| one.signer.short()).collect();
                VerifyError::TooFew { image, role, needed: self.needed, by, rejected }
            }
        }
    }

    fn signer(&self, content: &Content) -> Result<Said<'a>, Reason> {
        let said = match content {
            Content::Bundle(bytes) => self.bundle(bytes)?,
            Content::Simple { payload, signature } => self.simple(payload, signature)?,
            // cosign keeps no signatures under `.att`, and neither do we.
            Content::Envelope(_) => {
                return Err(Reason::NotASignature {
                    predicate_type: "a bare envelope under the legacy tag".to_owned(),
                });
            }
            Content::Unreadable(reason) => return Err(reason.clone()),
        };
        self.demand.annotated(&said.annotations)?;
        Ok(said)
    }

    fn bundle(&self, bytes: &[u8]) -> Result<Said<'a>, Reason> {
        let bundle = Bundle::parse(bytes, SIGNATURE_LIMIT)?;
        let found = attribute(&bundle.envelope, bundle.hint, self.trust, &[self.demand.role])?;
        signs(found.statement(), self.image.digest())?;
        let found = found.standing(self.trust)?;
        // As a borrow: the trust's own key, not the copy that was found.
        let signer = self.trust.keys().find(|key| *key == found.signer());
        let signer = signer.ok_or(Reason::UnknownKey { hint: None })?;
        let annotations = found.statement().annotations(self.image.digest());
        Ok(Said { signer, annotations, identity: None })
    }

    fn simple(&self, payload: &[u8], signature: &str) -> Result<Said<'a>, Reason> {
        let (signer, _, signed) = legacy(payload, signature, self.image.digest(), self.trust, &[self.demand.role])?;
        Ok(Said { signer, annotations: signed.annotations, identity: Some(signed.identity) })
    }
}

/// A statement counts as a signature only if it says so, about this digest.
fn signs(statement: &Statement, digest: &Digest) -> Result<(), Reason> {
    if statement.predicate_type() != COSIGN_SIGN_V1 {
        return Err(Reason::NotASignature { predicate_type: shown(statement.predicate_type()) });
    }
    about(statement, digest)
}

#[cfg(test)]
mod tests;
