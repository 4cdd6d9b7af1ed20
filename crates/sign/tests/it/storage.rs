//! How signatures are found and kept: economy, repetition, loss, and a registry that fails.

use std::collections::BTreeMap;
use std::sync::atomic::AtomicU32;

use schleuse_model::PinnedRef;
use schleuse_model::predicate::{COSIGN_SIGN_V1, SLSA_PROVENANCE_V1};
use schleuse_oci::{Body, Descriptor, ImageManifest, Manifest, Pull as _, Push as _, Referrers as _, media_type};
use schleuse_registry::{Registry, Running};
use schleuse_sign::artifact::PREDICATE_TYPE;
use schleuse_sign::candidate::Origin;
use schleuse_sign::fetch::signature_candidates;
use schleuse_sign::{
    Error, KeyPair, Limits, Reason, Role, SignOptions, Signed, Signer, Source, Statement, Store, Verified, VerifyError,
    Written, attach_statement, bundle_artifact, find_signature, legacy, sign_image, simple,
};

use crate::meddler::{Fault, Meddler};
use crate::world::{NOW, client, image, key, store, trusting};

struct Shelf {
    meddler: Meddler,
    image: PinnedRef,
    build: KeyPair,
    registry: Running,
}

async fn shelf() -> Shelf {
    let registry = Registry::memory().spawn("127.0.0.1:0".parse().unwrap()).await.unwrap();
    let image = image(&client(), &registry.addr().to_string(), "the image").await;
    Shelf { meddler: Meddler::new(client()), image, build: key(), registry }
}

impl Shelf {
    fn store(&self) -> Store<'_> {
        Store { pull: &self.meddler, push: &self.meddler, referrers: &self.meddler }
    }

    fn source(&self) -> Source<'_> {
        self.store().source()
    }

    async fn sign(&self, signer: &dyn Signer, options: &SignOptions) -> Result<Signed, Error> {
        sign_image(self.store(), &self.image, signer, options, NOW).await
    }

    async fn find(&self) -> Result<Verified, Error> {
        self.meddler.reads.lock().unwrap().clear();
        let trust = trusting(&self.build);
        find_signature(self.source(), &self.image, &trust, Role::Build, Limits::SIGNATURES, NOW).await
    }

    fn reads(&self) -> Vec<&'static str> {
        self.meddler.reads.lock().unwrap().clone()
    }

    async fn attest(&self, signer: &dyn Signer, predicate_type: &str) {
        let subject = self.meddler.manifest(&self.image).await.unwrap().unwrap().descriptor();
        let statement = Statement::new(predicate_type, "billing", self.image.digest(), b"{}").unwrap();
        attach_statement(self.store(), &self.image, &subject, &statement, signer, NOW).await.unwrap();
    }

    async fn legacy(&self) -> Option<Manifest> {
        let tag = schleuse_oci::evidence::legacy_tag(self.image.digest(), "sig").unwrap();
        self.meddler.tagged(&self.image.repository().tag(tag)).await.unwrap()
    }

    /// A legacy manifest with nothing but a stranger's signature.
    fn rival(&self) -> (Manifest, Vec<(Descriptor, bytes::Bytes)>) {
        let payload = simple::payload(self.image.repository(), self.image.digest(), None, &BTreeMap::new());
        let artifact = legacy::append_signature(None, &payload, &key()).unwrap().unwrap();
        (artifact.manifest, artifact.blobs)
    }

    async fn with_rival(&mut self, writes: u32) {
        let (manifest, blobs) = self.rival();
        for (descriptor, bytes) in blobs {
            self.meddler.push_blob(self.image.repository(), &descriptor, Body::Bytes(bytes)).await.unwrap();
        }
        self.meddler.rival = Some(manifest);
        self.meddler.rival_writes = AtomicU32::new(writes);
    }

    async fn stop(self) {
        drop(self.meddler);
        self.registry.stop().await.unwrap();
    }
}

fn bundle_only() -> SignOptions {
    SignOptions { legacy: false, ..SignOptions::default() }
}

#[tokio::test]
async fn a_signed_image_costs_the_list_and_two_reads_however_much_evidence_it_has() {
    let shelf = shelf().await;
    for number in 0..12 {
        shelf.attest(&shelf.build, &format!("urn:evidence:{number}")).await;
    }
    shelf.sign(&shelf.build, &SignOptions::default()).await.unwrap();
    let verified = shelf.find().await.unwrap();
    assert_eq!(shelf.reads(), ["referrers", "manifest", "blob"]);
    assert!(matches!(verified.origin(), Origin::Referrer(_)));
    shelf.stop().await;
}

