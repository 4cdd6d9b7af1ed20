//! SBOM documents, only as much as says "this is one". What they list is for the `scan` crate.
//!
//! Sources: SPDX 2.3 clause 6 (<https://spdx.github.io/spdx-spec/v2.3/document-creation-information/>; 2.2 requires the same) and
//! the JSON schemas of CycloneDX (<https://cyclonedx.org/docs/1.6/json/>).

use super::fields::Fields;
use super::{CYCLONEDX, PredicateError, PredicateKind, SPDX, SPDX_V22, SPDX_V23};
use crate::Timestamp;

/// The versions of CycloneDX that are read. 1.2 is the first that has a JSON form.
pub(super) const CYCLONEDX_VERSIONS: [&str; 6] = ["1.2", "1.3", "1.4", "1.5", "1.6", "1.7"];

/// The versions of SPDX that are read, as documents spell them, and the predicate type of each.
const SPDX_VERSIONS: [(&str, &str); 2] = [("SPDX-2.3", SPDX_V23), ("SPDX-2.2", SPDX_V22)];

/// The head of an SPDX 2.2 or 2.3 document in JSON.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SpdxHead {
    /// `SPDX-2.2` or `SPDX-2.3`.
    pub spdx_version: String,
    /// The document's name.
    pub name: String,
    /// A URI that no other document has.
    pub document_namespace: String,
    /// When it was made.
    pub created: Timestamp,
    /// By whom (`Tool: syft-1.20.0`). At least one.
    pub creators: Vec<String>,
}

impl SpdxHead {
    /// Reads the head of `document`, at most `limit` bytes. Of the rest only duplicate keys are looked for.
    ///
    /// # Errors
    /// [`PredicateError`]: the first required field that is missing or wrong.
    pub fn read(document: &[u8], limit: usize) -> Result<Self, PredicateError> {
        Self::of(&Fields::of(PredicateKind::Spdx, document, limit)?)
    }

    fn of(fields: &Fields<'_>) -> Result<Self, PredicateError> {
        let (spdx_version, _) = spdx_version(fields)?;
        if fields.text("SPDXID")? != "SPDXRef-DOCUMENT" {
            return Err(fields.wrong("SPDXID", "`SPDXRef-DOCUMENT`"));
        }
        fields.text("dataLicense")?;
        let name = fields.text("name")?;
        let document_namespace = fields.text("documentNamespace")?;
        let info = fields.object("creationInfo")?;
        let created = info.time("created")?;
        let creators: Vec<String> = info.required("creators", "a list of texts")?;
        if creators.is_empty() {
            return Err(info.missing("creators"));
        }
        Ok(Self { spdx_version: spdx_version.to_owned(), name, document_namespace, created, creators })
    }
}

/// The head of a CycloneDX document in JSON.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CycloneDxHead {
    /// `1.2` to `1.7`.
    pub spec_version: String,
    /// `urn:uuid:…`: the same for all revisions of one document.
    pub serial_number: Option<String>,
    /// The document's revision, from 1. 1 where it is absent: the schemas' default, although those before
    /// 1.6 want it written.
    pub version: u64,
}

impl CycloneDxHead {
    /// Reads the head of `document`, at most `limit` bytes. Of the rest only duplicate keys are looked for.
    ///
    /// # Errors
    /// [`PredicateError`]: the first required field that is missing or wrong.
    pub fn read(document: &[u8], limit: usize) -> Result<Self, PredicateError> {
        Self::of(&Fields::of(PredicateKind::CycloneDx, document, limit)?)
    }

    fn of(fields: &Fields<'_>) -> Result<Self, PredicateError> {
        if fields.text("bomFormat")? != "CycloneDX" {
            return Err(fields.wrong("bomFormat", "`CycloneDX`"));
        }
        let spec_version = fields.text("specVersion")?;
        if !CYCLONEDX_VERSIONS.contains(&spec_version.as_str()) {
            return Err(fields.wrong("specVersion", "a version from `1.2` to `1.7`"));
        }
        let serial_number = fields.optional_text("serialNumber")?;
        const REVISION: &str = "a whole number from 1";
        let version = fields.optional("version", REVISION)?.unwrap_or(1);
        if version == 0 {
            return Err(fields.wrong("version", REVISION));
        }
        Ok(Self { spec_version, serial_number, version })
    }
}

/// What [`super::check`] asks of an SPDX document: its head, and that it is of the version that its type names.
pub(super) fn check_spdx(predicate_type: &str, fields: &Fields<'_>) -> Result<(), PredicateError> {
    let (_, its_type) = spdx_version(fields)?;
    if predicate_type != SPDX && predicate_type != its_type {
        return Err(fields.wrong("spdxVersion", OF_ITS_TYPE));
    }
    SpdxHead::of(fields).map(drop)
}

/// What [`super::check`] asks of a CycloneDX document, likewise.
pub(super) fn check_cyclonedx(predicate_type: &str, fields: &Fields<'_>) -> Result<(), PredicateError> {
    let head = CycloneDxHead::of(fields)?;
    if predicate_type != CYCLONEDX && predicate_type != format!("{CYCLONEDX}/v{}", head.spec_version) {
        return Err(fields.wrong("specVersion", OF_ITS_TYPE));
    }
    Ok(())
}

const OF_ITS_TYPE: &str = "the version that the predicate's type names";

/// The type that an SPDX document is written as.
pub(super) fn spdx_type(document: &[u8]) -> Result<&'static str, PredicateError> {
    spdx_version(&Fields::of(PredicateKind::Spdx, document, document.len())?).map(|(_, its_type)| its_type)
}

fn spdx_version(fields: &Fields<'_>) -> Result<(&'static str, &'static str), PredicateError> {
    let found = fields.text("spdxVersion")?;
    let known = SPDX_VERSIONS.into_iter().find(|(version, _)| *version == found);
    known.ok_or_else(|| fields.wrong("spdxVersion", "`SPDX-2.2` or `SPDX-2.3`"))
}
