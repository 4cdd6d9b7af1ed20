//! An image, its signer, a registry, and somebody in between.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use schleuse_client::Client;
use schleuse_model::PinnedRef;
use schleuse_oci::{Body, Descriptor, Manifest, Pull as _, Push as _, Referrers as _, evidence};
use schleuse_registry::{Registry, Running};
use schleuse_sign::{
    Artifact, Error, KeyPair, Limits, Rejected, Role, SignOptions, Statement, Verified, VerifyError, bundle_artifact,
    find_signature, sign_image, simple,
};
use schleuse_testkit::proxy::{Fault, Match, When};
use schleuse_testkit::{DockerRegistry, Proxy};

use crate::world::{self, NOW, client, key, source, store, trusting};

pub(super) struct Siege {
    pub(super) image: PinnedRef,
    pub(super) build: KeyPair,
    pub(super) stranger: KeyPair,
    pub(super) proxy: Proxy,
    /// Before the attack.
    pub(super) client: Client,
    _registry: Kept,
}

/// What stops the registry when it is dropped.
pub(super) enum Kept {
    Docker { _registry: DockerRegistry },
    Embedded { _registry: Running },
}

impl Siege {
    /// On our registry, which has the referrers API.
    pub(super) async fn with_api() -> Self {
        let registry = Registry::memory().spawn("127.0.0.1:0".parse().unwrap()).await.unwrap();
        Self::before(registry.addr(), Kept::Embedded { _registry: registry }).await
    }

    /// On docker-registry 2.8, which has none.
    pub(super) async fn without_api() -> Self {
        let registry = DockerRegistry::start();
        Self::before(registry.address(), Kept::Docker { _registry: registry }).await
    }

    async fn before(upstream: SocketAddr, registry: Kept) -> Self {
        let (proxy, client) = (Proxy::start(upstream), client());
        let image = world::image(&client, &proxy.address().to_string(), "the image").await;
        Self { image, build: key(), stranger: key(), proxy, client, _registry: registry }
    }

    pub(super) async fn sign(&self, options: &SignOptions) {
        sign_image(store(&self.client), &self.image, &self.build, options, NOW).await.unwrap();
    }

    /// Looks for the build key's signature of `image`, by a client that knows nothing yet.
    pub(super) async fn find_of(&self, image: &PinnedRef) -> Result<Verified, Error> {
        let client = client();
        find_signature(source(&client), image, &trusting(&self.build), Role::Build, Limits::SIGNATURES, NOW).await
    }

    pub(super) async fn find(&self) -> Result<Verified, Error> {
        self.find_of(&self.image).await
    }

    /// The signature is found.
    pub(super) async fn finds(&self) -> Verified {
        let verified = self.find().await.unwrap();
        assert_eq!(
            (verified.image(), verified.signer().key()),
            (&self.image, schleuse_sign::Signer::public_key(&self.build))
        );
        verified
    }

    /// There is cleanly nothing.
    pub(super) async fn finds_nothing(&self) {
        let found = self.find().await;
        assert!(matches!(found, Err(Error::Untrusted(VerifyError::NoSignature { .. }))), "{found:?}");
    }

    /// What is there is refused, for these reasons.
    pub(super) async fn refuses(&self) -> Vec<Rejected> {
        self.refuses_of(&self.image).await
    }

    pub(super) async fn refuses_of(&self, image: &PinnedRef) -> Vec<Rejected> {
        match self.find_of(image).await {
            Err(Error::Untrusted(VerifyError::NotTrusted { rejected, .. })) => rejected,
            other => panic!("{other:?}"),
        }
    }

    /// Nobody knows whether there is one.
    pub(super) async fn knows_not(&self, why: &str) -> schleuse_oci::Error {
        match self.find().await {
            Err(Error::Registry(error)) => error,
            other => panic!("{why}: {other:?}"),
        }
    }

    /// From now on every GET of a path with `part` in it gets this answer.
    pub(super) fn answer(&self, part: &str, fault: Fault) {
        self.proxy.inject(Match::path("GET", part), When::Before, fault);
    }

    /// The same for the manifest under one tag, and no tag that only starts like it.
    pub(super) fn answer_tag(&self, tag: &str, fault: Fault) {
        let end = format!("/manifests/{tag}");
        let one = Match::Each(Arc::new(move |record| record.method == "GET" && record.path.ends_with(&end)));
        self.proxy.inject(one, When::Before, fault);
    }

    pub(super) fn tag(&self, suffix: &str) -> String {
        evidence::legacy_tag(self.image.digest(), suffix).unwrap().to_string()
    }

    /// The tag of the fallback index.
    pub(super) fn fallback(&self) -> String {
        evidence::fallback_tag(self.image.digest()).unwrap().to_string()
    }

    pub(super) async fn blob(&self, bytes: &[u8], media_type: &str) -> Descriptor {
        let descriptor = Descriptor::of(media_type, bytes);
        let body = Body::Bytes(Bytes::copy_from_slice(bytes));
        self.client.push_blob(self.image.repository(), &descriptor, body).await.unwrap();
        descriptor
    }

    pub(super) async fn tagged(&self, tag: &str, manifest: &Manifest) {
        self.client.tag(&self.image.repository().tag(tag.parse().unwrap()), manifest).await.unwrap();
    }

    pub(super) async fn subject(&self) -> Descriptor {
        self.client.manifest(&self.image).await.unwrap().unwrap().descriptor()
    }

    /// A bundle of `statement` by `signer`, and nothing pushed yet.
    pub(super) async fn artifact(&self, statement: &Statement, signer: &KeyPair) -> Artifact {
        bundle_artifact(&self.subject().await, statement, signer, NOW).unwrap()
    }

    pub(super) async fn attach(&self, manifest: &Manifest) {
        self.client.attach(&self.image, manifest).await.unwrap();
    }

    pub(super) fn statement(&self) -> Statement {
        Statement::signature(self.image.digest(), &BTreeMap::new()).unwrap()
    }

    pub(super) fn payload(&self) -> Vec<u8> {
        simple::payload(self.image.repository(), self.image.digest(), None, &BTreeMap::new())
    }

    /// The paths that were asked for with GET since the last reset.
    pub(super) fn asked(&self) -> Vec<String> {
        self.proxy.log().into_iter().filter(|record| record.method == "GET").map(|record| record.path).collect()
    }
}

pub(super) fn bundle_only() -> SignOptions {
    SignOptions { legacy: false, ..SignOptions::default() }
}

pub(super) fn legacy_only() -> SignOptions {
    SignOptions { bundle: false, ..SignOptions::default() }
}
