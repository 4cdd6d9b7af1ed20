//! Reading.

use std::sync::PoisonError;

use async_trait::async_trait;
use bytes::Bytes;
use http::{HeaderValue, StatusCode, header};
use reqwest::Url;
use schleuse_model::{Digest, PinnedRef, Repository, Tag, TagRef, json};
use schleuse_oci::access::RegistryTime;
use schleuse_oci::manifest::MANIFEST_LIMIT;
use schleuse_oci::{BodyStream, Descriptor, Error, Manifest, Pull, media_type};
use serde::Deserialize;

use crate::address::{Endpoint, same_origin};
use crate::answer::{Answer, is_html};
use crate::auth::Scope;
use crate::body::verify;
use crate::exchange::{Call, Client, Inner};
use crate::page::next_link;

#[async_trait]
impl Pull for Client {
    async fn resolve(&self, tag: &TagRef) -> Result<Option<PinnedRef>, Error> {
        // A GET, not a HEAD: the digest is computed from the content, not believed.
        let found = self.0.manifest_at(tag.repository(), tag.tag().as_str(), &tag.to_string()).await?;
        Ok(found.map(|(_, digest)| tag.repository().pin(digest)))
    }

    async fn manifest(&self, image: &PinnedRef) -> Result<Option<Manifest>, Error> {
        let digest = image.digest();
        let found = self.0.manifest_at(image.repository(), &digest.to_string(), &image.to_string()).await?;
        let Some((manifest, _)) = found else { return Ok(None) };
        verify(manifest.bytes(), digest, &image.to_string())?;
        Ok(Some(Manifest::known(manifest.media_type(), manifest.bytes().clone(), digest.clone())))
    }

    async fn tagged(&self, tag: &TagRef) -> Result<Option<Manifest>, Error> {
        let found = self.0.manifest_at(tag.repository(), tag.tag().as_str(), &tag.to_string()).await?;
        Ok(found.map(|(manifest, _)| manifest))
    }

    async fn blob(&self, repository: &Repository, digest: &Digest, limit: usize) -> Result<Option<Bytes>, Error> {
        let endpoint = self.0.addresses.endpoint(repository)?;
        let call = Call::blob(&endpoint, digest);
        let answer = self.0.fetch(&endpoint, &call, limit, self.0.transfer()).await?;
        match answer.status {
            StatusCode::OK if is_html(&answer.headers) => Err(answer.unexpected()),
            StatusCode::OK => {
                verify(&answer.body, digest, &call.what)?;
                Ok(Some(answer.body))
            }
            _ if answer.says_absent() => Ok(None),
            _ => Err(answer.unexpected()),
        }
    }

    async fn blob_stream(&self, repository: &Repository, blob: &Descriptor) -> Result<Option<BodyStream>, Error> {
        let endpoint = self.0.addresses.endpoint(repository)?;
        self.download(endpoint, blob).await
    }

    async fn tags(&self, repository: &Repository, prefix: &str, limit: usize) -> Result<Vec<Tag>, Error> {
        let endpoint = self.0.addresses.endpoint(repository)?;
        let what = format!("the tags of {repository}");
        let mut url = endpoint.tags();
        url.set_query(Some(&format!("n={}", self.0.limits.tags_a_page)));
        let mut tags = Vec::new();
        let mut pages = Pages::new(&self.0, &endpoint, url, what.clone());
        while let Some(answer) = pages.next(None).await? {
            if pages.read == 1 && answer.says_absent() {
                return Ok(Vec::new());
            }
            if answer.status != StatusCode::OK || answer.is_web_page() {
                return Err(answer.unexpected());
            }
            let page: TagPage = json::from_untrusted(&answer.body, MANIFEST_LIMIT)
                .map_err(|source| Error::Malformed { what: what.clone(), source })?;
            for name in page.tags.unwrap_or_default() {
                if !name.starts_with(prefix) {
                    continue;
                }
                if tags.len() == limit {
                    return Err(Error::TooLarge { what, limit: limit as u64 });
                }
                tags.push(name.parse()?);
            }
        }
        Ok(tags)
    }

