//! Pushing blobs: in one request, in two, in chunks, or by mounting (distribution-spec 1.1, "Pushing blobs").

use bytes::Bytes;
use http::header::{self, HeaderMap};
use http::{HeaderName, StatusCode};
use schleuse_model::Digest;
use schleuse_model::digest::Algorithm;
use tokio::sync::mpsc;

use super::body::Body;
use crate::answer::{self, Answer};
use crate::problem::Problem;
use crate::range;
use crate::registry::Registry;
use crate::route::{Name, Query};
use crate::uploads::{Checkout, Session};

/// Pieces between the network and the disk: a few, so that both work at once.
const IN_FLIGHT: usize = 8;

const DOCKER_UPLOAD_UUID: HeaderName = HeaderName::from_static("docker-upload-uuid");

/// POST: mount, single request, or the start of an upload.
pub(crate) async fn start(registry: &Registry, name: Name, query: &Query, body: Body) -> Result<Answer, Problem> {
    if let Some(digest) = query.digest("mount")?
        && mount(registry, &name, &digest, query.get("from").map(Name::parse).transpose()?).await?
    {
        return Ok(answer::created(&format!("/v2/{name}/blobs/{digest}"), &digest));
    }
    let digest = query.digest("digest")?;
    let algorithm = digest.as_ref().map_or(Algorithm::Sha256, Digest::algorithm);
    let (limits, repository) = (registry.limits, name.clone());
    let checkout =
        registry.blocking(move |shared| shared.uploads.begin(&*shared.store, &repository, algorithm, &limits));
    let mut checkout = checkout.await?;
    match digest {
        Some(digest) => {
            let checkout = receive(registry, checkout, body, None, Broken::Forget).await?;
            commit(registry, &name, checkout, digest).await
        }
        None => Ok(progress(StatusCode::ACCEPTED, &name, checkout.session()?)),
    }
}

/// Without `from` it may come from anywhere: whoever may write here may read every repository.
async fn mount(registry: &Registry, name: &Name, digest: &Digest, from: Option<Name>) -> Result<bool, Problem> {
    let (name, digest, now) = (name.clone(), digest.clone(), registry.clock.now());
    let mounted = registry.blocking(move |shared| {
        let _linking = shared.linking();
        let there = match from {
            // Its link was made when it was durable.
            Some(from) => shared.store.linked(&from, &digest)?.is_some() && shared.store.blob(&digest)?.is_some(),
            None => shared.store.settle_blob(&digest)?,
        };
        if there {
            shared.store.link(&name, &digest, now)?;
        }
        Ok(there)
    });
    mounted.await
}

/// GET: how far it is.
pub(crate) fn status(registry: &Registry, name: &Name, id: &str) -> Result<Answer, Problem> {
    let mut checkout = registry.shared.uploads.check_out(name, id)?;
    Ok(progress(StatusCode::NO_CONTENT, name, checkout.session()?))
}

/// PATCH: the next chunk, in order, or a stream without ranges.
pub(crate) async fn append(
    registry: &Registry,
    name: &Name,
    id: &str,
    headers: &HeaderMap,
    body: Body,
) -> Result<Answer, Problem> {
    let mut checkout = registry.shared.uploads.check_out(name, id)?;
    let expected = next_chunk(name, checkout.session()?, headers)?;
    let mut checkout = receive(registry, checkout, body, expected, Broken::Keep).await?;
    Ok(progress(StatusCode::ACCEPTED, name, checkout.session()?))
}

/// PUT: the last chunk, or all of it, and the digest.
pub(crate) async fn finish(
    registry: &Registry,
    name: &Name,
    id: &str,
    query: &Query,
    headers: &HeaderMap,
    body: Body,
) -> Result<Answer, Problem> {
    let missing = || Problem::digest_invalid("the parameter `digest` is missing");
    let digest = query.digest("digest")?.ok_or_else(missing)?;
    let mut checkout = registry.shared.uploads.check_out(name, id)?;
    let expected = next_chunk(name, checkout.session()?, headers)?;
    let checkout = receive(registry, checkout, body, expected, Broken::Keep).await?;
    commit(registry, name, checkout, digest).await
}