#[tokio::test]
async fn signing_again_adds_nothing_and_a_second_signer_erases_nobody() {
    let shelf = shelf().await;
    let options = SignOptions::default();
    let first = shelf.sign(&shelf.build, &options).await.unwrap();
    assert_eq!(first, Signed { bundle: Written::New, legacy: Written::New });
    let again = shelf.sign(&shelf.build, &options).await.unwrap();
    assert_eq!(again, Signed { bundle: Written::Already, legacy: Written::Already });
    assert_eq!(shelf.meddler.referrers(&shelf.image, 10).await.unwrap().len(), 1);
    assert_eq!(shelf.legacy().await.unwrap().as_image().unwrap().layers.len(), 1);

    let second = shelf.sign(&key(), &options).await.unwrap();
    assert_eq!(second, first);
    assert_eq!(shelf.legacy().await.unwrap().as_image().unwrap().layers.len(), 2);
    let all = signature_candidates(shelf.source(), &shelf.image, Limits::SIGNATURES).await.unwrap();
    assert_eq!(all.len(), 4);
    assert_eq!(shelf.find().await.unwrap().signer().key(), shelf.build.public_key());
    let unwanted = shelf.sign(&shelf.build, &bundle_only()).await.unwrap();
    assert_eq!(unwanted, Signed { bundle: Written::Already, legacy: Written::NotWanted });
    shelf.stop().await;
}

#[tokio::test]
async fn an_unsigned_image_is_unsigned_and_a_silent_registry_is_an_error() {
    let mut shelf = shelf().await;
    let none = shelf.find().await;
    assert!(matches!(none, Err(Error::Untrusted(VerifyError::NoSignature { .. }))), "{none:?}");
    assert_eq!(shelf.reads(), ["referrers", "tagged"]);

    for fault in [Fault::Referrers, Fault::Tagged] {
        shelf.meddler.fault = Some(fault);
        let error = shelf.find().await;
        assert!(matches!(error, Err(Error::Registry(_))), "{fault:?}: {error:?}");
    }
    // Behind a stranger's bundle, every further failure is an error too, and so is it for a writer.
    shelf.meddler.fault = None;
    shelf.sign(&key(), &SignOptions::default()).await.unwrap();
    for fault in [Fault::Manifest, Fault::Blob, Fault::Tagged, Fault::Referrers] {
        shelf.meddler.fault = Some(fault);
        assert!(matches!(shelf.find().await, Err(Error::Registry(_))), "{fault:?}");
        let signed = shelf.sign(&shelf.build, &SignOptions::default()).await;
        assert!(matches!(signed, Err(Error::Registry(_))), "{fault:?}: {signed:?}");
    }
    shelf.stop().await;
}

#[tokio::test]
async fn lost_bundles_are_no_signatures_and_the_legacy_one_still_counts() {
    let mut shelf = shelf().await;
    shelf.sign(&shelf.build, &SignOptions::default()).await.unwrap();
    let bundle = shelf.meddler.referrers(&shelf.image, 10).await.unwrap().remove(0);
    shelf.meddler.lost.push(bundle.digest);
    assert!(matches!(shelf.find().await.unwrap().origin(), Origin::Legacy(_)));
    assert_eq!(shelf.reads(), ["referrers", "manifest", "tagged", "blob"]);

    let layer = shelf.legacy().await.unwrap().as_image().unwrap().layers.remove(0);
    shelf.meddler.lost.push(layer.digest);
    let Err(Error::Untrusted(VerifyError::NotTrusted { rejected, .. })) = shelf.find().await else { panic!() };
    assert!(rejected.iter().all(|one| one.reason == Reason::Gone) && rejected.len() == 2, "{rejected:?}");
    shelf.stop().await;
}

