//! SLSA build provenance 1.0 (<https://slsa.dev/spec/v1.0/provenance>), the part that we write and judge by.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::fields::{Fields, null_is_default};
use super::{PredicateError, PredicateKind};
use crate::{Commit, Digest, Timestamp};

/// Our build type: `docs/BUILD.md` says which parameters it has.
pub const BUILD_TYPE: &str = "https://schleuse.dev/build/v1";

/// The predicate as we write it and judge by it. Others' external parameters may be any JSON, which this does not read: see
/// [`ProvenanceHead`]. Fields that others write and we do not judge by are ignored when read, as SLSA demands of a verifier.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Provenance {
    /// What was asked for.
    pub build_definition: BuildDefinition,
    /// Who ran it, and when.
    pub run_details: RunDetails,
}

/// SLSA `buildDefinition`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BuildDefinition {
    /// Says how to read the parameters: [`BUILD_TYPE`] for ours.
    pub build_type: String,
    /// What the caller chose: for ours `repository`, `commit`, `workflow`.
    pub external_parameters: BTreeMap<String, String>,
    /// The source, and each base image.
    #[serde(default, deserialize_with = "null_is_default")]
    pub resolved_dependencies: Vec<ResourceDescriptor>,
}

/// SLSA `runDetails`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RunDetails {
    /// Who is trusted to have run it.
    pub builder: Builder,
    /// Which run.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub metadata: Option<Metadata>,
}

/// SLSA `builder`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Builder {
    /// A URI.
    pub id: String,
}

/// SLSA `metadata`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Metadata {
    /// The CI run's address.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub invocation_id: Option<String>,
    /// When it started.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub started_on: Option<Timestamp>,
    /// When it ended.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub finished_on: Option<Timestamp>,
}

/// in-toto `ResourceDescriptor`, the part we use.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ResourceDescriptor {
    /// Where it is.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub uri: Option<String>,
    /// Algorithm and hex digits (`gitCommit`, `sha256`).
    #[serde(default, deserialize_with = "null_is_default")]
    pub digest: BTreeMap<String, String>,
}

/// What SLSA requires of everybody's provenance (1.0, "REQUIRED for SLSA Build L1"), ours and others'.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProvenanceHead {
    /// `buildDefinition.buildType`, a URI: says how to read the parameters.
    pub build_type: String,
    /// `buildDefinition.externalParameters`: what the caller chose. May be empty, but not absent.
    pub external_parameters: BTreeMap<String, Value>,
    /// `runDetails.builder.id`: who is trusted to have run it. Not empty; BuildKit leaves it empty unless it is told a name
    /// (`--attest type=provenance,builder-id=…`), and then the provenance says nothing that could be trusted.
    pub builder_id: String,
}

impl ProvenanceHead {
    /// Reads the head of `predicate`, at most `limit` bytes.
    ///
    /// # Errors
    /// [`PredicateError`]: the first required field that is missing or wrong.
    pub fn read(predicate: &[u8], limit: usize) -> Result<Self, PredicateError> {
        Self::of(&Fields::of(PredicateKind::Provenance, predicate, limit)?)
    }

    pub(super) fn of(fields: &Fields<'_>) -> Result<Self, PredicateError> {
        let definition = fields.object("buildDefinition")?;
        let build_type = definition.uri("buildType")?;
        let external_parameters = definition.required("externalParameters", "an object")?;
        let builder_id = fields.object("runDetails")?.object("builder")?.text("id")?;
        Ok(Self { build_type, external_parameters, builder_id })
    }
}

impl ResourceDescriptor {
    /// A git source at a commit.
    pub fn git(uri: &str, commit: &Commit) -> Self {
        Self { uri: Some(uri.to_owned()), digest: [("gitCommit".to_owned(), commit.as_str().to_owned())].into() }
    }

    /// A base image.
    pub fn image(uri: &str, digest: &Digest) -> Self {
        let hash = (digest.algorithm().name().to_owned(), digest.hex().to_owned());
        Self { uri: Some(uri.to_owned()), digest: [hash].into() }
    }
}
