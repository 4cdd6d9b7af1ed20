//! SLSA verification summary 1.0 (<https://slsa.dev/spec/v1.0/verification_summary>): somebody held a release against a policy, and
//! this came of it. For ours a promotion; it is derived from the journal entry and proves nothing without it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::PredicateError;
use super::fields::{Fields, null_is_default};
use super::provenance::ResourceDescriptor;
use crate::Timestamp;

/// The predicate. Fields that we do not judge by are ignored when read, as SLSA demands of a consumer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Vsa {
    /// Who verified. A consumer accepts only pairs of signer and verifier that it knows.
    pub verifier: Verifier,
    /// When.
    pub time_verified: Timestamp,
    /// What the release was asked for as, a URI: for ours the pinned reference.
    pub resource_uri: String,
    /// What it was held against. Its `uri` is required.
    pub policy: ResourceDescriptor,
    /// What was relied on: all of it, or nothing. Each has a digest.
    #[serde(skip_serializing_if = "Vec::is_empty", default, deserialize_with = "null_is_default")]
    pub input_attestations: Vec<ResourceDescriptor>,
    /// What came of it.
    pub verification_result: VerificationResult,
    /// The highest level of each track (`SLSA_BUILD_LEVEL_2`), values of others' choice, or `FAILED`.
    pub verified_levels: Vec<String>,
    /// How many transitive dependencies have each level. A level that is absent has none.
    #[serde(skip_serializing_if = "BTreeMap::is_empty", default, deserialize_with = "null_is_default")]
    pub dependency_levels: BTreeMap<String, u64>,
    /// Which SLSA, `<major>.<minor>`; absent: some 1.x.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub slsa_version: Option<String>,
}

/// `verifier`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verifier {
    /// A URI.
    pub id: String,
}

/// `verificationResult`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum VerificationResult {
    /// The policy allows the release.
    Passed,
    /// It does not.
    Failed,
}

/// What [`super::check`] asks of a summary. What passes is read as [`Vsa`].
pub(super) fn check(fields: &Fields<'_>) -> Result<(), PredicateError> {
    fields.object("verifier")?.text("id")?;
    fields.time("timeVerified")?;
    fields.text("resourceUri")?;
    let policy = fields.object("policy")?;
    policy.text("uri")?;
    digests(&policy)?;
    for attestation in fields.optional_objects("inputAttestations")?.unwrap_or_default() {
        attestation.optional_text("uri")?;
        if digests(&attestation)?.is_empty() {
            return Err(attestation.missing("digest"));
        }
    }
    fields.text("verificationResult")?;
    fields.required::<VerificationResult>("verificationResult", "`PASSED` or `FAILED`")?;
    fields.required::<Vec<String>>("verifiedLevels", "a list of texts")?;
    fields.optional::<BTreeMap<String, u64>>("dependencyLevels", "an object of counts")?;
    fields.optional_text("slsaVersion").map(drop)
}

fn digests(descriptor: &Fields<'_>) -> Result<BTreeMap<String, String>, PredicateError> {
    Ok(descriptor.optional("digest", "an object of algorithms and hex digits")?.unwrap_or_default())
}
