//! Keys of other algorithms than ECDSA P-256: ours, and those that cosign 3.1 imports (cosign 2.5 signs with them, though the
//! importer that Debian builds takes hardly any).

use rand_core::OsRng;
use schleuse_model::PinnedRef;
use schleuse_model::predicate::COSIGN_SIGN_V1;
use schleuse_sign::keys::Algorithm;
use schleuse_sign::{KeyPair, PublicKey, SignOptions, Signer as _};

use super::cosign::{Format, bundle_only, signs, verify};
use super::desk::Desk;
use super::{sigstore_js, skopeo};
use crate::peers::{COSIGN_2, COSIGN_3};

cells![
    our_p_384_signature_is_accepted_by_cosign_2,
    our_p_384_signature_is_accepted_by_cosign_3,
    our_p_384_signature_is_accepted_by_skopeo,
    our_p_384_signature_is_accepted_by_sigstore_js,
    our_ed25519_signature_is_accepted_by_cosign_2,
    our_ed25519_signature_is_accepted_by_cosign_3,
    our_ed25519_signature_is_accepted_by_skopeo,
    our_ed25519_signature_is_accepted_by_sigstore_js,
    cosign_2_s_rsa_signature_is_accepted,
    cosign_2_s_p_384_signature_is_accepted,
    cosign_2_s_ed25519_signature_is_accepted,
    cosign_3_s_rsa_signatures_are_accepted,
    cosign_3_s_p_384_signatures_are_accepted,
    cosign_3_s_ed25519_signatures_are_accepted,
];

/// Plain keys that were made for tests alone, PKCS#8 or SEC1.
const P384_SEC1: &str = concat!(
    "MIGkAgEBBDDGtnW1jEerUTMQHCwt0nYog66bvIeCL0lE2C3Gt1Y6tWU+ghmydtDNohKQYtJ0MEWgBwYFK4EEACKhZANiAAS5OG4pw08jz2duDQ",
    "jm/PXYDU6jO3YcuBlXEwILuJ3rRL1PDg9oNYtlzA9sLq8ncdi+dmA3wcthP0tyar4g2x8nTsa6Sw4dw02N162s2YiQCAn/a4Fkf7mhGwymyHqK",
    "TT8=",
);
const ED25519_PKCS8: &str = "MC4CAQAwBQYDK2VwBCIEIMFSD2Aw+5zHorOdxgIiyha3Kig5WIfHjWOd42ghn6kK";
const RSA_PKCS8: &str = concat!(
    "MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQCuKmlPcBPYqMyjQPVOoNCDaorXM0DMsuNXLn/4dRysVEYTcc28Z0cOkoYT2I",
    "+3CZbyZBRUcBzV+nuHCMYK3yQ8UOtIUoW3Aqwdepe0gGPaDKgRbRF+Vg2Oe6a0BAjlbuR9ENvrwh7E0+xAtUHZXgt8wWmzKtLpCxhmkoQtSxki",
    "giHs83ZLqeOcilWBCQWsVgcPZxajx43wwf+2etAOjSFMfFS7ICZeZR5dLxmM1FiprfKAoqXJvmELE2mHdKRltiTdlYDKi3Yisyvl57d6VskyHW",
    "hYPJuo90RSV9Psx/HCpFQWNmNB35YaNVk++R02gtKdOLXjLYNyCmoNNBr1u1CFAgMBAAECggEAD39PmpVu9qbiep5TlZkCpMbsrsRtPimmyAGn",
    "umx1TjI7gAxu0ZZhAL9x9b8d3pwYVd4o3vCQ6EtfBX92283KNCHBJdDN/CBdP0xCxnlsKSFaLR7G4TZ4A1cmWLtJLV0mMKi44OwHf90ZlxJp1x",
    "UisYmmRZ6IYNsvYyUjZMJbbLIBCLB7p+SwMQeNNr5KJDsGmwpigv3KUZwTTxIRYV719i2k6oAMQKt7U0pRhbxWdxoBsXir7vE6vbAdSbimc9yk",
    "FAzVkMAb91XmVrZRvL+GrTsB3KGYVTWjr3AP5EP3jRnEm9ShP+Zm77/zrpH3+nMzl811BmIKOq1XWfZIeShQ+wKBgQDaM91AfnhlAcM4m/MIOP",
    "ChlKiTETWmh3sI33s5HwbmrpstRtn59PHGRwiH7ynifHkBBoUdrsMxG5u7+8DccjqG2axTbPFZemIjwM9aNVnuD+g+EIEuX24GuIGb1yJRjI9I",
    "Gn6fDSa/xbVYgvIXYpUIgHxHbY5NjS0JAc0bIxLRrwKBgQDMVb3Np8aeEix89LxlbQX3T4worx0CBMu96u8mwMze4fDo71kVRG7YN54jKY7Lzi",
    "TGenj04iVpGKEvmvAoPoDHL0P00cCfz0iB9gzG7sHsmChXqo1EpRb5jaTRUsiDFLn9cr2q2khJOvozPWolTq+anOBki5GeYyN8P7mC4zISCwKB",
    "gQDE7I2/SORK9D5FdqjtQMYabVl98MgklJy7M0W4FYJa6jXttMXASglxUmYml/eLCZ8DB+lXEoPia/Iuw1QZH5YmYYieefGPOV4cukPoO8H/ka",
    "eda7PKMCHSOu3twUidpGcjQZYI4QuZg0rYqMTnyfaKh7qhlAQbhU+hk1iSJyMyzQKBgGwFb9/GsFNkXCx63RXpetvxK7FeUcF9c5AlIOSlzCiP",
    "3WHnFnsNwGOBk5IXKCxKAFsE5+jdnNVgdeXKzOcZk865B/3m3SQe2sAJqVuJYO+IyNr/iMsfU3P+E4Gtd98EGAcKn4Yw+0HrcdWgw/qRDHh6Mo",
    "400nifBGVs8s9k+FVdAoGAUiTSikTjvWZXGoVOjXGSnylDpWnaldxxP1VLFtfFtCm5n4KMopDtVohNf7JhtF6M6lDx2q9yBOOUqeJtmS/H0Cdb",
    "kBYAWPMPDqUQxw++JFNfC4HVNVA0EFBk2DmWEJENMypZJ4F3iToJkVdLwaov/hpLRhFdM3zs028bdxYPQEA=",
);

