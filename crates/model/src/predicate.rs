//! in-toto predicates: what a signed statement says about an image.
//!
//! The envelope around them (statement, DSSE, bundle) is the `sign` crate's. [`check`] is the one place that says whether a body
//! is what its type promises; [`PredicateKind`] groups the types that mean the same, and [`PredicateSelector`] is how a person
//! names one. Types that we do not know pass untouched.

mod error;
mod fields;
pub mod kind;
pub mod provenance;
pub mod sbom;
pub mod test_result;
pub mod vsa;
pub mod vulns;

pub use error::PredicateError;
use fields::Fields;
pub use kind::{PredicateKind, PredicateKindError, PredicateSelector};

/// cosign 3's "this is a signature" predicate. Its body is `{}`.
pub const COSIGN_SIGN_V1: &str = "https://sigstore.dev/cosign/sign/v1";
/// SLSA build provenance 1.0.
pub const SLSA_PROVENANCE_V1: &str = "https://slsa.dev/provenance/v1";
/// SLSA verification summary 1.0.
pub const SLSA_VSA_V1: &str = "https://slsa.dev/verification_summary/v1";
/// in-toto test result 0.1.
pub const TEST_RESULT_V01: &str = "https://in-toto.io/attestation/test-result/v0.1";
/// in-toto vulnerability scan 0.2: what we write.
pub const VULNS_V02: &str = "https://in-toto.io/attestation/vulns/v0.2";
/// in-toto vulnerability scan 0.1. Read, never chosen by us: its text and its example disagree about the shape of a result.
pub const VULNS_V01: &str = "https://in-toto.io/attestation/vulns/v0.1";
/// cosign's own vulnerability scan, older than in-toto's: what `trivy --format cosign-vuln` makes and `cosign attest --type vuln`
/// writes.
pub const COSIGN_VULN_V1: &str = "https://cosign.sigstore.dev/attestation/vuln/v1";
/// An SPDX 2.3 document: what we write.
pub const SPDX_V23: &str = "https://spdx.dev/Document/v2.3";
/// An SPDX 2.2 document.
pub const SPDX_V22: &str = "https://spdx.dev/Document/v2.2";
/// An SPDX document that names its version only inside: what cosign writes, and the only one that its `--type spdxjson` finds.
pub const SPDX: &str = "https://spdx.dev/Document";
/// A CycloneDX document. Its version is named inside; some writers repeat it here (`https://cyclonedx.org/bom/v1.4`).
pub const CYCLONEDX: &str = "https://cyclonedx.org/bom";
/// One entry of an environment's journal (ours; `docs/JOURNAL.md` documents it field by field).
pub const JOURNAL_ENTRY_V1: &str = "https://schleuse.dev/attestation/journal-entry/v1";
/// A way back that was taken while the registry was down (ours).
pub const INTENT_V1: &str = "https://schleuse.dev/attestation/intent/v1";

/// What the types of our own begin with.
const OWN: &str = "https://schleuse.dev/attestation/";

/// Whether this is a type of our own: a journal entry, an intent. Each is signed by the verb that it belongs to, which knows what it
/// says, and by nothing else: a key that signs any statement it is handed could be handed a journal entry.
pub fn is_own(predicate_type: &str) -> bool {
    predicate_type.trim().get(..OWN.len()).is_some_and(|start| start.eq_ignore_ascii_case(OWN))
}

/// Says whether `predicate`, at most `limit` bytes of JSON, has what its type requires.
///
/// Fields that the specification does not know are ignored, as in-toto's parsing rules demand; one that is `null` counts as
/// absent, a required text that is empty likewise. Of a type that we do not know only this is asked: that it is a JSON object.
///
/// # Errors
/// [`PredicateError`]: the first field that is missing or wrong, by its path. It repeats nothing of the predicate but, where a key
/// stands twice, the start of that key.
pub fn check(predicate_type: &str, predicate: &[u8], limit: usize) -> Result<(), PredicateError> {
    let kind = PredicateKind::of(predicate_type);
    let fields = Fields::of(kind.clone(), predicate, limit)?;
    match kind {
        PredicateKind::Provenance => provenance::ProvenanceHead::of(&fields).map(drop),
        PredicateKind::Spdx => sbom::check_spdx(predicate_type, &fields),
        PredicateKind::CycloneDx => sbom::check_cyclonedx(predicate_type, &fields),
        PredicateKind::Vulns => vulns::check(predicate_type, &fields),
        PredicateKind::TestResult => test_result::check(&fields),
        PredicateKind::Vsa => vsa::check(&fields),
        PredicateKind::Signature | PredicateKind::Other(_) => Ok(()),
    }
}

#[cfg(test)]
mod tests;
