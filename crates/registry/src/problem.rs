//! What a client is told when it does not get what it asked for, in the specification's JSON ("Error Codes").

use std::io::{self, ErrorKind};

use http::StatusCode;
use http::header::{self, HeaderName, HeaderValue};
use schleuse_model::{Digest, json};
use serde::Serialize;

use crate::answer::{self, Answer};
use crate::error::Error;

/// A refusal: status, code of the specification, and a sentence.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Problem {
    status: StatusCode,
    code: &'static str,
    message: String,
    headers: Vec<(HeaderName, String)>,
}

#[derive(Serialize)]
struct Document<'a> {
    errors: [Entry<'a>; 1],
}

#[derive(Serialize)]
struct Entry<'a> {
    code: &'a str,
    message: &'a str,
}

impl Problem {
    fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        Self { status, code, message: message.into(), headers: Vec::new() }
    }

    pub(crate) fn with(mut self, name: HeaderName, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    pub(crate) fn no_such_path() -> Self {
        Self::new(StatusCode::NOT_FOUND, "UNSUPPORTED", "there is no such endpoint")
    }

    pub(crate) fn method() -> Self {
        Self::new(StatusCode::METHOD_NOT_ALLOWED, "UNSUPPORTED", "this endpoint does not know that method")
    }

    pub(crate) fn name_invalid(name: &str) -> Self {
        let shown: String = name.chars().filter(|c| !c.is_control()).take(80).collect();
        Self::new(StatusCode::BAD_REQUEST, "NAME_INVALID", format!("`{shown}` is not the name of a repository"))
    }

    pub(crate) fn name_unknown() -> Self {
        Self::new(StatusCode::NOT_FOUND, "NAME_UNKNOWN", "there is no such repository")
    }

    pub(crate) fn digest_invalid(message: &str) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "DIGEST_INVALID", message)
    }

    pub(crate) fn wrong_digest(expected: &Digest, actual: &Digest) -> Self {
        Self::digest_invalid(&format!("the content has the digest {actual}, not {expected}"))
    }

    pub(crate) fn blob_unknown() -> Self {
        Self::new(StatusCode::NOT_FOUND, "BLOB_UNKNOWN", "this repository has no such blob")
    }

    pub(crate) fn manifest_unknown() -> Self {
        Self::new(StatusCode::NOT_FOUND, "MANIFEST_UNKNOWN", "this repository has no such manifest")
    }

    pub(crate) fn manifest_invalid(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "MANIFEST_INVALID", message)
    }

    /// The manifest names content that this repository does not have.
    pub(crate) fn manifest_blob_unknown(digest: &Digest) -> Self {
        let message = format!("the manifest names {digest}, which this repository does not have");
        Self::new(StatusCode::BAD_REQUEST, "MANIFEST_BLOB_UNKNOWN", message)
    }

    pub(crate) fn upload_unknown() -> Self {
        Self::new(StatusCode::NOT_FOUND, "BLOB_UPLOAD_UNKNOWN", "there is no such upload")
    }

    pub(crate) fn upload_invalid(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "BLOB_UPLOAD_INVALID", message)
    }

    pub(crate) fn upload_busy() -> Self {
        Self::new(StatusCode::CONFLICT, "BLOB_UPLOAD_INVALID", "another request is writing to this upload")
    }

    pub(crate) fn too_many_uploads() -> Self {
        let message = "too many uploads are in progress";
        Self::new(StatusCode::TOO_MANY_REQUESTS, "TOOMANYREQUESTS", message).with(header::RETRY_AFTER, "5")
    }

    pub(crate) fn too_many_logins() -> Self {
        let message = "too many logins are being checked";
        Self::new(StatusCode::TOO_MANY_REQUESTS, "TOOMANYREQUESTS", message).with(header::RETRY_AFTER, "5")
    }

    /// The specification's answer to what a registry does not do at all.
    pub(crate) fn read_only() -> Self {
        Self::new(StatusCode::METHOD_NOT_ALLOWED, "UNSUPPORTED", "this registry is read-only")
            .with(header::ALLOW, "GET, HEAD")
    }

    pub(crate) fn range() -> Self {
        Self::new(StatusCode::RANGE_NOT_SATISFIABLE, "RANGE_INVALID", "the range does not fit")
    }

    pub(crate) fn size(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "SIZE_INVALID", message)
    }

    pub(crate) fn too_large(limit: u64) -> Self {
        let message = format!("at most {limit} bytes are accepted");
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, "SIZE_INVALID", message)
    }

    pub(crate) fn body(message: &str) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "SIZE_INVALID", format!("the body did not arrive: {message}"))
    }

    pub(crate) fn stalled() -> Self {
        Self::new(StatusCode::REQUEST_TIMEOUT, "SIZE_INVALID", "the body stopped arriving")
    }

    pub(crate) fn unauthorized() -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "UNAUTHORIZED", "a login is needed")
            .with(header::WWW_AUTHENTICATE, "Basic realm=\"schleuse\"")
    }

    /// RFC 9110, 414: they stand in the address.
    pub(crate) fn too_many_tags(limit: usize) -> Self {
        let message = format!("one push sets at most {limit} tags");
        Self::new(StatusCode::URI_TOO_LONG, "UNSUPPORTED", message)
    }

    pub(crate) fn condition_with_tags() -> Self {
        let message = "a condition and the parameter `tag` do not go together: put the manifest by that tag";
        Self::new(StatusCode::BAD_REQUEST, "UNSUPPORTED", message)
    }

    pub(crate) fn condition_malformed() -> Self {
        let message = "If-Match and If-None-Match take `*` or quoted digests";
        Self::new(StatusCode::BAD_REQUEST, "UNSUPPORTED", message)
    }

    /// RFC 9110, 412. The code is ours: the specification has none, as it knows no conditions.
    pub(crate) fn precondition(current: Option<&Digest>) -> Self {
        let message = match current {
            Some(digest) => format!("the condition does not hold: it is {digest} now"),
            None => "the condition does not hold: there is none now".to_owned(),
        };
        let problem = Self::new(StatusCode::PRECONDITION_FAILED, "PRECONDITION_FAILED", message);
        match current {
            Some(digest) => problem.with(header::ETAG, answer::etag(digest)),
            None => problem,
        }
    }

    pub(crate) fn ended() -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "UNKNOWN", "the request could not be completed")
    }

    /// The answer. A reply to HEAD has no body; the server sees to that.
    pub(crate) fn into_answer(self) -> Answer {
        let body = json::to_bytes(&Document { errors: [Entry { code: self.code, message: &self.message }] });
        let mut answer = answer::whole(self.status, "application/json", body.into());
        for (name, value) in self.headers {
            if let Ok(value) = HeaderValue::from_str(&value) {
                answer.headers_mut().insert(name, value);
            }
        }
        answer
    }
}

impl From<Error> for Problem {
    /// Clients are not told the paths of our files, only the kind of trouble.
    fn from(error: Error) -> Self {
        let message = match &error {
            Error::Storage { action, source, .. } => format!("the storage failed: cannot {action}: {}", source.kind()),
            Error::Damaged { reason, .. } => format!("the stored content is damaged: {reason}"),
            _ => error.to_string(),
        };
        // RFC 4918, 11.5: the client's request was sound, and the next one may be served again.
        let full = |source: &io::Error| {
            matches!(source.kind(), ErrorKind::StorageFull | ErrorKind::QuotaExceeded | ErrorKind::FileTooLarge)
        };
        let status = match &error {
            Error::Storage { source, .. } if full(source) => StatusCode::INSUFFICIENT_STORAGE,
            _ => StatusCode::INTERNAL_SERVER_ERROR,
        };
        Self::new(status, "UNKNOWN", message)
    }
}
