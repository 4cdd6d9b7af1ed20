//! Writing a layout.

use std::io::{self, Read as _, Write as _};
use std::path::Path;

use async_trait::async_trait;
use schleuse_model::json;
use schleuse_model::{Digest, Repository, TagRef};
use schleuse_oci::{Body, Check, Created, Descriptor, Error, Manifest, Push};

use super::{Layout, REF_NAME, named};
use crate::work::{self, Passing};

#[async_trait]
impl Push for Layout {
    async fn has_blob(&self, _: &Repository, digest: &Digest) -> Result<bool, Error> {
        let path = self.blob_path(digest);
        tokio::fs::try_exists(&path).await.map_err(|source| Error::Local { what: path.display().to_string(), source })
    }

    async fn push_blob(&self, repository: &Repository, blob: &Descriptor, body: Body) -> Result<(), Error> {
        if self.has_blob(repository, &blob.digest).await? {
            return Ok(());
        }
        let path = self.blob_path(&blob.digest);
        let what = path.display().to_string();
        let blob = blob.clone();
        let stored = work::blocking(move || match body {
            Body::Bytes(bytes) => store(&mut &bytes[..], &blob, &path),
            Body::File(from) | Body::Unchecked(from) => {
                let opened = std::fs::File::open(&from);
                let failed = |source| Error::Local { what: from.display().to_string(), source };
                store(&mut opened.map_err(failed)?, &blob, &path)
            }
        });
        stored.await.map_err(|source| Error::Store { what, source })?
    }

    async fn adopt_blob(&self, _: &Repository, blob: &Descriptor, file: &Path) -> Result<bool, Error> {
        let (path, file) = (self.blob_path(&blob.digest), file.to_owned());
        let failed = |source| Error::Store { what: path.display().to_string(), source };
        let to = path.clone();
        let adopted = work::blocking(move || {
            let folder = to.parent().unwrap_or(Path::new("."));
            std::fs::create_dir_all(folder)?;
            std::fs::File::open(&file)?.sync_all()?;
            match std::fs::rename(&file, &to) {
                // From another file system it has to be copied.
                Err(error) if error.kind() == io::ErrorKind::CrossesDevices => Ok(false),
                Err(error) => Err(error),
                Ok(()) => work::sync_folder(folder).map(|()| true),
            }
        });
        adopted.await.and_then(|adopted| adopted).map_err(failed)
    }

    /// All repositories of a layout share their blobs.
    async fn mount_blob(&self, repository: &Repository, digest: &Digest, _: &Repository) -> Result<bool, Error> {
        self.has_blob(repository, digest).await
    }

    async fn push_manifest(&self, repository: &Repository, manifest: &Manifest) -> Result<bool, Error> {
        self.push_blob(repository, &manifest.descriptor(), Body::Bytes(manifest.bytes().clone())).await?;
        Ok(false)
    }

    async fn tag(&self, tag: &TagRef, manifest: &Manifest) -> Result<(), Error> {
        self.push_manifest(tag.repository(), manifest).await?;
        self.list(tag, manifest, true).await.map(|_| ())
    }

    async fn create_tag(&self, tag: &TagRef, manifest: &Manifest) -> Result<Created, Error> {
        self.push_manifest(tag.repository(), manifest).await?;
        self.list(tag, manifest, false).await
    }
}

impl Layout {
    /// Names `manifest` in `index.json`, under the lock.
    async fn list(&self, tag: &TagRef, manifest: &Manifest, replace: bool) -> Result<Created, Error> {
        let (layout, tag, manifest) = (self.clone(), tag.clone(), manifest.clone());
        let path = self.root.join("index.json");
        let what = path.display().to_string();
        let failed = |source| Error::Store { what: what.clone(), source };
        let listed = work::blocking(move || -> Result<io::Result<Created>, Error> {
            let lock = match layout.lock() {
                Ok(lock) => lock,
                Err(error) => return Ok(Err(error)),
            };
            if !replace && layout.entry(&tag)?.is_some() {
                return Ok(Ok(Created::Exists));
            }
            let mut index = layout.index()?;
            index.manifests.retain(|entry| !named(entry, &tag));
            let mut entry = manifest.descriptor();
            entry.annotations.insert(REF_NAME.to_owned(), tag.tag().as_str().to_owned());
            index.manifests.push(entry);
            let written = work::replace(&path, &json::to_bytes(&index));
            drop(lock);
            Ok(written.map(|()| Created::Won))
        });
        listed.await.map_err(failed)??.map_err(failed)
    }
}

/// Streams `from` to `path`, if it is what `blob` says.
fn store(from: &mut dyn io::Read, blob: &Descriptor, path: &Path) -> Result<(), Error> {
    let what = || path.display().to_string();
    let failed = |source| Error::Store { what: what(), source };
    let folder = path.parent().unwrap_or(Path::new("."));
    std::fs::create_dir_all(folder).map_err(failed)?;
    let (passing, mut file) = Passing::create(folder).map_err(failed)?;
    let mut check = Check::new(blob, what());
    let mut piece = vec![0; 128 << 10];
    // One byte more than promised is read, so that more than that is noticed.
    let mut left = from.take(blob.size.saturating_add(1));
    loop {
        let read = left.read(&mut piece).map_err(|source| Error::Local { what: what(), source })?;
        if read == 0 {
            break;
        }
        check.update(&piece[..read])?;
        file.write_all(&piece[..read]).map_err(failed)?;
    }
    check.finish()?;
    file.sync_all().map_err(failed)?;
    passing.keep_as(path).and_then(|()| work::sync_folder(folder)).map_err(failed)
}
