//! Manifests and the tags that point at them.
//!
//! The order of writes is the guarantee: what a manifest names, then the manifest, then its entry in the subject's referrers,
//! then the tag. Each is durable before the next is written, so a crash in between leaves something unreachable, never something
//! dangling. Deleting goes the other way round.

use http::header::{self, HeaderMap};
use http::{HeaderName, HeaderValue, StatusCode};
use schleuse_model::{Digest, Tag};

use super::body::Body;
use crate::answer::{self, Answer};
use crate::condition::Condition;
use crate::error::Error;
use crate::problem::Problem;
use crate::registry::{Registry, Shared};
use crate::route::{Name, Query, Selector};
use crate::shape::Shape;
use crate::store::{Store, StoredManifest};

const OCI_SUBJECT: HeaderName = HeaderName::from_static("oci-subject");
const OCI_TAG: HeaderName = HeaderName::from_static("oci-tag");

/// How many tags one push may set. The draft asks for no less than what an image is usually called by.
const TAGS: usize = 100;

pub(crate) async fn read(
    registry: &Registry,
    name: Name,
    selector: Selector,
    headers: &HeaderMap,
) -> Result<Answer, Problem> {
    // A reader's condition only saves bytes: one that we do not understand is none.
    let condition = Condition::parse(headers).unwrap_or_default();
    let found = registry.blocking(move |shared| {
        let digest = match selector {
            Selector::Digest(digest) => Some(digest),
            Selector::Tag(tag) => shared.store.target(&name, &tag)?,
            Selector::Malformed => None,
        };
        let digest = digest.ok_or_else(Problem::manifest_unknown)?;
        let manifest = shared.store.manifest(&name, &digest)?.ok_or_else(Problem::manifest_unknown)?;
        Ok((digest, manifest))
    });
    let (digest, manifest) = found.await?;
    let mut answer = if condition.is_unchanged(&digest) {
        answer::empty(StatusCode::NOT_MODIFIED)
    } else {
        answer::whole(StatusCode::OK, &manifest.media_type, manifest.bytes)
    };
    answer::identify(&mut answer, &digest);
    Ok(answer)
}

/// What a PUT is to do, all inputs checked that need no store.
struct Push {
    name: Name,
    digest: Digest,
    tags: Vec<Tag>,
    /// Whether it was put by its digest: then a condition is about the manifest.
    by_digest: bool,
    /// Whether what it names may be missing.
    sparse: bool,
    manifest: StoredManifest,
    shape: Shape,
    condition: Condition,
}

pub(crate) async fn put(
    registry: &Registry,
    name: Name,
    selector: Selector,
    query: &Query,
    headers: &HeaderMap,
    body: Body,
) -> Result<Answer, Problem> {
    let limits = registry.limits;
    // Read first, refuse then: a client that is still sending would see a broken connection instead of the refusal.
    let bytes = body.whole(limits.manifest_bytes, &limits).await?;
    let condition = Condition::parse(headers)?;
    let by_digest = matches!(selector, Selector::Digest(_));
    let (digest, tags) = match selector {
        Selector::Tag(tag) => (Digest::sha256(&bytes), vec![tag]),
        Selector::Digest(digest) => {
            if !digest.matches(&bytes) {
                return Err(Problem::digest_invalid(&format!("the manifest does not have the digest {digest}")));
            }
            (digest, further_tags(query, &condition)?)
        }
        Selector::Malformed => return Err(Problem::manifest_invalid("the reference is neither a tag nor a digest")),
    };
    let content_type = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let shape = Shape::parse(content_type, &bytes, limits.manifest_bytes)?;
    let mut answer = answer::created(&format!("/v2/{name}/manifests/{digest}"), &digest);
    if let Some(subject) = &shape.subject {
        answer::set(&mut answer, OCI_SUBJECT, &subject.to_string());
    }
    for tag in tags.iter().filter(|_| by_digest) {
        if let Ok(tag) = HeaderValue::from_str(tag.as_str()) {
            answer.headers_mut().append(OCI_TAG, tag);
        }
    }
    let manifest = StoredManifest { media_type: shape.media_type.clone(), bytes };
    let push = Push { name, digest, tags, by_digest, sparse: registry.sparse, manifest, shape, condition };
    registry.blocking(move |shared| push.run(shared)).await?;
    Ok(answer)
}

/// `PUT manifests/<digest>?tag=a&tag=b` (distribution-spec 1.1+dev): the only way to tag what has a digest other than SHA-256.
fn further_tags(query: &Query, condition: &Condition) -> Result<Vec<Tag>, Problem> {
    let invalid = |_| Problem::manifest_invalid("a parameter `tag` is not a tag");
    let mut tags = query.all("tag").map(|tag| tag.parse().map_err(invalid)).collect::<Result<Vec<Tag>, _>>()?;
    tags.sort_unstable();
    tags.dedup();
    if tags.len() > TAGS {
        return Err(Problem::too_many_tags(TAGS));
    }
    // The condition would be about the manifest, and whoever sends it means the tag: what is unclear must not be carried out.
    if !tags.is_empty() && *condition != Condition::default() {
        return Err(Problem::condition_with_tags());
    }
    Ok(tags)
}

