//! Evidence that somebody else has pushed.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use schleuse_model::predicate::{COSIGN_SIGN_V1, SLSA_PROVENANCE_V1};
use schleuse_model::{Digest, PinnedRef};
use schleuse_oci::{
    Descriptor, ImageManifest, Index, Manifest, Pull as _, Push as _, Referrers as _, evidence, media_type,
};
use schleuse_sign::artifact::PREDICATE_TYPE;
use schleuse_sign::candidate::{Origin, SIGNATURE_LIMIT};
use schleuse_sign::{Reason, SignOptions, Signer as _, Statement, legacy, sign_image};
use schleuse_testkit::proxy::Fault;

use super::siege::{Siege, bundle_only, legacy_only};
use crate::world::{NOW, store};

/// Copies everything that signs `from` to stand beside `to`: whoever can push can do that.
async fn transplant(siege: &Siege, from: &PinnedRef, to: &PinnedRef) {
    let subject = siege.client.manifest(to).await.unwrap().unwrap().descriptor();
    let bundle = siege.client.referrers(from, 10).await.unwrap().remove(0);
    let bundle = siege.client.manifest(&from.repository().pin(bundle.digest)).await.unwrap().unwrap();
    let mut moved = bundle.as_image().unwrap();
    moved.subject = Some(subject);
    siege.client.attach(to, &moved.to_manifest()).await.unwrap();
    let tag =
        |image: &PinnedRef| image.repository().tag(evidence::legacy_tag(image.digest(), legacy::SIGNATURES).unwrap());
    let signatures = siege.client.tagged(&tag(from)).await.unwrap().unwrap();
    siege.client.tag(&tag(to), &signatures).await.unwrap();
}

#[tokio::test]
async fn an_index_s_signature_is_not_its_child_s_nor_the_reverse() {
    for (signed_is_index, siege) in [(true, Siege::with_api().await), (false, Siege::without_api().await)] {
        let child = siege.image.clone();
        let index = Index::new(vec![siege.subject().await]).to_manifest();
        siege.tagged("index", &index).await;
        let index = child.repository().pin(index.digest().clone());
        let (signed, other) = if signed_is_index { (index, child) } else { (child, index) };
        sign_image(store(&siege.client), &signed, &siege.build, &SignOptions::default(), NOW).await.unwrap();
        siege.find_of(&signed).await.unwrap();
        assert!(siege.find_of(&other).await.unwrap_err().to_string().contains("is not signed"));
        transplant(&siege, &signed, &other).await;
        let rejected = siege.refuses_of(&other).await;
        let found = signed.digest().to_string();
        assert_eq!(rejected.len(), 2, "{rejected:?}");
        assert!(rejected.iter().all(|one| one.reason == Reason::WrongDigest { found: found.clone() }), "{rejected:?}");
    }
}

/// A legacy manifest with these layers, under the image's tag.
async fn plant_legacy(siege: &Siege, layers: Vec<Descriptor>) {
    let config = siege.blob(b"{}", media_type::IMAGE_CONFIG).await;
    siege.tagged(&siege.tag(legacy::SIGNATURES), &ImageManifest::new(config, layers).to_manifest()).await;
}

/// A layer that holds `signature` over its content.
fn signed(mut layer: Descriptor, signature: &[u8]) -> Descriptor {
    layer.annotations.insert(legacy::SIGNATURE_ANNOTATION.to_owned(), STANDARD.encode(signature));
    layer
}

#[tokio::test]
async fn a_huge_blob_under_the_legacy_tag_is_not_read_and_hides_nobody() {
    let siege = Siege::without_api().await;
    let payload = siege.payload();
    let good = signed(siege.blob(&payload, media_type::SIMPLE_SIGNING).await, &siege.build.sign(&payload).unwrap());
    let real = siege.blob(&vec![b' '; 3 << 20], media_type::SIMPLE_SIGNING).await;
    let declared_small = Descriptor { size: 200, ..real.clone() };
    // Declared huge beyond what the registry has: docker-registry does not compare.
    let declared_huge = Descriptor { size: 1 << 40, ..good.clone() };
    plant_legacy(&siege, vec![declared_huge.clone(), declared_small.clone(), real.clone()]).await;
    siege.proxy.reset();
    let reasons: Vec<_> = siege.refuses().await.into_iter().map(|one| one.reason).collect();
    let limit = SIGNATURE_LIMIT as u64;
    assert_eq!(
        reasons,
        [
            Reason::TooLarge { size: 1 << 40, limit },
            Reason::LargerThanDeclared { size: 200 },
            Reason::TooLarge { size: 3 << 20, limit }
        ]
    );
    let blobs = siege.asked().into_iter().filter(|path| path.contains("/blobs/")).count();
    assert_eq!(blobs, 1, "only the one that looked small: {:?}", siege.asked());
    plant_legacy(&siege, vec![declared_huge, declared_small, real, good]).await;
    assert!(siege.finds().await.origin().is_legacy());
}

