//! Listing what refers to a manifest (distribution-spec 1.1, "Listing Referrers").

use http::{HeaderName, StatusCode, header};
use schleuse_model::{Digest, json};
use schleuse_oci::{Descriptor, Index, media_type};

use crate::answer::{self, Answer};
use crate::problem::Problem;
use crate::registry::Registry;
use crate::route::{Name, Query, percent_encode};

const OCI_FILTERS_APPLIED: HeaderName = HeaderName::from_static("oci-filters-applied");

/// One page of the list: an index, at most `Limits::page` entries and at most as large as a manifest may be, so that whoever can
/// read manifests can read it. Nothing there, or no such repository, is the empty index.
pub(crate) async fn list(registry: &Registry, name: Name, subject: Digest, query: &Query) -> Result<Answer, Problem> {
    let (repository, wanted) = (name.clone(), subject.clone());
    let (filter, last) = (query.get("artifactType").map(str::to_owned), query.digest("last")?);
    let (limits, wanted_type) = (registry.limits, filter.clone());
    let read = registry.blocking(move |shared| {
        let (mut page, mut bytes, mut more) = (Vec::new(), 0, false);
        shared.store.referring(&repository, &wanted, last.as_ref(), &mut |entry: Descriptor| {
            if wanted_type.is_some() && entry.artifact_type != wanted_type {
                return true;
            }
            bytes += json::to_bytes(&entry).len();
            // One entry always fits: it repeats annotations of a manifest, which has room for more besides.
            more = page.len() == limits.page || (bytes > limits.manifest_bytes / 2 && !page.is_empty());
            if !more {
                page.push(entry);
            }
            !more
        })?;
        Ok((page, more))
    });
    let (page, more) = read.await?;
    let filter = filter.as_deref();
    let next = page.last().filter(|_| more).map(|entry| {
        let filter = filter.map_or(String::new(), |filter| format!("&artifactType={}", percent_encode(filter)));
        format!("</v2/{name}/referrers/{subject}?last={}{filter}>; rel=\"next\"", entry.digest)
    });
    let index = json::to_bytes(&Index::new(page));
    let mut answer = answer::whole(StatusCode::OK, media_type::IMAGE_INDEX, index.into());
    if filter.is_some() {
        answer::set(&mut answer, OCI_FILTERS_APPLIED, "artifactType");
    }
    if let Some(next) = next {
        answer::set(&mut answer, header::LINK, &next);
    }
    Ok(answer)
}
