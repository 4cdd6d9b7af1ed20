//! Reading what a registry means: is it "not there", a refusal, or no answer at all?

use bytes::Bytes;
use http::{HeaderMap, HeaderName, StatusCode, header};
use schleuse_model::{Digest, json};
use schleuse_oci::Error;
use serde::Deserialize;

use crate::text::printable;

/// How much of an error's body is read.
pub(crate) const MESSAGE_LIMIT: usize = 64 << 10;
/// How much of it is shown, in characters.
const SHOWN: usize = 300;

/// A registry's whole answer.
#[derive(Debug)]
pub(crate) struct Answer {
    /// The host that answered.
    pub(crate) host: String,
    /// What was asked for.
    pub(crate) what: String,
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    /// The body; of an answer that is no success only the first [`MESSAGE_LIMIT`] bytes.
    pub(crate) body: Bytes,
    /// Whether another host than the registry gave it.
    pub(crate) foreign: bool,
}

/// distribution-spec, "Error Codes".
#[derive(Debug, Deserialize)]
struct Envelope {
    errors: Vec<OciError>,
}

#[derive(Debug, Deserialize)]
struct OciError {
    #[serde(default)]
    code: String,
    #[serde(default)]
    message: String,
}

impl Answer {
    /// Whether a 404 to a GET is the registry's word that there is no such thing: an empty body, or an error envelope that does
    /// not speak of permissions. A web page is not: proxies and portals answer 404 for things that are there.
    pub(crate) fn says_absent(&self) -> bool {
        if self.status != StatusCode::NOT_FOUND || self.foreign {
            return false;
        }
        if self.body.iter().all(u8::is_ascii_whitespace) {
            return !is_page(&self.headers);
        }
        self.envelope().is_some_and(|envelope| {
            !envelope.errors.iter().any(|error| {
                matches!(error.code.as_str(), "UNAUTHORIZED" | "DENIED" | "TOOMANYREQUESTS" | "UNSUPPORTED")
            })
        })
    }

    /// The same for HEAD, which has no body: the headers of a web page give a portal away.
    pub(crate) fn head_says_absent(&self) -> bool {
        self.status == StatusCode::NOT_FOUND && !self.foreign && !is_page(&self.headers)
    }

    /// Whether a refused write means that the tag exists already: 412 (a condition that did not hold), 409, or the 400 of ECR's
    /// immutable repositories.
    pub(crate) fn says_exists(&self) -> bool {
        match self.status {
            StatusCode::PRECONDITION_FAILED | StatusCode::CONFLICT => true,
            StatusCode::BAD_REQUEST => self.envelope().is_some_and(|envelope| {
                envelope.errors.iter().any(|error| {
                    error.code.starts_with("ImageTagAlreadyExists")
                        || error.message.contains("ImageTagAlreadyExists")
                        || (error.code == "TAG_INVALID" && error.message.contains("already exists"))
                })
            }),
            _ => false,
        }
    }

    /// Whether a refused DELETE means that this registry does not delete such a thing: 405 by name; 400 or 404 with
    /// `UNSUPPORTED`; and `DIGEST_INVALID` to a tag, by which docker-registry 2.8 says that it takes digests only.
    pub(crate) fn says_undeletable(&self, by_tag: bool) -> bool {
        match self.status {
            StatusCode::METHOD_NOT_ALLOWED => true,
            StatusCode::BAD_REQUEST | StatusCode::NOT_FOUND => self.envelope().is_some_and(|envelope| {
                let tags_are_no_digests = by_tag && self.status == StatusCode::BAD_REQUEST;
                envelope
                    .errors
                    .iter()
                    .any(|error| error.code == "UNSUPPORTED" || (tags_are_no_digests && error.code == "DIGEST_INVALID"))
            }),
            _ => false,
        }
    }

    /// docker-registry, while another client uploads a blob again that this manifest names: it writes the blob's link file
    /// anew, not at once, and takes the half written one for an invalid digest. The manifest's digest is ours and right.
    pub(crate) fn says_half_written(&self) -> bool {
        self.status == StatusCode::BAD_REQUEST
            && self
                .envelope()
                .is_some_and(|envelope| envelope.errors.iter().any(|error| error.code == "DIGEST_INVALID"))
    }

    /// The error for an answer that is none of those foreseen.
    pub(crate) fn unexpected(&self) -> Error {
        self.unexpected_because(&self.message())
    }