/// What a tag is, to whom is about to replace or remove it.
enum Current {
    Nothing,
    Points(Digest),
    /// Its file holds no digest. Who puts no condition may put it right, or remove it.
    Damaged,
}

impl Current {
    fn digest(self) -> Option<Digest> {
        match self {
            Self::Points(digest) => Some(digest),
            Self::Nothing | Self::Damaged => None,
        }
    }
}

/// Of a damaged tag nobody knows whether a condition holds: it fails then, and never counts as free.
fn current(store: &dyn Store, name: &Name, tag: &Tag, condition: &Condition) -> Result<Current, Problem> {
    match store.target(name, tag) {
        Err(Error::Damaged { .. }) if *condition == Condition::default() => Ok(Current::Damaged),
        target => Ok(target?.map_or(Current::Nothing, Current::Points)),
    }
}

impl Push {
    fn run(&self, shared: &Shared) -> Result<(), Problem> {
        let (store, name, digest) = (&*shared.store, &self.name, &self.digest);
        let _lock = shared.lock(name);
        let current = match self.tags.first().filter(|_| !self.by_digest) {
            Some(tag) => current(store, name, tag, &self.condition)?.digest(),
            None if store.has_manifest(name, digest)? => Some(digest.clone()),
            None => None,
        };
        self.condition.check(current.as_ref())?;
        self.check_content(shared)?;
        store.write_manifest(name, digest, &self.manifest)?;
        if let Some(subject) = &self.shape.subject {
            store.add_referring(name, subject, &self.shape.as_referrer(digest, self.manifest.bytes.len()))?;
        }
        for tag in &self.tags {
            store.point(name, tag, digest)?;
        }
        Ok(())
    }

    /// Everything it names is there: link and bytes, unless the registry takes what is sparse. Nothing of it is collected meanwhile, as the collector wants the repository's
    /// lock too.
    fn check_content(&self, shared: &Shared) -> Result<(), Problem> {
        let (store, name) = (&*shared.store, &self.name);
        let has_blob =
            |digest| Ok::<_, Problem>(store.linked(name, digest)?.is_some() && store.blob(digest)?.is_some());
        for digest in self.shape.blobs.iter().filter(|_| !self.sparse) {
            if !has_blob(digest)? {
                return Err(Problem::manifest_blob_unknown(digest));
            }
        }
        for digest in self.shape.manifests.iter().filter(|_| !self.sparse) {
            // An index may also list what is no manifest.
            if !store.has_manifest(name, digest)? && !has_blob(digest)? {
                return Err(Problem::manifest_blob_unknown(digest));
            }
        }
        Ok(store.settle(name)?)
    }
}

pub(crate) async fn delete(
    registry: &Registry,
    name: Name,
    selector: Selector,
    headers: &HeaderMap,
) -> Result<Answer, Problem> {
    let condition = Condition::parse(headers)?;
    let removed = registry.blocking(move |shared| {
        let _lock = shared.lock(&name);
        match selector {
            Selector::Tag(tag) => {
                match current(&*shared.store, &name, &tag, &condition)? {
                    Current::Nothing => return Err(Problem::manifest_unknown()),
                    Current::Points(digest) => condition.check(Some(&digest))?,
                    Current::Damaged => {}
                }
                Ok(shared.store.remove_tag(&name, &tag)?)
            }
            Selector::Digest(digest) => {
                condition.check(Some(&digest))?;
                delete_manifest(shared, &name, &digest)
            }
            Selector::Malformed => Ok(false),
        }
    });
    if removed.await? { Ok(answer::empty(StatusCode::ACCEPTED)) } else { Err(Problem::manifest_unknown()) }
}

/// Removes the manifest with the tags that point at it and its entry in its subject's list.
fn delete_manifest(shared: &Shared, name: &Name, digest: &Digest) -> Result<bool, Problem> {
    let store = &*shared.store;
    let Some(manifest) = store.manifest(name, digest)? else { return Ok(false) };
    for tag in store.tag_names(name)?.unwrap_or_default() {
        if let Ok(tag) = tag.parse::<Tag>()
            && current(store, name, &tag, &Condition::default())?.digest().as_ref() == Some(digest)
        {
            store.remove_tag(name, &tag)?;
        }
    }
    // It was accepted once; under today's limit or a larger one.
    let shape = Shape::parse(Some(&manifest.media_type), &manifest.bytes, manifest.bytes.len());
    if let Ok(Shape { subject: Some(subject), .. }) = shape {
        store.remove_referring(name, &subject, digest)?;
    }
    Ok(store.remove_manifest(name, digest)?)
}
