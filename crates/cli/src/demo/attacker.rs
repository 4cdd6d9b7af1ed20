//! The attacker: somebody with push rights and without the key.

use schleuse_client::Client;
use schleuse_model::{PinnedRef, Repository, Tag};
use schleuse_oci::{ImageManifest, Pull as _, Push as _, Referrers as _};

use crate::failure::Failure;

/// Changes an image a little, pushes it, and attaches the original's signatures to it. Answers the forgery.
pub(crate) async fn tamper(client: &Client, image: &Repository, original: &Tag) -> Result<PinnedRef, Failure> {
    let gone = || schleuse_oci::Error::Missing { what: format!("{image}:{original}") };
    let genuine = client.resolve(&image.tag(original.clone())).await?.ok_or_else(gone)?;
    let manifest = client.manifest(&genuine).await?.ok_or_else(gone)?;
    let malformed = |source| schleuse_oci::Error::Malformed { what: genuine.to_string(), source };
    let mut forged = manifest.as_image().map_err(malformed)?;
    forged.annotations.insert("org.opencontainers.image.title".to_owned(), "not what was built".to_owned());
    let forged = forged.to_manifest();
    client.push_manifest(image, &forged).await?;
    let forgery = image.pin(forged.digest().clone());
    for referrer in client.referrers(&genuine, 64).await? {
        let Some(evidence) = client.manifest(&image.pin(referrer.digest)).await? else { continue };
        let mut stolen: ImageManifest = evidence.as_image().map_err(malformed)?;
        stolen.subject = Some(forged.descriptor());
        client.attach(&forgery, &stolen.to_manifest()).await?;
    }
    Ok(forgery)
}
