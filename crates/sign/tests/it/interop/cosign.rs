//! cosign 2.5, which knows signatures in the legacy format only, and cosign 3.1, which prefers bundles.

use schleuse_model::PinnedRef;
use schleuse_model::predicate::SLSA_PROVENANCE_V1;
use schleuse_sign::{SignOptions, Signer as _};

use super::desk::Desk;
use crate::peers::{COSIGN_2, COSIGN_3};

cells![
    our_legacy_signature_is_accepted_by_cosign_2,
    our_legacy_signature_is_accepted_by_cosign_3,
    our_signature_in_both_formats_is_accepted_by_cosign_2,
    our_signature_in_both_formats_is_accepted_by_cosign_3,
    our_bundle_is_accepted_by_cosign_3,
    our_bundle_is_not_seen_by_cosign_2,
    our_bundle_attestation_is_accepted_by_cosign_2,
    our_bundle_attestation_is_accepted_by_cosign_3,
    our_legacy_attestation_is_accepted_by_cosign_2,
    our_legacy_attestation_is_accepted_by_cosign_3,
    our_legacy_signature_is_hidden_from_cosign_3_by_a_stranger_s_bundle,
    our_legacy_signature_and_cosign_2_s_stand_side_by_side,
    the_legacy_signature_of_cosign_2_is_accepted,
    the_legacy_signature_of_cosign_3_is_accepted,
    the_bundle_of_cosign_3_is_accepted,
    the_legacy_attestation_of_cosign_2_is_accepted,
    the_legacy_attestation_of_cosign_3_is_accepted,
    the_bundle_attestation_of_cosign_2_is_accepted,
    the_bundle_attestation_of_cosign_3_is_accepted,
];

pub(super) fn bundle_only() -> SignOptions {
    SignOptions { legacy: false, ..SignOptions::default() }
}

/// Verifies without the transparency log, in which nothing of ours stands.
pub(super) const OFFLINE: [&str; 2] = ["--insecure-ignore-tlog", "--allow-http-registry"];

/// How cosign 3 signs without a log: by a signing configuration that names none.
const NO_SERVICES: (&str, &str) = (
    "offline.json",
    r#"{"mediaType":"application/vnd.dev.sigstore.signingconfig.v0.2+json","rekorTlogConfig":{},"tsaConfig":{}}"#,
);

/// What cosign 2 demands for bundles, even where only the key counts.
const NO_ROOTS: (&str, &str) = (
    "roots.json",
    concat!(
        r#"{"mediaType":"application/vnd.dev.sigstore.trustedroot+json;version=0.1","#,
        r#""tlogs":[],"certificateAuthorities":[],"ctlogs":[],"timestampAuthorities":[]}"#
    ),
);

/// The formats in which cosign can be told to write.
#[derive(Clone, Copy)]
pub(super) enum Format {
    Legacy,
    Bundle,
}

/// Verifies with the key file `key`.
pub(super) async fn verify(desk: &Desk, version: &'static str, image: &PinnedRef, key: &str) -> Result<String, String> {
    desk.run(version, &[&["verify", "--key", key], &OFFLINE[..], &[&image.to_string()]].concat()).await
}

/// Accepts our key and refuses another.
pub(super) async fn accepts(desk: &Desk, version: &'static str, image: &PinnedRef) {
    verify(desk, version, image, "our.pub").await.unwrap();
    verify(desk, version, image, "other.pub").await.unwrap_err();
}

async fn accepts_provenance(desk: &Desk, version: &'static str, image: &PinnedRef, more: &[&str]) {
    let image = image.to_string();
    let verify = ["verify-attestation", "--type", SLSA_PROVENANCE_V1];
    let common = [&verify, &OFFLINE[..], more].concat();
    desk.run(version, &[&common[..], &["--key", "our.pub", &image]].concat()).await.unwrap();
    desk.run(version, &[&common[..], &["--key", "other.pub", &image]].concat()).await.unwrap_err();
}

/// The flags that keep cosign off the network while it signs, and make it write `format`.
fn offline(desk: &Desk, version: &str, format: Format) -> &'static [&'static str] {
    desk.write(NO_SERVICES.0, NO_SERVICES.1);
    match (version, format) {
        (COSIGN_2, Format::Legacy) => &["--tlog-upload=false"],
        (COSIGN_2, Format::Bundle) => &["--tlog-upload=false", "--new-bundle-format"],
        (_, Format::Legacy) => &["--tlog-upload=false", "--use-signing-config=false", "--new-bundle-format=false"],
        (_, Format::Bundle) => &["--signing-config", NO_SERVICES.0],
    }
}

/// cosign signs with the key file `key`.
pub(super) async fn signs(desk: &Desk, version: &'static str, format: Format, image: &PinnedRef, key: &str) {
    signs_with(desk, version, format, image, &["--key", key]).await;
}

pub(super) async fn signs_with(desk: &Desk, version: &'static str, format: Format, image: &PinnedRef, more: &[&str]) {
    let sign = ["sign", "--yes", "--allow-http-registry"];
    desk.run(version, &[&sign, more, offline(desk, version, format), &[&image.to_string()]].concat()).await.unwrap();
}

async fn is_accepted(desk: &Desk, version: &'static str, format: Format) {
    let image = desk.image().await;
    signs(desk, version, format, &image, "our.key").await;
    desk.believes_in(&image, desk.pair.public_key()).await;
}

async fn attestation_is_accepted(desk: &Desk, version: &'static str, format: Format) {
    let image = desk.image().await;
    let target = image.to_string();
    let attest = ["attest", "--yes", "--key", "our.key", "--allow-http-registry"];
    let predicate = ["--predicate", "predicate.json", "--type", SLSA_PROVENANCE_V1];
    let flags = offline(desk, version, format);
    desk.run(version, &[&attest[..], &predicate, flags, &[&target]].concat()).await.unwrap();
    desk.believes_the_provenance_of(&image).await;
}

