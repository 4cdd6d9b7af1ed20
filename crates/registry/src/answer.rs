//! Building answers.

use std::io;
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::{StreamExt, stream};
use http::header::{self, HeaderName, HeaderValue};
use http::{Response, StatusCode};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Empty, Full, StreamBody};
use hyper::body::Frame;
use schleuse_model::Digest;

use crate::store::Content;

/// A response whose body is whole or streamed.
pub(crate) type Answer = Response<UnsyncBoxBody<Bytes, io::Error>>;

/// How much of a blob is read at a time.
const PIECE: usize = 128 << 10;

/// How many pieces are read before they are asked for: while one leaves, the next one comes from the disk. A reader holds so many.
const AHEAD: usize = 2;

pub(crate) const DOCKER_CONTENT_DIGEST: HeaderName = HeaderName::from_static("docker-content-digest");

/// No body.
pub(crate) fn empty(status: StatusCode) -> Answer {
    let mut answer = Response::new(Empty::new().map_err(|never| match never {}).boxed_unsync());
    *answer.status_mut() = status;
    answer
}

/// A body in memory.
pub(crate) fn whole(status: StatusCode, media_type: &str, body: Bytes) -> Answer {
    let length = body.len();
    let mut answer = Response::new(Full::new(body).map_err(|never| match never {}).boxed_unsync());
    *answer.status_mut() = status;
    set(&mut answer, header::CONTENT_TYPE, media_type);
    set(&mut answer, header::CONTENT_LENGTH, &length.to_string());
    answer
}

/// A part of `content`, read while it is sent.
pub(crate) fn streamed(status: StatusCode, content: Arc<dyn Content>, range: Range<u64>) -> Answer {
    let length = range.end - range.start;
    let starts = (range.start..range.end).step_by(PIECE);
    let pieces = stream::iter(starts).map(move |start| {
        let wanted = usize::try_from(range.end - start).unwrap_or(PIECE).min(PIECE);
        let source = content.clone();
        let read = tokio::task::spawn_blocking(move || source.read_at(start, wanted));
        async move {
            let piece = read.await.map_err(io::Error::other)??;
            if piece.len() == wanted { Ok(Frame::data(piece)) } else { Err(io::ErrorKind::UnexpectedEof.into()) }
        }
    });
    let pieces = pieces.buffered(AHEAD);
    let mut answer = Response::new(BodyExt::boxed_unsync(StreamBody::new(pieces)));
    *answer.status_mut() = status;
    set(&mut answer, header::CONTENT_TYPE, "application/octet-stream");
    set(&mut answer, header::CONTENT_LENGTH, &length.to_string());
    answer
}

/// Sets a header. Values are made of digests, numbers and checked names; one that is no header value is left out.
pub(crate) fn set(answer: &mut Answer, name: HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        answer.headers_mut().insert(name, value);
    }
}

/// The entity tag of what has this digest (RFC 9110, 8.8.3).
pub(crate) fn etag(digest: &Digest) -> String {
    format!("\"{digest}\"")
}

/// Says which content this is, or was created.
pub(crate) fn identify(answer: &mut Answer, digest: &Digest) {
    set(answer, DOCKER_CONTENT_DIGEST, &digest.to_string());
    set(answer, header::ETAG, &etag(digest));
}

/// 201 with the place and the digest of what was created.
pub(crate) fn created(location: &str, digest: &Digest) -> Answer {
    let mut answer = empty(StatusCode::CREATED);
    set(&mut answer, header::LOCATION, location);
    identify(&mut answer, digest);
    answer
}
