//! Writing evidence into a folder.

use std::path::{Path, PathBuf};

use schleuse_model::Digest;
use schleuse_model::predicate::PredicateKind;
use schleuse_sign::Evidence;

use crate::files::{self, FileError};

/// Writes each piece under a name made of its type and its digest, so that the same content has the same name: what is there already
/// is left. Answers the files, written or there.
pub(super) fn write(folder: &Path, evidence: &[Evidence], unverified: bool) -> Result<Vec<PathBuf>, FileError> {
    std::fs::create_dir_all(folder).map_err(|source| FileError::Write { path: folder.to_owned(), source })?;
    let mut written = Vec::new();
    for one in evidence.iter().filter(|one| unverified || one.verdict.is_ok()) {
        let Some(bytes) = &one.bytes else { continue };
        let name = format!("{}-{}", word(one.predicate_type.as_deref()), Digest::sha256(bytes).short());
        written.push(place(folder, &format!("{name}.json"), bytes)?);
        if let Some(statement) = one.verdict.as_ref().ok().and_then(|believed| believed.statement.as_ref()) {
            written.push(place(folder, &format!("{name}.predicate.json"), statement.predicate_bytes())?);
        }
    }
    Ok(written)
}

fn place(folder: &Path, name: &str, bytes: &[u8]) -> Result<PathBuf, FileError> {
    let path = folder.join(name);
    match files::create_new(&path, bytes, 0o644) {
        // The same name with other content: it was changed since, or a run was cut off. Whoever owns it decides.
        Err(FileError::Exists { .. }) if files::read(&path, bytes.len()).is_ok_and(|there| there == bytes) => Ok(path),
        Err(error) => Err(error),
        Ok(()) => Ok(path),
    }
}

/// The type as part of a file's name: nothing of an untrusted type goes into it.
fn word(predicate_type: Option<&str>) -> &'static str {
    match predicate_type.map(PredicateKind::of) {
        Some(PredicateKind::Provenance) => "slsaprovenance",
        Some(PredicateKind::Spdx) => "spdx",
        Some(PredicateKind::CycloneDx) => "cyclonedx",
        Some(PredicateKind::Vulns) => "vuln",
        Some(PredicateKind::TestResult) => "test-result",
        Some(PredicateKind::Vsa) => "vsa",
        Some(PredicateKind::Signature) => "signature",
        Some(PredicateKind::Other(_)) | None => "other",
    }
}