    fn registry_time(&self) -> Option<RegistryTime> {
        *self.0.time.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// `tags` must be there, though it may be `null` (`distribution` writes that for an empty repository): an answer without it is
/// no list of tags.
#[derive(Deserialize)]
struct TagPage {
    #[serde(deserialize_with = "Option::deserialize")]
    tags: Option<Vec<String>>,
}

/// A listing, page by page, at most as many as [`crate::Limits::pages`].
pub(crate) struct Pages<'a> {
    inner: &'a Inner,
    endpoint: &'a Endpoint,
    next: Option<Url>,
    what: String,
    deadline: tokio::time::Instant,
    pub(crate) read: u32,
}

impl<'a> Pages<'a> {
    pub(crate) fn new(inner: &'a Inner, endpoint: &'a Endpoint, first: Url, what: String) -> Self {
        Self { inner, endpoint, next: Some(first), what, deadline: inner.operation(), read: 0 }
    }

    /// The next page, of at most [`MANIFEST_LIMIT`] bytes; `None`: that was the last one.
    pub(crate) async fn next(&mut self, accept: Option<&'static str>) -> Result<Option<Answer>, Error> {
        let Some(url) = self.next.take() else { return Ok(None) };
        if self.read == self.inner.limits.pages {
            return Err(Error::TooLarge { what: format!("{} (in pages)", self.what), limit: self.read.into() });
        }
        self.read += 1;
        let mut call = Call::get(url.clone(), Scope::pull(&self.endpoint.repository), &self.what);
        if let Some(accept) = accept {
            call = call.header(header::ACCEPT, HeaderValue::from_static(accept));
        }
        let answer = self.inner.fetch(self.endpoint, &call, MANIFEST_LIMIT, self.deadline).await?;
        if answer.status == StatusCode::OK
            && let Some(link) = next_link(&answer.headers)
        {
            let next = self.inner.addresses.follow(&url, &link).ok().filter(|next| {
                // Another host's list is not this registry's, and a page that follows itself never ends.
                same_origin(next, &self.endpoint.base) && *next != url
            });
            self.next = Some(next.ok_or_else(|| answer.unexpected_because("its next page is not on this registry"))?);
        }
        Ok(Some(answer))
    }
}

impl Inner {
    /// The manifest under a tag or digest, and the digest that its bytes have: the registry's own, where it told one and the
    /// bytes match it, else SHA-256.
    pub(crate) async fn manifest_at(
        &self,
        repository: &Repository,
        reference: &str,
        what: &str,
    ) -> Result<Option<(Manifest, Digest)>, Error> {
        let endpoint = self.addresses.endpoint(repository)?;
        let mut call = Call::get(endpoint.manifest(reference), Scope::pull(repository), format!("manifest {what}"));
        for accepted in media_type::MANIFESTS {
            call = call.header(header::ACCEPT, HeaderValue::from_static(accepted));
        }
        let answer = self.fetch(&endpoint, &call, MANIFEST_LIMIT, self.operation()).await?;
        match answer.status {
            StatusCode::OK => {
                let told = answer.cross_check(&answer.body)?;
                let kind = manifest_type(&answer)?;
                let manifest = match told {
                    Some(told) => Manifest::known(kind, answer.body, told),
                    None => Manifest::new(kind, answer.body),
                };
                let digest = manifest.digest().clone();
                Ok(Some((manifest, digest)))
            }
            _ if answer.says_absent() => Ok(None),
            _ => Err(answer.unexpected()),
        }
    }
}

/// The media type of a manifest: what it was served as; where that says nothing, what it calls itself.
fn manifest_type(answer: &Answer) -> Result<String, Error> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Inner {
        media_type: String,
    }

    let served = answer.media_type();
    let kind = match served.as_deref() {
        None | Some("application/json" | "text/plain" | "application/octet-stream") => {
            json::from_untrusted::<Inner>(&answer.body, MANIFEST_LIMIT).ok().map(|inner| inner.media_type)
        }
        _ => served,
    };
    kind.filter(|kind| media_type::MANIFESTS.contains(&kind.as_str())).ok_or_else(|| {
        let served = answer.media_type().unwrap_or_else(|| "nothing".to_owned());
        answer.unexpected_because(&format!("not a manifest: served as {}", crate::text::printable(&served, 80)))
    })
}
