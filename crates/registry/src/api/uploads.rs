//! Pushing blobs: in one request, in two, in chunks, or by mounting (distribution-spec 1.1, "Pushing blobs").

use bytes::Bytes;
use http::header::{self, HeaderMap};
use http::{HeaderName, StatusCode};
use schleuse_model::Digest;
use schleuse_model::digest::Algorithm;
use tokio::task::JoinHandle;

use super::batch::Batch;
use super::body::Body;
use crate::answer::{self, Answer};
use crate::problem::Problem;
use crate::range;
use crate::registry::Registry;
use crate::route::{Name, Query};
use crate::uploads::{Checkout, Session};

/// How much is written at a time, in bytes; as much again arrives meanwhile. An upload holds about a megabyte, whatever its size.
const BATCH: usize = 512 << 10;

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
    // Of a single request nobody knows the id: nobody could go on with it.
    let single = digest.is_some();
    let checkout =
        registry.blocking(move |shared| shared.uploads.begin(&*shared.store, &repository, algorithm, single, &limits));
    let mut checkout = checkout.await?;
    match digest {
        Some(digest) => {
            let checkout = receive(registry, checkout, body, None).await?;
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
    let mut checkout = receive(registry, checkout, body, expected).await?;
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
    let checkout = receive(registry, checkout, body, expected).await?;
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

/// The upload while its bytes are written: here, or in the hands of the thread that writes.
enum Writer {
    Idle(Checkout),
    Busy(JoinHandle<Result<Checkout, Problem>>),
}

impl Writer {
    /// Waits for what is being written, then hands on `pieces`. No thread is held between two batches: a slow client costs none.
    async fn write(self, pieces: Vec<Bytes>, limit: u64) -> Result<Self, Problem> {
        let mut checkout = self.finish().await?;
        Ok(Self::Busy(tokio::task::spawn_blocking(move || {
            for piece in pieces {
                if let Err(problem) = checkout.session()?.append(&piece, limit) {
                    // What is stored and what was hashed may differ now.
                    drop(checkout.take());
                    return Err(problem);
                }
            }
            Ok(checkout)
        })))
    }

    async fn finish(self) -> Result<Checkout, Problem> {
        match self {
            Self::Idle(checkout) => Ok(checkout),
            Self::Busy(writing) => writing.await.map_err(|_| Problem::ended())?,
        }
    }
}

/// Moves the body to the store: this task reads the network, while a thread hashes and writes what came before.
async fn receive(
    registry: &Registry,
    mut checkout: Checkout,
    mut body: Body,
    expected: Option<u64>,
) -> Result<Checkout, Problem> {
    let limits = registry.limits;
    let before = checkout.session()?.size();
    let limit = expected.map_or(limits.blob_bytes, |length| before.saturating_add(length).min(limits.blob_bytes));
    let mut writer = Writer::Idle(checkout);
    let mut batch = Batch::default();
    let read = loop {
        match body.next(&limits).await {
            Ok(Some(piece)) => batch.push(piece),
            Ok(None) => break Ok(()),
            Err(problem) => break Err(problem),
        }
        if batch.size() >= BATCH {
            writer = writer.write(batch.take(), limit).await?;
        }
    };
    if batch.size() > 0 {
        // Also when the connection broke: the client goes on after what it sees that we have.
        writer = writer.write(batch.take(), limit).await?;
    }
    let mut checkout = writer.finish().await?;
    read?;
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
