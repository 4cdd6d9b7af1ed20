//! What a cell works with: a registry, a folder with keys for the peers, and our own signer and verifier.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::OnceLock;

use rand_core::OsRng;
use schleuse_client::Client;
use schleuse_model::predicate::{COSIGN_SIGN_V1, SLSA_PROVENANCE_V1};
use schleuse_model::{PinnedRef, Secret};
use schleuse_oci::{Body, Pull as _, Push as _, evidence};
use schleuse_sign::fetch::attestation_candidates;
use schleuse_sign::{
    AttestOptions, Attested, Demand, Error, KeyPair, Limits, PublicKey, Reason, Role, SignOptions, Signer as _,
    Statement, VerifyError, Written, attach_statement, attest, attestations, find_signature, find_signatures, legacy,
    sign_image, simple,
};
use tempfile::TempDir;

use crate::peers::{PASSWORD, run, words};
use crate::world::{self, NOW, client, key, source, store, trust, trusting};

/// Our key pair and a stranger's, on disk as `our.key`, `our.pub`, `other.key` and `other.pub`, and a registry.
pub(super) struct Desk {
    pub(super) client: Client,
    pub(super) host: String,
    pub(super) pair: KeyPair,
    pub(super) other: KeyPair,
    folder: TempDir,
}

/// The predicate of every attestation here, as we write it and as cosign is given it.
const PREDICATE: &str = r#"{"buildDefinition":{},"runDetails":{}}"#;

/// Two key pairs and their files, the same at every desk: encrypting a key takes a while, on purpose.
fn keys() -> &'static [(KeyPair, String); 2] {
    static KEYS: OnceLock<[(KeyPair, String); 2]> = OnceLock::new();
    KEYS.get_or_init(|| {
        [(); 2].map(|()| {
            let pair = key();
            let file = pair.encrypt(&Secret::new(PASSWORD.to_owned()), &mut OsRng).unwrap();
            (pair, file)
        })
    })
}

