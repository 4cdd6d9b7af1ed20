//! An image in a registry, and keys.

use rand_core::OsRng;
use schleuse_client::Client;
use schleuse_model::{PinnedRef, Repository, Timestamp};
use schleuse_oci::{Descriptor, ImageManifest, Push as _, media_type};
use schleuse_sign::{KeyPair, Role, Signer as _, Source, Store, Trust, TrustedKey};

pub(crate) const NOW: Timestamp = Timestamp::from_seconds(1_795_000_000);

pub(crate) fn key() -> KeyPair {
    KeyPair::generate(&mut OsRng).unwrap()
}

/// Trusts `key` for builds, and nobody else.
pub(crate) fn trust(key: &schleuse_sign::PublicKey) -> Trust {
    Trust::new([TrustedKey::new(key.clone(), [Role::Build])]).unwrap()
}

pub(crate) fn trusting(pair: &KeyPair) -> Trust {
    trust(pair.public_key())
}

pub(crate) fn client() -> Client {
    Client::builder().build().unwrap()
}

/// Pushes a small real image to `host` (its layer holds `content`) under the tag `1`.
pub(crate) async fn image(client: &Client, host: &str, content: &str) -> PinnedRef {
    let repository: Repository = format!("{host}/acme/billing").parse().unwrap();
    let config = br#"{"architecture":"amd64","os":"linux","rootfs":{"type":"layers","diff_ids":[]}}"#;
    let config = (Descriptor::of(media_type::IMAGE_CONFIG, config), config.to_vec());
    let layer = (Descriptor::of(media_type::LAYER_TAR, content.as_bytes()), content.as_bytes().to_vec());
    let manifest = ImageManifest::new(config.0.clone(), vec![layer.0.clone()]).to_manifest();
    for (descriptor, bytes) in [config, layer] {
        client.push_blob(&repository, &descriptor, bytes.into()).await.unwrap();
    }
    client.tag(&repository.tag("1".parse().unwrap()), &manifest).await.unwrap();
    repository.pin(manifest.digest().clone())
}

pub(crate) fn source(client: &Client) -> Source<'_> {
    Source { pull: client, referrers: client }
}

pub(crate) fn store(client: &Client) -> Store<'_> {
    Store { pull: client, push: client, referrers: client }
}