fn legacy_only() -> SignOptions {
    SignOptions { bundle: false, ..SignOptions::default() }
}

/// A key of ours with its public half on disk as `odd.pub`, beside the stranger's of the same algorithm, `odd-other.pub`.
fn ours(desk: &Desk, algorithm: Algorithm) -> KeyPair {
    let [pair, other] = [(); 2].map(|()| KeyPair::generate_as(algorithm, &mut OsRng).unwrap());
    desk.write("odd.pub", &pair.public_key().to_pem());
    desk.write("odd-other.pub", &other.public_key().to_pem());
    pair
}

async fn accepts(desk: &Desk, version: &'static str, image: &PinnedRef) {
    verify(desk, version, image, "odd.pub").await.unwrap();
    verify(desk, version, image, "odd-other.pub").await.unwrap_err();
}

async fn cosign_2_accepts(desk: &Desk, algorithm: Algorithm) {
    let (pair, image) = (ours(desk, algorithm), desk.image().await);
    desk.sign_by(&pair, &image, &SignOptions::default()).await;
    accepts(desk, COSIGN_2, &image).await;
}

async fn cosign_3_accepts(desk: &Desk, algorithm: Algorithm) {
    let pair = ours(desk, algorithm);
    for (content, options) in [("legacy", legacy_only()), ("bundle", bundle_only())] {
        let image = desk.image_of(content).await;
        desk.sign_by(&pair, &image, &options).await;
        accepts(desk, COSIGN_3, &image).await;
    }
}

async fn skopeo_accepts(desk: &Desk, algorithm: Algorithm) {
    let (pair, image) = (ours(desk, algorithm), desk.image().await);
    desk.sign_by(&pair, &image, &SignOptions::default()).await;
    let from = image.to_string();
    skopeo::pull(desk, &from, "odd.pub", skopeo::SAME_REPOSITORY).await.unwrap();
    skopeo::pull(desk, &from, "odd-other.pub", skopeo::SAME_REPOSITORY).await.unwrap_err();
}

async fn sigstore_js_accepts(desk: &Desk, algorithm: Algorithm) {
    let (pair, image) = (ours(desk, algorithm), desk.image().await);
    desk.sign_by(&pair, &image, &bundle_only()).await;
    let bundle = sigstore_js::bundle(desk, &image, COSIGN_SIGN_V1).await;
    sigstore_js::verify(desk, &bundle, "odd.pub").await.unwrap();
    sigstore_js::verify(desk, &bundle, "odd-other.pub").await.unwrap_err();
}

