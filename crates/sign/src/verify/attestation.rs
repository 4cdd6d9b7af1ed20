//! Statements about an image: who says what.

use schleuse_model::Digest;

use super::opening::{about, attribute_candidate, attribute_envelope};
use super::{ATTESTATION_LIMIT, Attributed, Reason, Rejected};
use crate::candidate::{Candidate, Origin};
use crate::error::shown;
use crate::statement::Statement;
use crate::trust::{Role, Trust, TrustedKey};

/// A statement signed by a trusted key that holds the demanded role. Built only in this module.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifiedStatement {
    statement: Statement,
    signer: TrustedKey,
    role: Role,
    origin: Origin,
}

impl VerifiedStatement {
    fn new(attributed: Attributed, origin: Origin) -> Self {
        let Attributed { statement, signer, role } = attributed;
        Self { statement, signer, role, origin }
    }

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

    /// Where it was found.
    pub const fn origin(&self) -> &Origin {
        &self.origin
    }
}

/// Reads a DSSE envelope of at most `limit` bytes and checks that a key trusted for `role` signed the statement in it. Which
/// statement it is, and about what, is the caller's to judge; [`verify_statement`] does both.
///
/// # Errors
/// The [`Reason`] why it is not believed.
pub fn verify_envelope(bytes: &[u8], trust: &Trust, role: Role, limit: usize) -> Result<VerifiedStatement, Reason> {
    let attributed = attribute_envelope(bytes, trust, &[role], limit)?.standing(trust)?;
    Ok(VerifiedStatement::new(attributed, Origin::Carried))
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
    let verified = verify_envelope(bytes, trust, role, ATTESTATION_LIMIT)?;
    says(verified.statement(), |found| found == predicate_type, predicate_type, subject)?;
    Ok(verified)
}

fn says(statement: &Statement, wanted: impl Fn(&str) -> bool, expected: &str, subject: &Digest) -> Result<(), Reason> {
    let found = statement.predicate_type();
    if !wanted(found) {
        return Err(Reason::WrongPredicate { found: shown(found), expected: expected.to_owned() });
    }
    about(statement, subject)
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
    attestations_of(subject, candidates, trust, role, predicate_type, |found| found == predicate_type)
}

/// As [`attestations`], for a kind that is written under several types: `wanted` says which, `expected` names the kind.
pub fn attestations_of(
    subject: &Digest,
    candidates: &[Candidate],
    trust: &Trust,
    role: Role,
    expected: &str,
    wanted: impl Fn(&str) -> bool,
) -> Attestations {
    let mut result = Attestations::default();
    for candidate in candidates {
        let verified = attestation(candidate, trust, role).and_then(|verified| {
            says(verified.statement(), &wanted, expected, subject)?;
            Ok(verified)
        });
        match verified {
            Ok(verified) => result.accepted.push(verified),
            Err(reason) => result.rejected.push(Rejected { origin: candidate.origin.clone(), reason }),
        }
    }
    result
}

fn attestation(candidate: &Candidate, trust: &Trust, role: Role) -> Result<VerifiedStatement, Reason> {
    let attributed = attribute_candidate(candidate, trust, &[role])?;
    Ok(VerifiedStatement::new(attributed.standing(trust)?, candidate.origin.clone()))
}
