//! skopeo 1.22, and with it podman and CRI-O, which read the same policies: the legacy format only.

use schleuse_model::Repository;
use schleuse_oci::Pull as _;
use schleuse_sign::{SignOptions, Signer as _};

use super::desk::Desk;
use crate::peers::{PASSWORD, SKOPEO};

cells![
    our_legacy_signature_is_accepted_by_skopeo,
    our_legacy_signature_with_a_tag_is_accepted_by_skopeo_s_default_rule,
    our_bundle_is_not_seen_by_skopeo,
    the_signature_of_skopeo_is_accepted,
];

/// Any tag of the same repository. The default rule wants the very tag, for which the payload has to name one.
pub(super) const SAME_REPOSITORY: &str = r#","signedIdentity":{"type":"matchRepository"}"#;
const DEFAULT_RULE: &str = "";

/// Where skopeo looks for signatures beside an image.
fn attachments(desk: &Desk) {
    std::fs::create_dir_all(desk.path().join("registries.d")).unwrap();
    desk.write("registries.d/here.yaml", "default-docker:\n  use-sigstore-attachments: true\n");
}

/// Copies `from` to the local folder `copy`, by a policy that demands a signature by `key` under the identity rule `rule`.
pub(super) async fn pull(desk: &Desk, from: &str, key: &str, rule: &str) -> Result<String, String> {
    attachments(desk);
    let key = desk.path().join(key);
    let demand = format!(r#"{{"type":"sigstoreSigned","keyPath":"{}"{rule}}}"#, key.display());
    let policy = format!(r#"{{"default":[{{"type":"reject"}}],"transports":{{"docker":{{"":[{demand}]}}}}}}"#);
    desk.write("policy.json", &policy);
    let from = format!("docker://{from}");
    let global = ["--policy", "policy.json", "--registries.d", "registries.d", "--command-timeout", "60s"];
    desk.run(SKOPEO, &[&global[..], &["copy", "--src-tls-verify=false", &from, "dir:copy"]].concat()).await
}

async fn our_legacy_signature_is_accepted_by_skopeo(desk: &Desk) {
    let image = desk.image().await;
    desk.sign(&image, &SignOptions::default()).await;
    let by_tag = format!("{}:1", image.repository());
    for from in [image.to_string(), by_tag] {
        pull(desk, &from, "our.pub", SAME_REPOSITORY).await.unwrap();
        let error = pull(desk, &from, "other.pub", SAME_REPOSITORY).await.unwrap_err();
        assert!(error.contains("cryptographic signature verification failed"), "{error}");
        let error = pull(desk, &from, "our.pub", DEFAULT_RULE).await.unwrap_err();
        assert!(error.contains("is not accepted"), "{error}");
    }
}

async fn our_legacy_signature_with_a_tag_is_accepted_by_skopeo_s_default_rule(desk: &Desk) {
    let image = desk.image().await;
    let by_tag = format!("{}:1", image.repository());
    desk.sign(&image, &SignOptions { identity: Some(by_tag.clone()), ..SignOptions::default() }).await;
    for from in [image.to_string(), by_tag] {
        pull(desk, &from, "our.pub", DEFAULT_RULE).await.unwrap();
        pull(desk, &from, "our.pub", SAME_REPOSITORY).await.unwrap();
        let error = pull(desk, &from, "other.pub", DEFAULT_RULE).await.unwrap_err();
        assert!(error.contains("cryptographic signature verification failed"), "{error}");
    }
}

async fn our_bundle_is_not_seen_by_skopeo(desk: &Desk) {
    let image = desk.image().await;
    desk.sign(&image, &SignOptions { legacy: false, ..SignOptions::default() }).await;
    let error = pull(desk, &image.to_string(), "our.pub", SAME_REPOSITORY).await.unwrap_err();
    assert!(error.contains("no signature exists"), "{error}");
}

async fn the_signature_of_skopeo_is_accepted(desk: &Desk) {
    let image = desk.image().await;
    attachments(desk);
    desk.write("password", PASSWORD);
    let from = format!("docker://{image}");
    // Signed as it is copied: there is no signing in place.
    let repository: Repository = format!("{}/acme/signed", desk.host).parse().unwrap();
    let target = repository.tag("1".parse().unwrap());
    let to = format!("docker://{target}");
    let global = ["--insecure-policy", "--registries.d", "registries.d", "--command-timeout", "60s"];
    let plain = ["copy", "--preserve-digests", "--src-tls-verify=false", "--dest-tls-verify=false"];
    let sign = ["--sign-by-sigstore-private-key", "our.key", "--sign-passphrase-file", "password"];
    desk.run(SKOPEO, &[&global[..], &plain, &sign, &[&from, &to]].concat()).await.unwrap();
    let signed = desk.client.resolve(&target).await.unwrap().unwrap();
    assert_eq!(signed.digest(), image.digest());
    desk.believes_in(&signed, desk.pair.public_key()).await;
    pull(desk, &target.to_string(), "our.pub", DEFAULT_RULE).await.unwrap();
}