    /// The same, with our own reason. That it is a web page is reason enough.
    pub(crate) fn unexpected_because(&self, message: &str) -> Error {
        if self.is_web_page() {
            return Error::WebPage { host: self.host.clone(), what: self.what.clone(), status: self.status.as_u16() };
        }
        Error::Unexpected {
            host: self.host.clone(),
            what: self.what.clone(),
            status: self.status.as_u16(),
            message: message.to_owned(),
        }
    }

    /// What the registry said, short and printable.
    pub(crate) fn message(&self) -> String {
        if let Some(first) = self.envelope().and_then(|envelope| envelope.errors.into_iter().next()) {
            return match (first.code.as_str(), first.message.as_str()) {
                ("", message) => printable(message, SHOWN),
                (code, "") => printable(code, SHOWN),
                (code, message) => printable(&format!("{code}: {message}"), SHOWN),
            };
        }
        let text = printable(&String::from_utf8_lossy(&self.body), SHOWN);
        if text.is_empty() { self.status.canonical_reason().unwrap_or("no message").to_owned() } else { text }
    }

    /// Whether a person was meant to read it.
    pub(crate) fn is_web_page(&self) -> bool {
        let start = self.body.trim_ascii_start();
        let starts = |with: &[u8]| start.get(..with.len()).is_some_and(|start| start.eq_ignore_ascii_case(with));
        is_html(&self.headers) || starts(b"<!doctype html") || starts(b"<html")
    }

    fn envelope(&self) -> Option<Envelope> {
        json::from_untrusted(&self.body, MESSAGE_LIMIT).ok()
    }

    /// Compares `Docker-Content-Digest`, where there is one, with the content. It may be of another algorithm than the digest
    /// that we know, so it is compared with the bytes.
    ///
    /// # Errors
    /// [`Error::WrongDigest`], or [`Error::Unexpected`] if the header is no digest.
    pub(crate) fn cross_check(&self, bytes: &[u8]) -> Result<Option<Digest>, Error> {
        let Some(told) = self.told_digest()? else { return Ok(None) };
        crate::body::verify(bytes, &told, &self.what)?;
        Ok(Some(told))
    }

    /// `Docker-Content-Digest`.
    pub(crate) fn told_digest(&self) -> Result<Option<Digest>, Error> {
        let Some(value) = self.headers.get(DOCKER_CONTENT_DIGEST) else { return Ok(None) };
        let digest = value.to_str().ok().and_then(|text| text.parse().ok());
        digest.map(Some).ok_or_else(|| self.unexpected_because("its `Docker-Content-Digest` is no digest"))
    }

    /// The media type, without parameters.
    pub(crate) fn media_type(&self) -> Option<String> {
        content_type(&self.headers)
    }
}

pub(crate) const DOCKER_CONTENT_DIGEST: HeaderName = HeaderName::from_static("docker-content-digest");
pub(crate) const OCI_SUBJECT: HeaderName = HeaderName::from_static("oci-subject");

fn content_type(headers: &HeaderMap) -> Option<String> {
    let value = headers.get(header::CONTENT_TYPE)?.to_str().ok()?;
    Some(value.split(';').next().unwrap_or("").trim().to_ascii_lowercase())
}

/// Whether the headers announce a web page. No registry serves blobs or manifests as one.
pub(crate) fn is_html(headers: &HeaderMap) -> bool {
    matches!(content_type(headers).as_deref(), Some("text/html" | "application/xhtml+xml"))
}

