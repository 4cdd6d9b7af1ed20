//! Sends a built image to a registry or a layout.

use std::path::Path;

use futures_util::{StreamExt as _, TryStreamExt as _};
use schleuse_model::{Repository, Tag};
use schleuse_oci::{Body, Descriptor, Pull, Push};

use super::Built;
use crate::copy::{CONCURRENT_BLOBS, CopyError, Moved, Progress, Route, copy_all};

impl Built {
    /// Pushes layers, configuration, manifest, and last the tags: none ever names an incomplete image. The base's layers are
    /// mounted where the registry can, else copied from `base`, where the image was built from, by way of `work`. Without `base`
    /// they must be there already.
    ///
    /// # Errors
    /// [`CopyError`]. Pushing again goes on where it stopped.
    pub async fn push(
        &self,
        to: &dyn Push,
        base: Option<&dyn Pull>,
        repository: &Repository,
        tags: &[Tag],
        work: &Path,
        progress: &dyn Progress,
    ) -> Result<(), CopyError> {
        if let Some(below) = &self.base {
            let from_repository = below.image.repository();
            match base {
                Some(from) => {
                    let route = Route { from, from_repository, to, to_repository: repository, work, progress };
                    copy_all(route, distinct(below.layers.clone())).await?;
                }
                None => all_there(to, repository, &below.layers).await?,
            }
        }
        let config = (self.config.clone(), Body::Bytes(self.config_bytes.clone()));
        let layers = self.layers.iter().map(|(blob, path)| (blob.clone(), Body::File(path.clone())));
        let mut blobs: Vec<(Descriptor, Body)> = layers.chain([config]).collect();
        blobs.sort_by(|a, b| a.0.digest.cmp(&b.0.digest));
        blobs.dedup_by(|a, b| a.0.digest == b.0.digest);
        let sends: Vec<_> = blobs.into_iter().map(|(blob, body)| send(to, repository, blob, body, progress)).collect();
        futures_util::stream::iter(sends).buffer_unordered(CONCURRENT_BLOBS).try_collect::<()>().await?;

        to.push_manifest(repository, &self.manifest).await?;
        progress.manifest(self.manifest.digest());
        for tag in tags {
            to.tag(&repository.tag(tag.clone()), &self.manifest).await?;
        }
        Ok(())
    }
}

fn distinct(mut blobs: Vec<Descriptor>) -> Vec<Descriptor> {
    blobs.sort_by(|a, b| a.digest.cmp(&b.digest));
    blobs.dedup_by(|a, b| a.digest == b.digest);
    blobs
}

async fn all_there(to: &dyn Push, repository: &Repository, blobs: &[Descriptor]) -> Result<(), CopyError> {
    for blob in blobs {
        if !to.has_blob(repository, &blob.digest).await? {
            let what = format!("the base's layer {} in {repository}", blob.digest);
            return Err(schleuse_oci::Error::Missing { what }.into());
        }
    }
    Ok(())
}

async fn send(
    to: &dyn Push,
    repository: &Repository,
    blob: Descriptor,
    body: Body,
    progress: &dyn Progress,
) -> Result<(), CopyError> {
    let moved = if to.has_blob(repository, &blob.digest).await? {
        Moved::Present
    } else {
        to.push_blob(repository, &blob, body).await?;
        Moved::Sent
    };
    progress.blob(&blob, moved);
    Ok(())
}
