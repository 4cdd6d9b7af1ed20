//! Vulnerability scans: in-toto's predicate 0.2
//! (<https://github.com/in-toto/attestation/blob/main/spec/predicates/vulns_02.md>), which we write, and cosign's own, which trivy
//! and `cosign attest --type vuln` write.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;

use super::fields::{Fields, null_is_default};
use super::{COSIGN_VULN_V1, PredicateError, PredicateKind, VULNS_V01, VULNS_V02};
use crate::Timestamp;

/// The predicate of in-toto 0.2. Fields of others that we do not judge by are ignored when read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Vulns {
    /// Who looked, in what, and what was found.
    pub scanner: Scanner,
    /// When.
    pub metadata: ScanMetadata,
}

/// `scanner`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Scanner {
    /// Which program, a URI (`pkg:github/aquasecurity/trivy@0.60.0`).
    pub uri: String,
    /// Its version.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub version: Option<String>,
    /// What it looked things up in.
    pub db: Database,
    /// What it found. Empty: it found nothing.
    pub result: Vec<Vulnerability>,
}

/// `scanner.db`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Database {
    /// Which database, a URI.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub uri: Option<String>,
    /// Its version.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub version: Option<String>,
    /// When it was updated last: what a scan's age is judged by.
    pub last_update: Timestamp,
}

/// One entry of `scanner.result`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Vulnerability {
    /// Its identifier (`CVE-2017-5645`, `GHSA-fxph-q3j8-mv87`).
    pub id: String,
    /// How bad it is, by one or more methods. Empty: nobody has rated it.
    pub severity: Vec<Rating>,
    /// What else the scanner says (the package, the version that mends it). The specification calls it a list of maps; a single
    /// map is read as a list of one.
    #[serde(skip_serializing_if = "Vec::is_empty", default, deserialize_with = "maps")]
    pub annotations: Vec<BTreeMap<String, Value>>,
}

/// One entry of `severity`. Both are texts of the scanner's choice; nothing is normalised here.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rating {
    /// By what it was rated (`nvd`, `cvss_score`).
    pub method: String,
    /// The rating (`medium`, `5.2`).
    pub score: String,
}

/// `metadata`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ScanMetadata {
    /// When the scan started.
    pub scan_started_on: Timestamp,
    /// When it ended.
    pub scan_finished_on: Timestamp,
}

/// cosign's predicate ([`COSIGN_VULN_V1`]): the head. Its `scanner.result` is a scanner's report as it is, in a format that only the
/// scanner knows; its `invocation` nobody judges by. The specification's text says `scanners`, a list; cosign and trivy write what
/// stands here.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct CosignVuln {
    /// Who looked, in what, and what was found.
    pub scanner: CosignScanner,
    /// When.
    pub metadata: ScanMetadata,
}

/// `scanner` of cosign's predicate.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct CosignScanner {
    /// Which program, a URI.
    #[serde(default)]
    pub uri: Option<String>,
    /// Its version.
    #[serde(default)]
    pub version: Option<String>,
    /// What it looked things up in.
    #[serde(default, deserialize_with = "null_is_default")]
    pub db: CosignDatabase,
    /// The report.
    pub result: Value,
}

/// `scanner.db` of cosign's predicate. It does not say how old the database is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct CosignDatabase {
    /// Which database, a URI.
    #[serde(default)]
    pub uri: Option<String>,
    /// Its version.
    #[serde(default)]
    pub version: Option<String>,
}

/// What [`super::check`] asks of a scan. What passes as 0.2 is read as [`Vulns`], what passes as cosign's as [`CosignVuln`].
pub(super) fn check(predicate_type: &str, fields: &Fields<'_>) -> Result<(), PredicateError> {
    let scanner = fields.object("scanner")?;
    if predicate_type == COSIGN_VULN_V1 {
        scanner.optional_text("uri")?;
        check_database(scanner.optional_object("db")?.as_ref())?;
        scanner.required::<&RawValue>("result", "JSON")?;
    } else {
        scanner.text("uri")?;
        let database = scanner.object("db")?;
        database.time("lastUpdate")?;
        check_database(Some(&database))?;
        for found in scanner.objects("result")? {
            // 0.1 wraps each in a `vulnerability` by its text and does not by its example.
            let wrapped = if predicate_type == VULNS_V01 { found.optional_object("vulnerability")? } else { None };
            check_vulnerability(wrapped.as_ref().unwrap_or(&found))?;
        }
    }
    scanner.optional_text("version")?;
    let metadata = fields.object("metadata")?;
    metadata.time("scanStartedOn")?;
    metadata.time("scanFinishedOn").map(drop)
}

fn check_database(database: Option<&Fields<'_>>) -> Result<(), PredicateError> {
    let Some(database) = database else { return Ok(()) };
    database.optional_text("uri")?;
    database.optional_text("version").map(drop)
}

fn check_vulnerability(found: &Fields<'_>) -> Result<(), PredicateError> {
    found.text("id")?;
    for rating in found.objects("severity")? {
        rating.text("method")?;
        rating.text("score")?;
    }
    found.optional::<Maps>("annotations", "a list of objects").map(drop)
}

/// The type that a scan's body is of: cosign's result is a report in an object of its own, in-toto's a list.
pub(super) fn type_of(predicate: &[u8]) -> Result<&'static str, PredicateError> {
    let fields = Fields::of(PredicateKind::Vulns, predicate, predicate.len())?;
    let Some(scanner) = fields.optional_object("scanner")? else { return Ok(VULNS_V02) };
    let report = scanner.optional::<&RawValue>("result", "JSON")?;
    Ok(if report.is_some_and(|report| report.get().starts_with('{')) { COSIGN_VULN_V1 } else { VULNS_V02 })
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Maps {
    Many(Vec<BTreeMap<String, Value>>),
    One(BTreeMap<String, Value>),
}

fn maps<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<BTreeMap<String, Value>>, D::Error> {
    Ok(match Option::<Maps>::deserialize(deserializer)? {
        Some(Maps::Many(maps)) => maps,
        Some(Maps::One(map)) => vec![map],
        None => Vec::new(),
    })
}