#[tokio::test]
async fn the_layer_says_what_is_a_bundle_not_the_list_and_not_the_manifest() {
    let shelf = shelf().await;
    let subject = shelf.meddler.manifest(&shelf.image).await.unwrap().unwrap().descriptor();
    let statement = Statement::signature(shelf.image.digest(), &BTreeMap::new()).unwrap();
    let artifact = bundle_artifact(&subject, &statement, &shelf.build, NOW).unwrap();
    for (descriptor, bytes) in &artifact.blobs {
        shelf.meddler.push_blob(shelf.image.repository(), descriptor, Body::Bytes(bytes.clone())).await.unwrap();
    }
    // The same bundle under another artifact type, with a remark that lies: it counts.
    let mut odd = artifact.manifest.as_image().unwrap();
    odd.artifact_type = Some("application/vnd.example.odd".to_owned());
    odd.annotations.insert(PREDICATE_TYPE.to_owned(), SLSA_PROVENANCE_V1.to_owned());
    // A manifest that calls itself a bundle and holds something else: it is not even a candidate.
    let mut fake: ImageManifest = artifact.manifest.as_image().unwrap();
    fake.layers[0].media_type = media_type::LAYER_TAR.to_owned();
    // And an attestation that says in its remark that it is a signature: it is not.
    shelf.meddler.attach(&shelf.image, &fake.to_manifest()).await.unwrap();
    let unsigned = shelf.find().await;
    assert!(matches!(unsigned, Err(Error::Untrusted(VerifyError::NoSignature { .. }))), "{unsigned:?}");

    let provenance = Statement::new(SLSA_PROVENANCE_V1, "billing", shelf.image.digest(), b"{}").unwrap();
    let lie = bundle_artifact(&subject, &provenance, &shelf.build, NOW).unwrap();
    for (descriptor, bytes) in &lie.blobs {
        shelf.meddler.push_blob(shelf.image.repository(), descriptor, Body::Bytes(bytes.clone())).await.unwrap();
    }
    let mut lying = lie.manifest.as_image().unwrap();
    lying.annotations.insert(PREDICATE_TYPE.to_owned(), COSIGN_SIGN_V1.to_owned());
    shelf.meddler.attach(&shelf.image, &lying.to_manifest()).await.unwrap();
    let Err(Error::Untrusted(VerifyError::NotTrusted { rejected, .. })) = shelf.find().await else { panic!() };
    assert!(matches!(rejected[0].reason, Reason::NotASignature { .. }));

    shelf.meddler.attach(&shelf.image, &odd.to_manifest()).await.unwrap();
    shelf.find().await.unwrap();
    shelf.stop().await;
}

#[tokio::test]
async fn too_much_is_an_error_and_an_oversized_bundle_is_not_read() {
    let shelf = shelf().await;
    for number in 0..3 {
        shelf.attest(&shelf.build, &format!("urn:evidence:{number}")).await;
    }
    let few = Limits { listed: 2, ..Limits::SIGNATURES };
    let trust = trusting(&shelf.build);
    let error = find_signature(shelf.source(), &shelf.image, &trust, Role::Build, few, NOW).await;
    assert!(matches!(error, Err(Error::Registry(schleuse_oci::Error::TooLarge { .. }))), "{error:?}");

    // Each is small enough, all of them together are not.
    let together = Limits { total: 1_500, ..Limits::ATTESTATIONS };
    let error = signature_candidates(shelf.source(), &shelf.image, together).await;
    assert!(matches!(error, Err(Error::Registry(schleuse_oci::Error::TooLarge { limit: 1_500, .. }))), "{error:?}");
    assert_eq!(signature_candidates(shelf.source(), &shelf.image, Limits::ATTESTATIONS).await.unwrap().len(), 3);

    shelf.sign(&shelf.build, &bundle_only()).await.unwrap();
    let small = Limits { bytes: 100, ..Limits::SIGNATURES };
    shelf.meddler.reads.lock().unwrap().clear();
    let error = find_signature(shelf.source(), &shelf.image, &trust, Role::Build, small, NOW).await;
    let Err(Error::Untrusted(VerifyError::NotTrusted { rejected, .. })) = error else { panic!("{error:?}") };
    assert!(rejected.iter().all(|one| matches!(one.reason, Reason::TooLarge { limit: 100, .. })));
    assert!(!shelf.reads().contains(&"blob"));
    shelf.stop().await;
}

#[tokio::test]
async fn a_rival_under_the_legacy_tag_is_merged_with_or_complained_about() {
    let mut shelf = shelf().await;
    shelf.with_rival(2).await;
    let signed = shelf.sign(&shelf.build, &SignOptions::default()).await.unwrap();
    assert_eq!(signed.legacy, Written::New);
    let layers = shelf.legacy().await.unwrap().as_image().unwrap().layers;
    let rival = shelf.meddler.rival.as_ref().unwrap().as_image().unwrap().layers.remove(0);
    assert!(layers.len() == 2 && layers.contains(&rival), "{layers:?}");
    shelf.stop().await;

    let mut shelf = self::shelf().await;
    shelf.with_rival(u32::MAX).await;
    let error = shelf.sign(&shelf.build, &SignOptions::default()).await;
    assert!(matches!(error, Err(Error::LegacyContended { attempts: 5, .. })), "{error:?}");
    // The bundle is there nonetheless.
    assert!(matches!(shelf.find().await.unwrap().origin(), Origin::Referrer(_)));
    shelf.stop().await;
}

#[tokio::test]
async fn what_is_not_there_cannot_be_signed() {
    let shelf = shelf().await;
    let absent = shelf.image.repository().pin(schleuse_model::Digest::sha256(b"absent"));
    let error = sign_image(shelf.store(), &absent, &shelf.build, &SignOptions::default(), NOW).await;
    assert!(matches!(error, Err(Error::Registry(schleuse_oci::Error::Missing { .. }))), "{error:?}");
    let plain = client();
    assert!(store(&plain).source().referrers.referrers(&absent, 10).await.unwrap().is_empty());
    shelf.stop().await;
}