/// DELETE: never mind.
pub(crate) async fn cancel(registry: &Registry, name: &Name, id: &str) -> Result<Answer, Problem> {
    let checkout = registry.shared.uploads.check_out(name, id)?;
    registry.blocking(move |_| checkout.take().map(drop)).await?;
    Ok(answer::empty(StatusCode::NO_CONTENT))
}

/// How many bytes the chunk says it has, if it says where it belongs. One that does not start where the last ended is refused
/// with the place to go on from.
fn next_chunk(name: &Name, session: &Session, headers: &HeaderMap) -> Result<Option<u64>, Problem> {
    let Some(value) = headers.get(header::CONTENT_RANGE) else { return Ok(None) };
    let malformed = || Problem::upload_invalid("Content-Range is not `<first>-<last>`");
    let chunk = value.to_str().ok().and_then(range::chunk).ok_or_else(malformed)?;
    if chunk.start != session.size() {
        let (location, range) = place(name, session);
        return Err(Problem::range().with(header::LOCATION, location).with(header::RANGE, range));
    }
    let expected = chunk.end - chunk.start;
    match headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<u64>().ok()) {
        Some(length) if length != expected => Err(Problem::size("Content-Length and Content-Range differ")),
        _ => Ok(Some(expected)),
    }
}

enum Piece {
    Data(Bytes),
    End,
}

/// What becomes of the upload when the connection breaks.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Broken {
    /// The client knows its id and can go on where it was.
    Keep,
    /// A single request: nobody knows its id.
    Forget,
}

/// Moves the body to the store: this task reads the network, one thread hashes and writes.
async fn receive(
    registry: &Registry,
    mut checkout: Checkout,
    mut body: Body,
    expected: Option<u64>,
    broken: Broken,
) -> Result<Checkout, Problem> {
    let limits = registry.limits;
    let before = checkout.session()?.size();
    let limit = expected.map_or(limits.blob_bytes, |length| before.saturating_add(length).min(limits.blob_bytes));
    let (sender, mut receiver) = mpsc::channel(IN_FLIGHT);
    let writer = tokio::task::spawn_blocking(move || {
        while let Some(piece) = receiver.blocking_recv() {
            match piece {
                Piece::Data(bytes) => {
                    if let Err(problem) = checkout.session()?.append(&bytes, limit) {
                        // What is stored and what was hashed may differ now.
                        drop(checkout.take());
                        return Err(problem);
                    }
                }
                Piece::End => return Ok(checkout),
            }
        }
        if broken == Broken::Forget {
            drop(checkout.take());
        }
        Err(Problem::body("the connection was lost"))
    });
    let read = async {
        while let Some(bytes) = body.next(&limits).await? {
            if sender.send(Piece::Data(bytes)).await.is_err() {
                // The writer has given up and says why.
                return Ok(());
            }
        }
        let _ = sender.send(Piece::End).await;
        Ok::<_, Problem>(())
    };
    let read = read.await;
    drop(sender);
    let written = writer.await.map_err(|_| Problem::ended())?;
    read?;
    let mut checkout = written?;
    let received = checkout.session()?.size() - before;
    match expected {
        Some(expected) if received != expected => {
            drop(checkout.take());
            Err(Problem::size(format!("{expected} bytes were announced, {received} came")))
        }
        _ => Ok(checkout),
    }
}

async fn commit(registry: &Registry, name: &Name, checkout: Checkout, digest: Digest) -> Result<Answer, Problem> {
    let location = format!("/v2/{name}/blobs/{digest}");
    let (wanted, now) = (digest.clone(), registry.clock.now());
    registry.blocking(move |shared| checkout.take()?.finish(shared, &wanted, now)).await?;
    Ok(answer::created(&location, &digest))
}

fn place(name: &Name, session: &Session) -> (String, String) {
    // The header cannot say "nothing yet"; all registries say `0-0` then, as for one byte.
    (format!("/v2/{name}/blobs/uploads/{}", session.id()), format!("0-{}", session.size().saturating_sub(1)))
}

fn progress(status: StatusCode, name: &Name, session: &Session) -> Answer {
    let (location, range) = place(name, session);
    let mut answer = answer::empty(status);
    answer::set(&mut answer, header::LOCATION, &location);
    answer::set(&mut answer, header::RANGE, &range);
    answer::set(&mut answer, DOCKER_UPLOAD_UUID, session.id());
    answer
}