async fn our_legacy_signature_is_accepted_by_cosign_2(desk: &Desk) {
    let image = desk.image().await;
    desk.sign_legacy_only(&image, None).await;
    accepts(desk, COSIGN_2, &image).await;
}

async fn our_legacy_signature_is_accepted_by_cosign_3(desk: &Desk) {
    let image = desk.image().await;
    desk.sign_legacy_only(&image, None).await;
    accepts(desk, COSIGN_3, &image).await;
}

async fn our_signature_in_both_formats_is_accepted_by_cosign_2(desk: &Desk) {
    let image = desk.image().await;
    desk.sign(&image, &SignOptions::default()).await;
    accepts(desk, COSIGN_2, &image).await;
}

async fn our_signature_in_both_formats_is_accepted_by_cosign_3(desk: &Desk) {
    let image = desk.image().await;
    desk.sign(&image, &SignOptions::default()).await;
    accepts(desk, COSIGN_3, &image).await;
}

async fn our_bundle_is_accepted_by_cosign_3(desk: &Desk) {
    let image = desk.image().await;
    desk.sign(&image, &bundle_only()).await;
    accepts(desk, COSIGN_3, &image).await;
}

async fn our_bundle_is_not_seen_by_cosign_2(desk: &Desk) {
    let image = desk.image().await;
    desk.sign(&image, &bundle_only()).await;
    let error = verify(desk, COSIGN_2, &image, "our.pub").await.unwrap_err();
    assert!(error.contains("no signatures found"), "{error}");
}

async fn our_bundle_attestation_is_accepted_by_cosign_2(desk: &Desk) {
    let image = desk.image().await;
    desk.attest(&image).await;
    desk.write(NO_ROOTS.0, NO_ROOTS.1);
    accepts_provenance(desk, COSIGN_2, &image, &["--new-bundle-format", "--trusted-root", NO_ROOTS.0]).await;
}

async fn our_bundle_attestation_is_accepted_by_cosign_3(desk: &Desk) {
    let image = desk.image().await;
    desk.attest(&image).await;
    accepts_provenance(desk, COSIGN_3, &image, &[]).await;
}

async fn our_legacy_attestation_is_accepted_by_cosign_2(desk: &Desk) {
    let image = desk.image().await;
    desk.attest_legacy_only(&image).await;
    accepts_provenance(desk, COSIGN_2, &image, &[]).await;
}

async fn our_legacy_attestation_is_accepted_by_cosign_3(desk: &Desk) {
    let image = desk.image().await;
    desk.attest_legacy_only(&image).await;
    accepts_provenance(desk, COSIGN_3, &image, &[]).await;
}

/// The trap for which we write both formats with the same key: cosign 3 looks at the legacy tag only where there is no bundle.
async fn our_legacy_signature_is_hidden_from_cosign_3_by_a_stranger_s_bundle(desk: &Desk) {
    let image = desk.image().await;
    desk.sign_legacy_only(&image, None).await;
    verify(desk, COSIGN_3, &image, "our.pub").await.unwrap();
    signs(desk, COSIGN_3, Format::Bundle, &image, "other.key").await;
    verify(desk, COSIGN_3, &image, "our.pub").await.unwrap_err();
    accepts_each(desk, &image, &["our.pub"]).await;
    desk.believes_in(&image, desk.pair.public_key()).await;
}

/// Both append, in either order.
async fn our_legacy_signature_and_cosign_2_s_stand_side_by_side(desk: &Desk) {
    let image = desk.image().await;
    signs(desk, COSIGN_2, Format::Legacy, &image, "other.key").await;
    desk.sign(&image, &SignOptions::default()).await;
    accepts_each(desk, &image, &["our.pub", "other.pub"]).await;
    desk.run(COSIGN_2, &["generate-key-pair", "--output-key-prefix", "third"]).await.unwrap();
    signs(desk, COSIGN_2, Format::Legacy, &image, "third.key").await;
    accepts_each(desk, &image, &["our.pub", "other.pub", "third.pub"]).await;
    desk.believes_in(&image, desk.other.public_key()).await;
}

/// cosign 2 finds a signature by each of the keys.
async fn accepts_each(desk: &Desk, image: &PinnedRef, keys: &[&str]) {
    for key in keys {
        verify(desk, COSIGN_2, image, key).await.unwrap();
    }
}

async fn the_legacy_signature_of_cosign_2_is_accepted(desk: &Desk) {
    is_accepted(desk, COSIGN_2, Format::Legacy).await;
}

async fn the_legacy_signature_of_cosign_3_is_accepted(desk: &Desk) {
    is_accepted(desk, COSIGN_3, Format::Legacy).await;
}

async fn the_bundle_of_cosign_3_is_accepted(desk: &Desk) {
    is_accepted(desk, COSIGN_3, Format::Bundle).await;
}

async fn the_legacy_attestation_of_cosign_2_is_accepted(desk: &Desk) {
    attestation_is_accepted(desk, COSIGN_2, Format::Legacy).await;
}

async fn the_legacy_attestation_of_cosign_3_is_accepted(desk: &Desk) {
    attestation_is_accepted(desk, COSIGN_3, Format::Legacy).await;
}

async fn the_bundle_attestation_of_cosign_2_is_accepted(desk: &Desk) {
    attestation_is_accepted(desk, COSIGN_2, Format::Bundle).await;
}

async fn the_bundle_attestation_of_cosign_3_is_accepted(desk: &Desk) {
    attestation_is_accepted(desk, COSIGN_3, Format::Bundle).await;
}