/// cosign 3 makes `odd.key` and `odd.pub` of a plain key.
async fn imported(desk: &Desk, label: &str, body: &str) -> PublicKey {
    let lines: Vec<&str> = (0..body.len()).step_by(64).map(|at| &body[at..body.len().min(at + 64)]).collect();
    desk.write("plain.pem", &format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", lines.join("\n")));
    desk.run(COSIGN_3, &["import-key-pair", "--key", "plain.pem", "--output-key-prefix", "odd"]).await.unwrap();
    let public = PublicKey::from_pem(&desk.read("odd.pub")).unwrap();
    assert_eq!(public.to_pem().as_bytes(), desk.read("odd.pub"));
    public
}

async fn cosign_2_signs(desk: &Desk, label: &str, body: &str) {
    let (key, image) = (imported(desk, label, body).await, desk.image().await);
    signs(desk, COSIGN_2, Format::Legacy, &image, "odd.key").await;
    desk.believes_in(&image, &key).await;
    verify(desk, COSIGN_2, &image, "odd.pub").await.unwrap();
}

/// In both formats. `others`: whether the verifiers of both cosigns take what cosign 3 signs with this key.
async fn cosign_3_signs(desk: &Desk, label: &str, body: &str, others: bool) {
    let key = imported(desk, label, body).await;
    for (content, format, readers) in
        [("legacy", Format::Legacy, &[COSIGN_2, COSIGN_3][..]), ("bundle", Format::Bundle, &[COSIGN_3])]
    {
        let image = desk.image_of(content).await;
        signs(desk, COSIGN_3, format, &image, "odd.key").await;
        desk.believes_in(&image, &key).await;
        for reader in readers {
            assert_eq!(verify(desk, reader, &image, "odd.pub").await.is_ok(), others, "{reader} {content}");
        }
    }
}

async fn our_p_384_signature_is_accepted_by_cosign_2(desk: &Desk) {
    cosign_2_accepts(desk, Algorithm::EcdsaP384).await;
}

async fn our_p_384_signature_is_accepted_by_cosign_3(desk: &Desk) {
    cosign_3_accepts(desk, Algorithm::EcdsaP384).await;
}

async fn our_p_384_signature_is_accepted_by_skopeo(desk: &Desk) {
    skopeo_accepts(desk, Algorithm::EcdsaP384).await;
}

async fn our_p_384_signature_is_accepted_by_sigstore_js(desk: &Desk) {
    sigstore_js_accepts(desk, Algorithm::EcdsaP384).await;
}

async fn our_ed25519_signature_is_accepted_by_cosign_2(desk: &Desk) {
    cosign_2_accepts(desk, Algorithm::Ed25519).await;
}

async fn our_ed25519_signature_is_accepted_by_cosign_3(desk: &Desk) {
    cosign_3_accepts(desk, Algorithm::Ed25519).await;
}

async fn our_ed25519_signature_is_accepted_by_skopeo(desk: &Desk) {
    skopeo_accepts(desk, Algorithm::Ed25519).await;
}

async fn our_ed25519_signature_is_accepted_by_sigstore_js(desk: &Desk) {
    sigstore_js_accepts(desk, Algorithm::Ed25519).await;
}

async fn cosign_2_s_rsa_signature_is_accepted(desk: &Desk) {
    cosign_2_signs(desk, "PRIVATE KEY", RSA_PKCS8).await;
}

async fn cosign_2_s_p_384_signature_is_accepted(desk: &Desk) {
    cosign_2_signs(desk, "EC PRIVATE KEY", P384_SEC1).await;
}

async fn cosign_2_s_ed25519_signature_is_accepted(desk: &Desk) {
    cosign_2_signs(desk, "PRIVATE KEY", ED25519_PKCS8).await;
}

async fn cosign_3_s_rsa_signatures_are_accepted(desk: &Desk) {
    cosign_3_signs(desk, "PRIVATE KEY", RSA_PKCS8, true).await;
}

/// With SHA-384, which neither cosign's verifier takes by default: hence we read more than we write.
async fn cosign_3_s_p_384_signatures_are_accepted(desk: &Desk) {
    cosign_3_signs(desk, "EC PRIVATE KEY", P384_SEC1, false).await;
}

/// As Ed25519ph, which no cosign verifies at all.
async fn cosign_3_s_ed25519_signatures_are_accepted(desk: &Desk) {
    cosign_3_signs(desk, "PRIVATE KEY", ED25519_PKCS8, false).await;
}
