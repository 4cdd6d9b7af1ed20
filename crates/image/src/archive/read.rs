//! Reading images out of an archive.

use std::io::SeekFrom;

use async_trait::async_trait;
use bytes::Bytes;
use schleuse_model::{Digest, Hasher, PinnedRef, Repository, Tag, TagRef};
use schleuse_oci::manifest::MANIFEST_LIMIT;
use schleuse_oci::{BodyStream, Descriptor, Error, Manifest, Pull, stream_of};
use tokio::io::AsyncSeekExt as _;

use super::{Archive, Spot};
use crate::layout::read::{own_media_type, verified};
use crate::listing::{pick, same_name};
use crate::place::Pick;
use crate::work;

#[async_trait]
impl Pull for Archive {
    async fn resolve(&self, tag: &TagRef) -> Result<Option<PinnedRef>, Error> {
        let name = [tag.to_string(), tag.tag().to_string()]
            .into_iter()
            .find(|name| self.listed.iter().any(|one| one.names.iter().any(|known| same_name(known, name))));
        let Some(name) = name else { return Ok(None) };
        let digest = pick(&self.listed, &Pick::Named(name), &self.path.display().to_string());
        let ambiguous = |error: crate::listing::PickError| Error::Malformed {
            what: self.path.display().to_string(),
            source: schleuse_model::json::JsonError::Malformed(error.to_string()),
        };
        Ok(Some(tag.repository().pin(digest.map_err(ambiguous)?)))
    }

    async fn manifest(&self, image: &PinnedRef) -> Result<Option<Manifest>, Error> {
        let Some(bytes) = self.blob(image.repository(), image.digest(), MANIFEST_LIMIT).await? else {
            return Ok(None);
        };
        let listed = self.listed.iter().find(|one| one.image.digest == *image.digest());
        let media_type = match listed {
            Some(one) => one.image.media_type.clone(),
            None => own_media_type(&bytes, image)?,
        };
        Ok(Some(Manifest::known(media_type, bytes, image.digest().clone())))
    }

    async fn tagged(&self, tag: &TagRef) -> Result<Option<Manifest>, Error> {
        let Some(image) = self.resolve(tag).await? else { return Ok(None) };
        let missing = || Error::Missing { what: format!("manifest {image}") };
        Ok(Some(self.manifest(&image).await?.ok_or_else(missing)?))
    }

    async fn blob(&self, _: &Repository, digest: &Digest, limit: usize) -> Result<Option<Bytes>, Error> {
        let what = || format!("{digest} in {}", self.path.display());
        let bytes: Bytes = match self.blobs.get(digest) {
            None => return Ok(None),
            Some(Spot::Made(bytes)) => bytes.clone(),
            Some(Spot::In(span)) if span.size > limit as u64 => {
                return Err(Error::TooLarge { what: what(), limit: limit as u64 });
            }
            Some(Spot::In(span)) => {
                let (span, plain) = (*span, self.plain.clone());
                let read = work::blocking(move || span.read(&plain)).await.and_then(|read| read);
                read.map_err(|source| Error::Local { what: what(), source })?.into()
            }
        };
        if !digest.matches(&bytes) {
            let mut hasher = Hasher::new(digest.algorithm());
            hasher.update(&bytes);
            return Err(Error::WrongDigest { what: what(), expected: digest.clone(), actual: hasher.finish() });
        }
        Ok(Some(bytes))
    }

    async fn blob_stream(&self, _: &Repository, blob: &Descriptor) -> Result<Option<BodyStream>, Error> {
        let what = format!("{} in {}", blob.digest, self.path.display());
        let span = match self.blobs.get(&blob.digest) {
            None => return Ok(None),
            // Made from its bytes a moment ago: the digest is theirs.
            Some(Spot::Made(bytes)) => return Ok(Some(stream_of(bytes.clone(), blob))),
            Some(Spot::In(span)) => *span,
        };
        let failed = |source| Error::Local { what: what.clone(), source };
        let mut file = tokio::fs::File::open(&self.plain).await.map_err(failed)?;
        file.seek(SeekFrom::Start(span.offset)).await.map_err(failed)?;
        Ok(Some(verified(file, span.size, blob, what)))
    }

    async fn tags(&self, _: &Repository, prefix: &str, limit: usize) -> Result<Vec<Tag>, Error> {
        let names = self.listed.iter().flat_map(|one| &one.names);
        let tag = |name: &String| match name.parse::<Tag>() {
            Ok(tag) => Some(tag),
            Err(_) => match name.parse() {
                Ok(schleuse_model::Reference::Tagged(tagged)) => Some(tagged.tag().clone()),
                _ => None,
            },
        };
        let mut tags: Vec<Tag> = names.filter_map(tag).filter(|tag| tag.as_str().starts_with(prefix)).collect();
        tags.sort();
        tags.dedup();
        if tags.len() > limit {
            let what = format!("the list of tags in {}", self.path.display());
            return Err(Error::TooLarge { what, limit: limit as u64 });
        }
        Ok(tags)
    }
}
