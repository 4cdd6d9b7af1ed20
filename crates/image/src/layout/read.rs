//! Reading a layout.

use std::path::PathBuf;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::stream;
use schleuse_model::json::JsonError;
use schleuse_model::{Digest, Hasher, PinnedRef, Repository, Tag, TagRef};
use schleuse_oci::manifest::MANIFEST_LIMIT;
use schleuse_oci::{BodyStream, Descriptor, Error, Manifest, Pull, media_type};
use serde::Deserialize;
use tokio::io::AsyncReadExt as _;

use super::{Layout, named, read_small};
use crate::work;

/// How much of a blob is in memory at once.
const PIECE: usize = 128 << 10;

#[async_trait]
impl Pull for Layout {
    async fn resolve(&self, tag: &TagRef) -> Result<Option<PinnedRef>, Error> {
        Ok(self.entry(tag)?.map(|entry| tag.repository().pin(entry.digest)))
    }

    async fn manifest(&self, image: &PinnedRef) -> Result<Option<Manifest>, Error> {
        let Some(bytes) = self.blob(image.repository(), image.digest(), MANIFEST_LIMIT).await? else {
            return Ok(None);
        };
        let listed = self.index()?.manifests.into_iter().find(|entry| entry.digest == *image.digest());
        let media_type = match listed {
            Some(entry) => entry.media_type,
            None => own_media_type(&bytes, image)?,
        };
        Ok(Some(Manifest::known(media_type, bytes, image.digest().clone())))
    }

    async fn tagged(&self, tag: &TagRef) -> Result<Option<Manifest>, Error> {
        match self.resolve(tag).await? {
            Some(image) => match self.manifest(&image).await? {
                Some(manifest) => Ok(Some(manifest)),
                // Listed but not there is a broken layout, not "no such tag".
                None => Err(Error::Missing { what: format!("manifest {image}") }),
            },
            None => Ok(None),
        }
    }

    async fn blob(&self, _: &Repository, digest: &Digest, limit: usize) -> Result<Option<Bytes>, Error> {
        let path = self.blob_path(digest);
        let what = path.display().to_string();
        let read = work::blocking(move || read_small(&path, limit as u64)).await.and_then(|read| read);
        let bytes = match read {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) if error.kind() == std::io::ErrorKind::FileTooLarge => {
                return Err(Error::TooLarge { what, limit: limit as u64 });
            }
            Err(source) => return Err(Error::Local { what, source }),
        };
        if !digest.matches(&bytes) {
            let mut hasher = Hasher::new(digest.algorithm());
            hasher.update(&bytes);
            return Err(Error::WrongDigest { what, expected: digest.clone(), actual: hasher.finish() });
        }
        Ok(Some(bytes.into()))
    }

    async fn blob_stream(&self, _: &Repository, blob: &Descriptor) -> Result<Option<BodyStream>, Error> {
        let path = self.blob_path(&blob.digest);
        let what = path.display().to_string();
        let opened = work::blocking(move || work::open_file(&path)).await.and_then(|opened| opened);
        let file = match opened {
            Ok(file) => tokio::fs::File::from_std(file),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(source) => return Err(Error::Local { what, source }),
        };
        Ok(Some(verified(file, u64::MAX, blob, what)))
    }

    fn blob_file(&self, digest: &Digest) -> Option<PathBuf> {
        Some(self.blob_path(digest))
    }

    async fn tags(&self, repository: &Repository, prefix: &str, limit: usize) -> Result<Vec<Tag>, Error> {
        let whole = format!("{repository}:");
        let mut tags = Vec::new();
        for entry in self.index()?.manifests {
            let Some(name) = entry.annotations.get(super::REF_NAME) else { continue };
            let tag: Option<Tag> = name.strip_prefix(&whole).unwrap_or(name).parse().ok();
            let Some(tag) = tag.filter(|tag| tag.as_str().starts_with(prefix)) else { continue };
            if tags.len() == limit {
                let what = format!("the list of tags in {}", self.root().display());
                return Err(Error::TooLarge { what, limit: limit as u64 });
            }
            tags.push(tag);
        }
        tags.sort();
        tags.dedup();
        Ok(tags)
    }
}

impl Layout {
    /// The entry that `tag` names. Two different ones are an error, not a choice.
    pub(super) fn entry(&self, tag: &TagRef) -> Result<Option<Descriptor>, Error> {
        let mut found: Option<Descriptor> = None;
        for entry in self.index()?.manifests.into_iter().filter(|entry| named(entry, tag)) {
            match &found {
                Some(first) if first.digest != entry.digest => {
                    let what = self.root().join("index.json").display().to_string();
                    let source = JsonError::Malformed(format!("`{}` names two images", tag.tag()));
                    return Err(Error::Malformed { what, source });
                }
                _ => found = Some(entry),
            }
        }
        Ok(found)
    }
}

/// The next `length` bytes of `file`, if they are `blob`.
pub(crate) fn verified(file: tokio::fs::File, length: u64, blob: &Descriptor, what: String) -> BodyStream {
    // One byte more than promised is read, so that more than that is noticed.
    let file = file.take(length.min(blob.size.saturating_add(1)));
    let name = what.clone();
    let pieces = stream::try_unfold(file, move |mut file| {
        let what = name.clone();
        async move {
            let mut piece = vec![0; PIECE];
            let read = file.read(&mut piece).await.map_err(|source| Error::Local { what, source })?;
            piece.truncate(read);
            Ok((read > 0).then(|| (Bytes::from(piece), file)))
        }
    });
    BodyStream::new(pieces, blob, what)
}

/// What a manifest that is only reachable by its digest (a child of an index) says it is. Old OCI manifests say nothing; then
/// the field that only one of the two has decides.
pub(crate) fn own_media_type(bytes: &Bytes, image: &PinnedRef) -> Result<String, Error> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Probe {
        media_type: Option<String>,
        config: Option<serde::de::IgnoredAny>,
        manifests: Option<serde::de::IgnoredAny>,
    }
    let malformed = |source| Error::Malformed { what: format!("manifest {image}"), source };
    let probe: Probe = schleuse_model::json::from_untrusted(bytes, MANIFEST_LIMIT).map_err(malformed)?;
    match probe {
        Probe { media_type: Some(media_type), .. } => Ok(media_type),
        Probe { config: Some(_), manifests: None, .. } => Ok(media_type::IMAGE_MANIFEST.to_owned()),
        Probe { config: None, manifests: Some(_), .. } => Ok(media_type::IMAGE_INDEX.to_owned()),
        _ => Err(malformed(JsonError::Malformed("neither an image nor an index".to_owned()))),
    }
}
