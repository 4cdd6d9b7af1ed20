//! in-toto predicates: what a signed statement says about an image.
//!
//! The envelope around them (statement, DSSE, bundle) is the `sign` crate's.

pub mod provenance;
pub mod test_result;

/// cosign 3's "this is a signature" predicate. Its body is `{}`.
pub const COSIGN_SIGN_V1: &str = "https://sigstore.dev/cosign/sign/v1";
/// SLSA build provenance 1.0.
pub const SLSA_PROVENANCE_V1: &str = "https://slsa.dev/provenance/v1";
/// SLSA verification summary 1.0.
pub const SLSA_VSA_V1: &str = "https://slsa.dev/verification_summary/v1";
/// in-toto test result 0.1.
pub const TEST_RESULT_V01: &str = "https://in-toto.io/attestation/test-result/v0.1";
/// One entry of an environment's journal (ours; `docs/JOURNAL.md` documents it field by field).
pub const JOURNAL_ENTRY_V1: &str = "https://schleuse.dev/attestation/journal-entry/v1";
/// A way back that was taken while the registry was down (ours).
pub const INTENT_V1: &str = "https://schleuse.dev/attestation/intent/v1";