/// Whether the headers announce anything but what registries answer errors with: JSON, plain text, or bare bytes.
pub(crate) fn is_page(headers: &HeaderMap) -> bool {
    match content_type(headers) {
        None => headers.contains_key(header::CONTENT_TYPE),
        Some(kind) => {
            let json = kind == "application/json" || kind.ends_with("+json");
            !(json || kind == "text/plain" || kind == "application/octet-stream")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: u16, kind: Option<&str>, body: &'static str) -> Answer {
        let mut headers = HeaderMap::new();
        if let Some(kind) = kind {
            headers.insert(header::CONTENT_TYPE, kind.parse().unwrap());
        }
        Answer {
            host: "r.io".into(),
            what: "it".into(),
            status: StatusCode::from_u16(status).unwrap(),
            headers,
            body: body.into(),
            foreign: false,
        }
    }

    #[test]
    fn what_counts_as_not_there() {
        let json = Some("application/json; charset=utf-8");
        for code in ["NAME_UNKNOWN", "MANIFEST_UNKNOWN", "BLOB_UNKNOWN", "NOT_FOUND"] {
            let body: &'static str =
                format!(r#"{{"errors":[{{"code":"{code}","message":"m","detail":{{}}}}]}}"#).leak();
            assert!(answer(404, json, body).says_absent(), "{code}");
        }
        assert!(answer(404, None, "").says_absent() && answer(404, Some("text/plain"), "\n").says_absent());
        for (status, kind, body) in [
            (404, Some("text/html"), "<html>nginx</html>"),
            (404, Some("text/html"), ""),
            (404, None, "<html>nginx</html>"),
            (404, Some("text/plain"), "404 page not found"),
            (404, json, r#"{"errors":[{"code":"DENIED"}]}"#),
            (404, json, r#"{"errors":[{"code":"MANIFEST_UNKNOWN"}"#),
            (404, json, r#"{"message":"gone"}"#),
            (404, json, r#"{"errors":[],"errors":[{"code":"DENIED"}]}"#),
            (200, json, r#"{"errors":[{"code":"MANIFEST_UNKNOWN"}]}"#),
            (410, None, ""),
        ] {
            assert!(!answer(status, kind, body).says_absent(), "{status} {kind:?} {body}");
        }
        let foreign = Answer { foreign: true, ..answer(404, None, "") };
        assert!(!foreign.says_absent() && !foreign.head_says_absent());
    }

    #[test]
    fn a_web_page_is_called_one() {
        let page = |kind, body| matches!(answer(200, kind, body).unexpected(), Error::WebPage { status: 200, .. });
        assert!(
            page(Some("text/html; charset=utf-8"), "") && page(None, "\n<!DOCTYPE html><p>") && page(None, "<HTML>")
        );
        assert!(!page(Some("application/xml"), "<?xml?>") && !page(None, "<") && !page(Some("application/json"), "{}"));
    }

    #[test]
    fn a_head_is_judged_by_its_headers() {
        assert!(answer(404, None, "").head_says_absent());
        assert!(answer(404, Some("application/json; charset=utf-8"), "").head_says_absent());
        assert!(answer(404, Some("text/plain"), "").head_says_absent());
        assert!(!answer(404, Some("text/html"), "").head_says_absent());
        assert!(!answer(400, None, "").head_says_absent());
    }

    #[test]
    fn what_counts_as_exists() {
        assert!(answer(412, None, "").says_exists() && answer(409, None, "").says_exists());
        let ecr =
            r#"{"errors":[{"code":"TAG_INVALID","message":"The image tag 'v1' already exists and is immutable."}]}"#;
        assert!(answer(400, None, ecr).says_exists());
        assert!(!answer(400, None, r#"{"errors":[{"code":"TAG_INVALID","message":"too long"}]}"#).says_exists());
        assert!(!answer(400, None, "").says_exists() && !answer(201, None, "").says_exists());
    }

    #[test]
    fn what_counts_as_undeletable() {
        let unsupported = r#"{"errors":[{"code":"UNSUPPORTED","message":"m"}]}"#;
        let no_digest = r#"{"errors":[{"code":"DIGEST_INVALID","message":"m"}]}"#;
        let unknown = r#"{"errors":[{"code":"MANIFEST_UNKNOWN","message":"m"}]}"#;
        assert!(answer(405, None, "").says_undeletable(false) && answer(405, None, "").says_undeletable(true));
        assert!(answer(400, None, unsupported).says_undeletable(false));
        assert!(answer(404, None, unsupported).says_undeletable(true));
        assert!(answer(400, None, no_digest).says_undeletable(true));
        assert!(
            !answer(400, None, no_digest).says_undeletable(false)
                && !answer(404, None, no_digest).says_undeletable(true)
        );
        assert!(!answer(404, None, unknown).says_undeletable(true) && !answer(400, None, "").says_undeletable(true));
    }

    #[test]
    fn what_counts_as_half_written() {
        let body =
            r#"{"errors":[{"code":"DIGEST_INVALID","message":"provided digest did not match uploaded content"}]}"#;
        assert!(answer(400, None, body).says_half_written());
        assert!(!answer(404, None, body).says_half_written());
        assert!(!answer(400, None, r#"{"errors":[{"code":"MANIFEST_INVALID","message":"m"}]}"#).says_half_written());
    }

    #[test]
    fn messages_are_short_and_printable() {
        let body = r#"{"errors":[{"code":"DENIED","message":"no\u001b[31m way"}]}"#;
        assert_eq!(answer(403, None, body).message(), "DENIED: no\u{fffd}[31m way");
        let xml = "<?xml version=\"1.0\"?><Error><Code>AccessDenied</Code></Error>";
        assert!(answer(403, Some("application/xml"), xml).message().contains("AccessDenied"));
        assert_eq!(answer(418, None, "").message(), "I'm a teapot");
        let long: &'static str = "x".repeat(9999).leak();
        assert!(answer(500, None, long).message().len() < 310);
    }
}
