//! npm's `@sigstore/verify`, an implementation of its own: bundles, without a transparency log.

use schleuse_model::PinnedRef;
use schleuse_model::predicate::{COSIGN_SIGN_V1, SLSA_PROVENANCE_V1};
use schleuse_sign::fetch::attestation_candidates;
use schleuse_sign::{Limits, SignOptions};

use super::desk::Desk;
use crate::peers::SIGSTORE_JS;
use crate::world::source;

cells![
    our_bundle_is_accepted_by_sigstore_js,
    our_bundle_attestation_is_accepted_by_sigstore_js,
    our_altered_bundle_is_refused_by_sigstore_js,
];

/// The one bundle about `image` of this predicate type, as the registry gives it back.
pub(super) async fn bundle(desk: &Desk, image: &PinnedRef, predicate_type: &str) -> String {
    let found =
        attestation_candidates(source(&desk.client), image, predicate_type, Limits::ATTESTATIONS).await.unwrap();
    let [candidate] = found.as_slice() else { panic!("{found:?}") };
    String::from_utf8(candidate.evidence().unwrap().to_vec()).unwrap()
}

pub(super) async fn verify(desk: &Desk, bundle: &str, key: &str) -> Result<String, String> {
    desk.write("bundle.json", bundle);
    desk.run(SIGSTORE_JS, &["bundle.json", key]).await
}

async fn accepts(desk: &Desk, bundle: &str) {
    verify(desk, bundle, "our.pub").await.unwrap();
    refuses(desk, bundle, "other.pub").await;
}

async fn refuses(desk: &Desk, bundle: &str, key: &str) {
    let error = verify(desk, bundle, key).await.unwrap_err();
    assert!(error.starts_with("SIGNATURE_ERROR"), "{error}");
}

async fn signed(desk: &Desk) -> String {
    let image = desk.image().await;
    desk.sign(&image, &SignOptions::default()).await;
    bundle(desk, &image, COSIGN_SIGN_V1).await
}

async fn our_bundle_is_accepted_by_sigstore_js(desk: &Desk) {
    accepts(desk, &signed(desk).await).await;
}

async fn our_bundle_attestation_is_accepted_by_sigstore_js(desk: &Desk) {
    let image = desk.image().await;
    desk.attest(&image).await;
    accepts(desk, &bundle(desk, &image, SLSA_PROVENANCE_V1).await).await;
}

async fn our_altered_bundle_is_refused_by_sigstore_js(desk: &Desk) {
    let good = signed(desk).await;
    verify(desk, &good, "our.pub").await.unwrap();
    // One character of the base64 inside the payload's JSON: the bundle stays well-formed.
    let at = good.find(r#""payload":""#).unwrap() + 50;
    let other = if good.as_bytes()[at] == b'A' { "B" } else { "A" };
    let altered = format!("{}{other}{}", &good[..at], &good[at + 1..]);
    refuses(desk, &altered, "our.pub").await;
}
