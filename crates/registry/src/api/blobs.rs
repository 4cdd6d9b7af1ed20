//! Blobs: reading, also in part, and taking them out of a repository.

use http::StatusCode;
use http::header::{self, HeaderMap};
use schleuse_model::Digest;

use crate::answer::{self, Answer};
use crate::problem::Problem;
use crate::range::{self, Wanted};
use crate::registry::Registry;
use crate::route::Name;

pub(crate) async fn read(
    registry: &Registry,
    name: Name,
    digest: Digest,
    head_only: bool,
    headers: &HeaderMap,
) -> Result<Answer, Problem> {
    let (wanted, now) = (digest.clone(), registry.clock.now());
    let read_only = registry.read_only;
    let content = registry.blocking(move |shared| {
        let there = if read_only {
            // Nothing is collected, and nothing is changed: not even a date.
            shared.has(&name, &wanted)?
        } else {
            match shared.rely_on(&name, &wanted, now) {
                // Who gets the bytes does not rely on finding them here again.
                Err(_) if !head_only => shared.has(&name, &wanted)?,
                there => there?,
            }
        };
        if !there {
            return Err(Problem::blob_unknown());
        }
        shared.store.blob(&wanted)?.ok_or_else(Problem::blob_unknown)
    });
    let content = content.await?;
    let length = content.len();
    let range = headers.get(header::RANGE).and_then(|value| value.to_str().ok());
    let mut answer = match range::wanted(range, length) {
        _ if head_only => {
            let mut answer = answer::empty(StatusCode::OK);
            answer::set(&mut answer, header::CONTENT_TYPE, "application/octet-stream");
            answer::set(&mut answer, header::CONTENT_LENGTH, &length.to_string());
            answer
        }
        Wanted::Whole => answer::streamed(StatusCode::OK, content, 0..length),
        Wanted::Part(part) => {
            let shown = format!("bytes {}-{}/{length}", part.start, part.end - 1);
            let mut answer = answer::streamed(StatusCode::PARTIAL_CONTENT, content, part);
            answer::set(&mut answer, header::CONTENT_RANGE, &shown);
            answer
        }
        Wanted::Nothing => return Err(Problem::range().with(header::CONTENT_RANGE, format!("bytes */{length}"))),
    };
    answer::set(&mut answer, header::ACCEPT_RANGES, "bytes");
    answer::identify(&mut answer, &digest);
    Ok(answer)
}

/// The repository no longer has it; the bytes stay until they are collected, because other repositories may have it.
pub(crate) async fn delete(registry: &Registry, name: Name, digest: Digest) -> Result<Answer, Problem> {
    let removed = registry.blocking(move |shared| {
        let _lock = shared.lock(&name);
        Ok(shared.store.unlink(&name, &[digest])? > 0)
    });
    if removed.await? { Ok(answer::empty(StatusCode::ACCEPTED)) } else { Err(Problem::blob_unknown()) }
}
