//! Writing.

use async_trait::async_trait;
use http::{HeaderValue, Method, StatusCode, header};
use schleuse_model::{Digest, Repository, TagRef};
use schleuse_oci::{Body, Created, Descriptor, Error, Manifest, Push};

use crate::address::Endpoint;
use crate::answer::{Answer, MESSAGE_LIMIT, OCI_SUBJECT, is_html};
use crate::auth::Scope;
use crate::exchange::{Call, Client, Inner, Repeat};
use crate::payload::Payload;
use crate::upload::same_digest;

#[async_trait]
impl Push for Client {
    async fn has_blob(&self, repository: &Repository, digest: &Digest) -> Result<bool, Error> {
        let endpoint = self.0.addresses.endpoint(repository)?;
        self.0.has_blob(&endpoint, digest).await
    }

    async fn push_blob(&self, repository: &Repository, blob: &Descriptor, body: Body) -> Result<(), Error> {
        let endpoint = self.0.addresses.endpoint(repository)?;
        let payload = Payload::of(body, blob).await?;
        // The empty config is everybody's: where many write evidence at once, each upload of it would write the same file of
        // docker-registry again, which answers whoever reads it meanwhile with DIGEST_INVALID.
        let mount_failed = self.0.opened.has(repository, &blob.digest);
        if !mount_failed && (blob.size >= self.0.limits.head_from || blob.digest == Descriptor::empty().digest) {
            match self.0.has_blob(&endpoint, &blob.digest).await {
                Ok(true) => return Ok(()),
                // An answer that says neither (object storage that signs for GET only): uploading is right in both cases.
                Ok(false) | Err(Error::Unexpected { .. } | Error::WebPage { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        self.0.upload(&endpoint, blob, payload).await
    }

    async fn mount_blob(&self, repository: &Repository, digest: &Digest, from: &Repository) -> Result<bool, Error> {
        if from.host() != repository.host() {
            return Ok(false);
        }
        let endpoint = self.0.addresses.endpoint(repository)?;
        let mut url = endpoint.uploads();
        url.query_pairs_mut().append_pair("mount", &digest.to_string()).append_pair("from", from.path());
        let scope = Scope::push(repository).and_pull(from);
        let what = format!("mounting blob {digest} of {from} in {repository}");
        let call = Call::get(url, scope, what).method(Method::POST, Repeat::Write);
        let answer = match self.0.fetch(&endpoint, &call, MESSAGE_LIMIT, self.0.operation()).await {
            Ok(answer) => answer,
            // It may not read `from`. If it may not write here either, the upload will say so.
            Err(Error::Unauthorized { .. } | Error::Denied { .. }) => return Ok(false),
            Err(error) => return Err(error),
        };
        match answer.status {
            StatusCode::CREATED => same_digest(&answer, digest).map(|()| true),
            StatusCode::ACCEPTED => {
                // It opened an upload instead: the push that comes next goes on with it. Without a usable address that push opens
                // its own.
                if let Ok(location) = self.0.location(&call.url, &answer) {
                    self.0.opened.keep(repository, digest, location);
                }
                Ok(false)
            }
            _ => Err(answer.unexpected()),
        }
    }

    async fn push_manifest(&self, repository: &Repository, manifest: &Manifest) -> Result<bool, Error> {
        let reference = manifest.digest().to_string();
        let endpoint = self.0.addresses.endpoint(repository)?;
        Ok(self.0.put_manifest(&endpoint, &reference, manifest).await?.indexed)
    }

    async fn tag(&self, tag: &TagRef, manifest: &Manifest) -> Result<(), Error> {
        let endpoint = self.0.addresses.endpoint(tag.repository())?;
        self.0.put_manifest(&endpoint, tag.tag().as_str(), manifest).await.map(drop)
    }

    async fn create_tag(&self, tag: &TagRef, manifest: &Manifest) -> Result<Created, Error> {
        let endpoint = self.0.addresses.endpoint(tag.repository())?;
        let call = manifest_call(&endpoint, tag.tag().as_str(), manifest)
            .method(Method::PUT, Repeat::Once)
            .header(header::IF_NONE_MATCH, HeaderValue::from_static("*"));
        let answer = self.0.fetch(&endpoint, &call, MESSAGE_LIMIT, self.0.operation()).await?;
        match answer.status {
            StatusCode::CREATED => same_digest(&answer, manifest.digest()).map(|()| Created::Won),
            _ if answer.says_exists() => Ok(Created::Exists),
            _ => Err(answer.unexpected()),
        }
    }
}

/// What the registry said about a manifest it took.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stored {
    /// It indexed the manifest's `subject` (`OCI-Subject`).
    pub(crate) indexed: bool,
}

fn manifest_call(endpoint: &Endpoint, reference: &str, manifest: &Manifest) -> Call {
    let what = match reference.contains(':') {
        true => format!("the upload of manifest {}@{reference}", endpoint.repository),
        false => format!("the upload of manifest {}:{reference}", endpoint.repository),
    };
    let call = Call::get(endpoint.manifest(reference), Scope::push(&endpoint.repository), what)
        .method(Method::PUT, Repeat::Write)
        .payload(Payload::Bytes(manifest.bytes().clone()));
    match HeaderValue::from_str(manifest.media_type()) {
        Ok(kind) => call.header(header::CONTENT_TYPE, kind),
        // Without one the registry refuses it, which is the right answer to such a media type.
        Err(_) => call,
    }
}

impl Inner {
    /// Writes the manifest under a tag or its digest.
    pub(crate) async fn put_manifest(
        &self,
        endpoint: &Endpoint,
        reference: &str,
        manifest: &Manifest,
    ) -> Result<Stored, Error> {
        let answer = self.put(endpoint, reference, manifest).await?;
        // Only 201: a portal answers 200 to anything.
        if answer.status != StatusCode::CREATED {
            return Err(answer.unexpected());
        }
        same_digest(&answer, manifest.digest())?;
        Ok(Stored { indexed: answer.headers.contains_key(OCI_SUBJECT) })
    }

    /// The same, without judging the answer.
    pub(crate) async fn put(&self, endpoint: &Endpoint, reference: &str, manifest: &Manifest) -> Result<Answer, Error> {
        let call = manifest_call(endpoint, reference, manifest);
        self.fetch(endpoint, &call, MESSAGE_LIMIT, self.operation()).await
    }

    /// Whether the blob is there.
    pub(crate) async fn has_blob(&self, endpoint: &Endpoint, digest: &Digest) -> Result<bool, Error> {
        let call = Call::blob(endpoint, digest).method(Method::HEAD, Repeat::Read);
        let answer = self.fetch(endpoint, &call, MESSAGE_LIMIT, self.operation()).await?;
        match answer.status {
            // A portal answers 200 to anything, with a page.
            StatusCode::OK if is_html(&answer.headers) => Err(answer.unexpected()),
            StatusCode::OK => same_digest(&answer, digest).map(|()| true),
            _ if answer.head_says_absent() => Ok(false),
            _ => Err(answer.unexpected()),
        }
    }
}