impl Desk {
    pub(super) fn before(registry: SocketAddr) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let [(pair, _), (other, _)] = keys();
        let (pair, other) = (pair.clone(), other.clone());
        let desk = Self { client: client(), host: registry.to_string(), pair, other, folder };
        for (name, (pair, file)) in ["our", "other"].into_iter().zip(keys()) {
            desk.write(&format!("{name}.key"), file);
            desk.write(&format!("{name}.pub"), &pair.public_key().to_pem());
        }
        desk.write("predicate.json", PREDICATE);
        desk
    }

    pub(super) fn path(&self) -> &Path {
        self.folder.path()
    }

    pub(super) fn write(&self, name: &str, text: &str) {
        std::fs::write(self.path().join(name), text).unwrap();
    }

    /// Runs a peer in the folder, beside the runtime, which may be serving the registry that it talks to. Answers what it printed.
    pub(super) async fn run(&self, name: &'static str, args: &[&str]) -> Result<String, String> {
        let folder = self.path().to_owned();
        let args: Vec<String> = args.iter().map(|arg| (*arg).to_owned()).collect();
        let run = move || run(name, &folder, &args.iter().map(String::as_str).collect::<Vec<_>>());
        let output = tokio::task::spawn_blocking(run).await.unwrap();
        if output.status.success() { Ok(words(&output)) } else { Err(words(&output)) }
    }

    pub(super) fn read(&self, name: &str) -> Vec<u8> {
        std::fs::read(self.path().join(name)).unwrap()
    }

    /// An image that nobody has signed, under the tag `1`.
    pub(super) async fn image(&self) -> PinnedRef {
        self.image_of("the image").await
    }

    /// Another one, for a cell that needs two.
    pub(super) async fn image_of(&self, content: &str) -> PinnedRef {
        world::image(&self.client, &self.host, content).await
    }

    pub(super) async fn sign(&self, image: &PinnedRef, options: &SignOptions) {
        self.sign_by(&self.pair, image, options).await;
    }

    pub(super) async fn sign_by(&self, pair: &KeyPair, image: &PinnedRef, options: &SignOptions) {
        sign_image(store(&self.client), image, pair, options, NOW).await.unwrap();
    }

    /// Our legacy signature, without the bundle that readers of bundles would take instead.
    pub(super) async fn sign_legacy_only(&self, image: &PinnedRef, identity: Option<&str>) {
        let payload = simple::payload(image.repository(), image.digest(), identity, &BTreeMap::new());
        let artifact = legacy::append_signature(None, &payload, &self.pair).unwrap().unwrap();
        for (descriptor, bytes) in artifact.blobs {
            self.client.push_blob(image.repository(), &descriptor, Body::Bytes(bytes)).await.unwrap();
        }
        let tag = evidence::legacy_tag(image.digest(), legacy::SIGNATURES).unwrap();
        self.client.tag(&image.repository().tag(tag), &artifact.manifest).await.unwrap();
    }

    pub(super) async fn attest(&self, image: &PinnedRef) {
        let subject = self.client.manifest(image).await.unwrap().unwrap().descriptor();
        let statement = Statement::new(SLSA_PROVENANCE_V1, "billing", image.digest(), PREDICATE.as_bytes()).unwrap();
        attach_statement(store(&self.client), image, &subject, &statement, &self.pair, NOW).await.unwrap();
    }

    /// Our attestation under the legacy tag alone.
    pub(super) async fn attest_legacy_only(&self, image: &PinnedRef) {
        let statement = Statement::new(SLSA_PROVENANCE_V1, "billing", image.digest(), PREDICATE.as_bytes()).unwrap();
        let options = AttestOptions { bundle: false, legacy: true };
        let attested = attest(store(&self.client), image, &statement, &self.pair, options, NOW).await.unwrap();
        assert_eq!(attested, Attested { bundle: Written::NotWanted, legacy: Written::New });
    }

    /// We find our key's signature with `env` as demanded, or the reason why it does not count.
    pub(super) async fn finds_annotated(&self, image: &PinnedRef, env: &str) -> Result<(), Vec<Reason>> {
        let annotations = BTreeMap::from([("env".to_owned(), env.to_owned())]);
        let demand = Demand { annotations: annotations.clone(), ..Demand::one(Role::Build) };
        let (trust, source) = (trusting(&self.pair), source(&self.client));
        match find_signatures(source, image, &trust, &demand, Limits::SIGNATURES, NOW).await {
            Ok(found) => {
                assert_eq!(found[0].annotations().get("env").map(String::as_str), Some(env));
                Ok(())
            }
            Err(Error::Untrusted(VerifyError::NotTrusted { rejected, .. })) => {
                Err(rejected.into_iter().map(|one| one.reason).collect())
            }
            Err(error) => panic!("{error:?}"),
        }
    }

    /// We find the signature of `by` on `image`, and nobody else's.
    pub(super) async fn believes_in(&self, image: &PinnedRef, by: &PublicKey) {
        let verified = self.find(image, trust(by)).await.unwrap();
        assert_eq!((verified.image(), verified.signer().key()), (image, by));
        self.is_unsigned_by(image, &key()).await;
    }

    pub(super) async fn is_unsigned_by(&self, image: &PinnedRef, pair: &KeyPair) {
        let found = self.find(image, trusting(pair)).await;
        assert!(matches!(found, Err(Error::Untrusted(VerifyError::NotTrusted { .. }))), "{found:?}");
    }

    async fn find(&self, image: &PinnedRef, trust: schleuse_sign::Trust) -> Result<schleuse_sign::Verified, Error> {
        find_signature(source(&self.client), image, &trust, Role::Build, Limits::SIGNATURES, NOW).await
    }

    /// We find our key's provenance of `image`; another key's holder does not; and a provenance signs nothing.
    pub(super) async fn believes_the_provenance_of(&self, image: &PinnedRef) {
        let candidates = attestation_candidates(source(&self.client), image, SLSA_PROVENANCE_V1, Limits::ATTESTATIONS)
            .await
            .unwrap();
        let read = |pair, kind| attestations(image.digest(), &candidates, &trusting(pair), Role::Build, kind);
        let ours = read(&self.pair, SLSA_PROVENANCE_V1);
        assert_eq!((ours.accepted.len(), ours.rejected.as_slice()), (1, &[][..]));
        let other = read(&self.other, SLSA_PROVENANCE_V1);
        assert_eq!((other.accepted.len(), other.rejected.len()), (0, 1));
        assert_eq!(read(&self.pair, COSIGN_SIGN_V1).accepted.len(), 0);
        let signature = self.find(image, trusting(&self.pair)).await;
        assert!(matches!(signature, Err(Error::Untrusted(_))), "{signature:?}");
    }
}