#[tokio::test]
async fn a_payload_that_claims_less_than_it_has_is_no_signature_either() {
    let siege = Siege::without_api().await;
    let payload = siege.payload();
    let mut layer =
        signed(siege.blob(&payload, media_type::SIMPLE_SIGNING).await, &siege.build.sign(&payload).unwrap());
    layer.size -= 1;
    plant_legacy(&siege, vec![layer]).await;
    let rejected = siege.refuses().await;
    assert_eq!(rejected[0].reason, Reason::LargerThanDeclared { size: payload.len() as u64 - 1 });
}

#[tokio::test]
async fn more_legacy_layers_than_are_read_are_an_error() {
    let siege = Siege::with_api().await;
    let layer = siege.blob(b"x", media_type::SIMPLE_SIGNING).await;
    plant_legacy(&siege, vec![layer; 257]).await;
    siege.knows_not("257 layers").await;
}

#[tokio::test]
async fn bad_referrers_hide_no_good_one_and_each_is_accounted_for() {
    let siege = Siege::without_api().await;
    // Well made and by a stranger; naming us; malformed in each layer; of a size that is a lie; an attestation that calls itself a
    // signature.
    let stranger = siege.artifact(&siege.statement(), &siege.stranger).await;
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    let bundle = text(&stranger.blobs[1].1);
    let posing = bundle.replace(&siege.stranger.public_key().hint(), &siege.build.public_key().hint());
    let doubled = bundle.replacen(r#""payload":"#, r#""payload":"AAAA","payload":"#, 1);
    let truncated = bundle[..bundle.len() / 2].to_owned();
    let deep = "[".repeat(5_000);
    let provenance = Statement::new(SLSA_PROVENANCE_V1, "billing", siege.image.digest(), b"{}").unwrap();
    let attestation = text(&siege.artifact(&provenance, &siege.build).await.blobs[1].1);
    let huge = " ".repeat(SIGNATURE_LIMIT + 1);
    let texts = [bundle, posing, doubled, truncated, deep, attestation, huge.clone()];
    siege.blob(b"{}", media_type::EMPTY).await;
    let mut shape = stranger.manifest.as_image().unwrap();
    for text in &texts {
        shape.layers = vec![siege.blob(text.as_bytes(), media_type::SIGSTORE_BUNDLE_V03).await];
        siege.attach(&shape.to_manifest()).await;
    }
    shape.layers = vec![Descriptor { size: 100, ..Descriptor::of(media_type::SIGSTORE_BUNDLE_V03, huge.as_bytes()) }];
    siege.attach(&shape.to_manifest()).await;
    let rejected = siege.refuses().await;
    assert_eq!(rejected.len(), texts.len() + 1, "{rejected:?}");
    let counted = |test: fn(&Reason) -> bool| rejected.iter().filter(|one| test(&one.reason)).count();
    assert_eq!(counted(|reason| matches!(reason, Reason::UnknownKey { .. })), 1);
    assert_eq!(counted(|reason| matches!(reason, Reason::BadSignature { .. })), 1);
    assert_eq!(counted(|reason| matches!(reason, Reason::Malformed(_))), 3);
    assert_eq!(counted(|reason| matches!(reason, Reason::NotASignature { .. })), 1);
    assert_eq!(counted(|reason| matches!(reason, Reason::TooLarge { .. })), 1);
    assert_eq!(counted(|reason| matches!(reason, Reason::LargerThanDeclared { size: 100 })), 1);
    // All of them say in their remark that they are signatures, and stand before it.
    siege.sign(&bundle_only()).await;
    assert!(matches!(siege.finds().await.origin(), Origin::Referrer(_)));
}

#[tokio::test]
async fn a_referrer_that_cannot_be_read_as_a_manifest_hides_no_good_one() {
    let siege = Siege::with_api().await;
    siege.sign(&bundle_only()).await;
    let ours = siege.client.referrers(&siege.image, 10).await.unwrap().remove(0);
    // ORAS' own kind of manifest, which we do not ask for; and one that is larger than any manifest.
    let planted = |content: &[u8], kind: &str| {
        let mut planted = Descriptor::of(kind, content);
        planted.annotations = BTreeMap::from([(PREDICATE_TYPE.to_owned(), COSIGN_SIGN_V1.to_owned())]);
        planted
    };
    let artifact = planted(b"artifact", "application/vnd.oci.artifact.manifest.v1+json");
    let (large, content) = (planted(b"large", media_type::IMAGE_MANIFEST), vec![b' '; (4 << 20) + 1]);
    let headers = |kind: &str| vec![("content-type", kind.to_owned())];
    siege.proxy.reset();
    siege.answer(&artifact.digest.to_string(), Fault::answer(200, headers(&artifact.media_type), "artifact"));
    siege.answer(&large.digest.to_string(), Fault::answer(200, headers(media_type::IMAGE_MANIFEST), content));
    let list = |entries: Vec<Descriptor>| Index::new(entries).to_manifest().bytes().clone();
    let referrers = list(vec![artifact.clone(), large.clone(), ours]);
    siege.answer("/referrers/", Fault::answer(200, headers(media_type::IMAGE_INDEX), referrers));
    siege.finds().await;
    assert!(!siege.asked().iter().any(|path| path.contains(&artifact.digest.to_string())));
}

#[tokio::test]
async fn a_legacy_manifest_with_duplicate_keys_is_an_error() {
    let siege = Siege::with_api().await;
    siege.sign(&legacy_only()).await;
    let tag = siege.image.repository().tag(siege.tag(legacy::SIGNATURES).parse().unwrap());
    let good = siege.client.tagged(&tag).await.unwrap().unwrap();
    siege.finds().await;
    let text = String::from_utf8(good.bytes().to_vec()).unwrap();
    // Which of the two lists is meant is for each reader to choose; so neither is.
    let doubled = Manifest::new(good.media_type(), text.replacen(r#""layers":"#, r#""layers":[],"layers":"#, 1));
    let headers = vec![("content-type", doubled.media_type().to_owned())];
    siege.answer(&siege.tag(legacy::SIGNATURES), Fault::answer(200, headers, doubled.bytes().clone()));
    let error = siege.knows_not("duplicate keys").await;
    let schleuse_oci::Error::Malformed { source, .. } = error else { panic!("{error:?}") };
    assert!(source.to_string().contains("`layers` stands twice"), "{source}");
}

#[tokio::test]
async fn what_stands_under_the_legacy_tag_must_be_an_image_manifest() {
    let siege = Siege::with_api().await;
    siege.tagged(&siege.tag(legacy::SIGNATURES), &Index::new(vec![siege.subject().await]).to_manifest()).await;
    siege.knows_not("an index under the tag").await;
    // Served as one kind, calling itself another.
    let image = Manifest::new(
        media_type::IMAGE_INDEX,
        siege.client.manifest(&siege.image).await.unwrap().unwrap().bytes().clone(),
    );
    let headers = vec![("content-type", media_type::IMAGE_INDEX.to_owned())];
    siege.answer(&siege.tag(legacy::SIGNATURES), Fault::answer(200, headers, image.bytes().clone()));
    siege.knows_not("an image served as an index").await;
}

#[tokio::test]
async fn other_bytes_than_were_asked_for_are_a_failure_of_the_registry_and_no_candidate() {
    let siege = Siege::with_api().await;
    siege.sign(&legacy_only()).await;
    siege.finds().await;
    let digest = Digest::sha256(&siege.payload()).to_string();
    siege.answer(&digest, Fault::answer(200, Vec::new(), "x"));
    let error = siege.knows_not("other bytes").await;
    assert!(matches!(error, schleuse_oci::Error::WrongDigest { .. }), "{error:?}");
}
