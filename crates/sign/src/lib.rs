//! Keys, signatures and who is trusted to make them.
//!
//! **For**: encrypted signing keys in cosign's file format; in-toto statements in DSSE envelopes; the two ways a signature is
//! stored beside an image (sigstore bundle 0.3 as a referrer, and cosign's legacy `.sig` tag); and the one function that turns
//! bytes from a registry into a [`Verified`].
//!
//! **Guarantees**
//! - A [`Verified`] or [`VerifiedStatement`] exists only if a trusted key that holds the demanded [`Role`] made the signature
//!   over the exact bytes received, about the digest asked for.
//! - A bundle counts as a *signature* only with the predicate type `sign/v1`: an attestation signed by the same key says
//!   something about an image, it does not approve it.
//! - `hint`, annotations and the order of a referrers list are untrusted: they decide what is read first, never what is believed.
//! - Whatever the registry answers other than the content or a clean "not there" is an [`Error`], never "no signatures".
//! - Private keys are wiped from memory and never print.
//! - The core ([`verify()`], [`verify_envelope`], the formats) has no I/O, no clock and no randomness of its own.
//!
//! What is *not* checked: transparency logs and certificates. Signatures by a key are verified offline against configured keys.
//!
//! **Start reading** at [`trust`], then [`verify`](mod@verify), then [`fetch`] and [`attach`] (the only modules that await).
//!
//! **Must not depend on** a transport, a runtime, or any crate of the workspace but `model` and `oci`.

pub mod artifact;
pub mod attach;
pub mod bundle;
pub mod candidate;
pub mod dsse;
pub mod error;
pub mod evidence;
pub mod fetch;
pub mod keys;
pub mod legacy;
pub mod simple;
pub mod statement;
mod texts;
pub mod trust;
pub mod verify;

pub use artifact::{Artifact, bundle_artifact};
pub use attach::{AttestOptions, Attested, SignOptions, Signed, Store, Written, attach_statement, attest, sign_image};
pub use candidate::Candidate;
pub use error::{Error, Malformed, SignerError};
pub use evidence::{Believed, Evidence, evidence};
pub use fetch::{Limits, Source, find_signature, find_signatures};
pub use keys::{Fingerprint, KeyError, KeyPair, PublicKey, Signer};
pub use statement::{Statement, sign_statement};
pub use trust::{Identity, Revocation, Role, Trust, TrustError, TrustedKey};
pub use verify::{
    Attestations, Attributed, Demand, Quorum, Reason, Rejected, Verified, VerifiedStatement, VerifyError, attestations,
    attestations_of, attribute_envelope, verify, verify_demand, verify_envelope, verify_evidence, verify_statement,
};
