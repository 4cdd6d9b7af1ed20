//! What is signed beside the digest: `cosign sign -a` and `verify -a`, and ours.

use std::collections::BTreeMap;

use schleuse_model::PinnedRef;
use schleuse_sign::{Reason, SignOptions};

use super::cosign::{Format, OFFLINE, bundle_only, signs_with};
use super::desk::Desk;
use crate::peers::{COSIGN_2, COSIGN_3};

cells![
    the_annotations_of_cosign_2_are_read,
    the_annotations_of_cosign_3_are_read,
    our_annotations_are_read_by_cosign_2,
    our_annotations_are_read_by_cosign_3,
];

/// Signed in each format that the version writes, and read by us.
async fn are_read(desk: &Desk, version: &'static str, formats: &[Format]) {
    for (number, format) in formats.iter().enumerate() {
        let image = desk.image_of(&format!("image {number}")).await;
        signs_with(desk, version, *format, &image, &["-a", "env=prod", "-a", "run=7", "--key", "our.key"]).await;
        desk.finds_annotated(&image, "prod").await.unwrap();
        let reasons = desk.finds_annotated(&image, "staging").await.unwrap_err();
        assert_eq!(reasons, [Reason::Annotation { name: "env".to_owned(), wanted: "staging".to_owned() }]);
    }
}

fn annotated(options: SignOptions) -> SignOptions {
    let annotations = [("env", "prod"), ("run", "7")].map(|(name, value)| (name.to_owned(), value.to_owned()));
    SignOptions { annotations: BTreeMap::from(annotations), ..options }
}

async fn verify(desk: &Desk, version: &'static str, image: &PinnedRef, annotation: &str) -> Result<String, String> {
    let verify = ["verify", "--key", "our.pub", "-a", annotation];
    desk.run(version, &[&verify, &OFFLINE[..], &[&image.to_string()]].concat()).await
}

async fn checks(desk: &Desk, version: &'static str, image: &PinnedRef) {
    verify(desk, version, image, "env=prod").await.unwrap();
    verify(desk, version, image, "env=staging").await.unwrap_err();
    verify(desk, version, image, "other=prod").await.unwrap_err();
}

async fn the_annotations_of_cosign_2_are_read(desk: &Desk) {
    are_read(desk, COSIGN_2, &[Format::Legacy]).await;
}

async fn the_annotations_of_cosign_3_are_read(desk: &Desk) {
    are_read(desk, COSIGN_3, &[Format::Legacy, Format::Bundle]).await;
}

async fn our_annotations_are_read_by_cosign_2(desk: &Desk) {
    let image = desk.image().await;
    desk.sign(&image, &annotated(SignOptions::default())).await;
    checks(desk, COSIGN_2, &image).await;
}

async fn our_annotations_are_read_by_cosign_3(desk: &Desk) {
    let legacy = desk.image_of("legacy").await;
    desk.sign(&legacy, &annotated(SignOptions { bundle: false, ..SignOptions::default() })).await;
    checks(desk, COSIGN_3, &legacy).await;
    let bundle = desk.image_of("bundle").await;
    desk.sign(&bundle, &annotated(bundle_only())).await;
    checks(desk, COSIGN_3, &bundle).await;
}
