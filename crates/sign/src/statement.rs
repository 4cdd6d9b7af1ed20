//! in-toto statements (<https://github.com/in-toto/attestation>, v1): "about these digests, somebody says this".
//!
//! Version 1 is written; 0.1 is read as well, since cosign's `attest` still writes it. Fields we do not know are ignored, as the
//! specification demands of a consumer; the predicate is handed on as the exact bytes that were signed.

use std::collections::BTreeMap;
use std::fmt;

use bytes::Bytes;
use schleuse_model::predicate::COSIGN_SIGN_V1;
use schleuse_model::{Digest, json};
use schleuse_oci::media_type;
use serde::de::{IgnoredAny, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::value::RawValue;

use crate::dsse::Envelope;
use crate::error::{Error, Malformed};
use crate::keys::Signer;
use crate::texts;

/// What we write.
pub const STATEMENT_V1: &str = "https://in-toto.io/Statement/v1";
/// What cosign's `attest` writes.
pub const STATEMENT_V01: &str = "https://in-toto.io/Statement/v0.1";
/// The most subjects that are read.
pub const SUBJECTS_LIMIT: usize = 1024;
/// The longest predicate type that is read, in bytes.
pub const PREDICATE_TYPE_LIMIT: usize = 512;

const WHAT: &str = "in-toto statement";

/// A statement and the exact bytes it was read from, or will be signed as.
#[derive(Clone, Debug)]
pub struct Statement {
    payload: Bytes,
    predicate_type: String,
    subjects: Vec<Subject>,
    predicate: Bytes,
}

/// What a statement is about.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Subject {
    /// A name, for people. Nothing is decided by it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub name: Option<String>,
    /// Algorithm and lower-case hex digits.
    pub digest: BTreeMap<String, String>,
    /// What the signer wrote beside it, as far as it is text.
    #[serde(skip_serializing_if = "Option::is_none", default, deserialize_with = "texts::optional")]
    pub annotations: Option<BTreeMap<String, String>>,
}

impl Subject {
    /// The digests of algorithms that we know.
    pub fn digests(&self) -> impl Iterator<Item = Digest> {
        self.digest.iter().filter_map(|(algorithm, hex)| format!("{algorithm}:{hex}").parse().ok())
    }

    fn is(&self, digest: &Digest) -> bool {
        self.digest.get(digest.algorithm().name()).is_some_and(|hex| hex == digest.hex())
    }
}

#[derive(Deserialize)]
struct Read<'a> {
    #[serde(rename = "_type")]
    kind: String,
    #[serde(default)]
    subject: Subjects,
    #[serde(rename = "predicateType", default)]
    predicate_type: String,
    #[serde(borrow, default)]
    predicate: Option<&'a RawValue>,
}

/// The first [`SUBJECTS_LIMIT`] subjects and how many there are: a subject in memory has many times the size of its text, so that
/// what will be refused is counted and not kept.
#[derive(Default)]
struct Subjects {
    kept: Vec<Subject>,
    found: usize,
}

impl<'de> Deserialize<'de> for Subjects {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_seq(Self::default())
    }
}

impl<'de> Visitor<'de> for Subjects {
    type Value = Self;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of subjects")
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut seq: A) -> Result<Self, A::Error> {
        while self.kept.len() < SUBJECTS_LIMIT
            && let Some(subject) = seq.next_element()?
        {
            self.kept.push(subject);
        }
        self.found = self.kept.len();
        while seq.next_element::<IgnoredAny>()?.is_some() {
            self.found += 1;
        }
        Ok(self)
    }
}

#[derive(Serialize)]
struct Write<'a> {
    #[serde(rename = "_type")]
    kind: &'a str,
    subject: [WriteSubject<'a>; 1],
    #[serde(rename = "predicateType")]
    predicate_type: &'a str,
    predicate: &'a RawValue,
}

#[derive(Serialize)]
struct WriteSubject<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'a str>,
    digest: BTreeMap<&'a str, &'a str>,
    /// cosign 3 writes an empty object beside a signature's subject where there are none; so do we.
    #[serde(skip_serializing_if = "Option::is_none")]
    annotations: Option<&'a BTreeMap<String, String>>,
}

impl Statement {
    /// A statement of `predicate_type` about `digest`, which people know as `name`; `predicate` is JSON, an object, and goes in as
    /// it is.
    ///
    /// # Errors
    /// If `predicate` is not one JSON object without duplicate keys, or `predicate_type` is empty or too long.
    pub fn new(
        predicate_type: &str,
        name: impl AsRef<str>,
        digest: &Digest,
        predicate: impl AsRef<[u8]>,
    ) -> Result<Self, Malformed> {
        Self::write(predicate_type, Some(name.as_ref()), digest, predicate.as_ref(), None)
    }

    /// cosign 3's "this digest is signed": predicate type `sign/v1`, empty predicate, no name, the annotations at the subject.
    ///
    /// # Errors
    /// None in practice.
    pub fn signature(digest: &Digest, annotations: &BTreeMap<String, String>) -> Result<Self, Malformed> {
        Self::write(COSIGN_SIGN_V1, None, digest, b"{}", Some(annotations))
    }

    fn write(
        predicate_type: &str,
        name: Option<&str>,
        digest: &Digest,
        predicate: &[u8],
        annotations: Option<&BTreeMap<String, String>>,
    ) -> Result<Self, Malformed> {
        let raw: &RawValue = json::from_untrusted(predicate, predicate.len()).map_err(Malformed::json("predicate"))?;
        let subject =
            WriteSubject { name, digest: BTreeMap::from([(digest.algorithm().name(), digest.hex())]), annotations };
        let payload = json::to_bytes(&Write { kind: STATEMENT_V1, subject: [subject], predicate_type, predicate: raw });
        let limit = payload.len();
        Self::parse(payload.into(), limit)
    }

    /// Reads a statement of at most `limit` bytes.
    ///
    /// # Errors
    /// If it is malformed, of another version, without subject, digest or predicate type, or its predicate is not an object.
    pub fn parse(payload: Bytes, limit: usize) -> Result<Self, Malformed> {
        let read: Read<'_> = json::from_untrusted(&payload, limit).map_err(Malformed::json(WHAT))?;
        if ![STATEMENT_V1, STATEMENT_V01].contains(&read.kind.as_str()) {
            return Err(Malformed::kind(WHAT, &read.kind));
        }
        let lacks = |part| Malformed::Lacks { what: WHAT, part };
        let Subjects { kept: subjects, found } = read.subject;
        if subjects.is_empty() {
            return Err(lacks("subject"));
        }
        if found > SUBJECTS_LIMIT {
            return Err(Malformed::TooMany { what: WHAT, part: "subjects", found, limit: SUBJECTS_LIMIT });
        }
        if subjects.iter().any(|subject| subject.digest.is_empty()) {
            return Err(lacks("digest for one of its subjects"));
        }
        if read.predicate_type.is_empty() || read.predicate_type.len() > PREDICATE_TYPE_LIMIT {
            return Err(lacks("predicate type of 1 to 512 bytes"));
        }
        let predicate = match read.predicate {
            Some(raw) if raw.get().starts_with('{') => payload.slice_ref(raw.get().as_bytes()),
            // v1 makes the predicate optional; reading it as empty keeps that case out of every judge.
            None => Bytes::from_static(b"{}"),
            Some(_) => return Err(lacks("predicate that is an object")),
        };
        Ok(Self { predicate_type: read.predicate_type, subjects, predicate, payload })
    }

    /// The exact bytes.
    pub const fn payload(&self) -> &Bytes {
        &self.payload
    }

    /// What kind of thing it says.
    pub fn predicate_type(&self) -> &str {
        &self.predicate_type
    }

    /// What it says: a JSON object, exactly as signed. Read it through `schleuse_model::json::from_untrusted`.
    pub fn predicate_bytes(&self) -> &[u8] {
        &self.predicate
    }

    /// What it is about.
    pub fn subjects(&self) -> &[Subject] {
        &self.subjects
    }

    /// Whether one of its subjects has exactly this digest.
    pub fn is_about(&self, digest: &Digest) -> bool {
        self.subjects.iter().any(|subject| subject.is(digest))
    }

    /// What the signer wrote beside the subject that has this digest: the annotations that are text.
    pub fn annotations(&self, digest: &Digest) -> BTreeMap<String, String> {
        let subject = self.subjects.iter().find(|subject| subject.is(digest));
        subject.and_then(|subject| subject.annotations.clone()).unwrap_or_default()
    }
}

/// Two statements are the same if their bytes are.
impl PartialEq for Statement {
    fn eq(&self, other: &Self) -> bool {
        self.payload == other.payload
    }
}

impl Eq for Statement {}

/// Signs `statement` and returns the DSSE envelope as JSON.
///
/// # Errors
/// If the signer does not sign.
pub fn sign_statement(signer: &dyn Signer, statement: &Statement) -> Result<Vec<u8>, Error> {
    Ok(envelope(signer, statement)?.to_bytes())
}

pub(crate) fn envelope(signer: &dyn Signer, statement: &Statement) -> Result<Envelope, Error> {
    Ok(Envelope::sign(media_type::IN_TOTO, statement.payload.clone(), signer)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Statement, Malformed> {
        Statement::parse(text.to_owned().into(), 4096)
    }

    #[test]
    fn a_signature_is_byte_for_byte_cosign_s() {
        let statement = Statement::signature(&Digest::sha256(b""), &BTreeMap::new()).unwrap();
        assert_eq!(
            std::str::from_utf8(statement.payload()).unwrap(),
            concat!(
                r#"{"_type":"https://in-toto.io/Statement/v1","subject":[{"digest":{"sha256":"#,
                r#""e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},"annotations":{}}],"#,
                r#""predicateType":"https://sigstore.dev/cosign/sign/v1","predicate":{}}"#
            )
        );
    }

    #[test]
    fn the_predicate_keeps_its_bytes() {
        let predicate = br#"{"z": 1.0, "a" :"\u00e4"}"#;
        let statement = Statement::new("t", "ghcr.io/acme/billing", &Digest::sha256(b""), predicate).unwrap();
        assert_eq!(statement.predicate_bytes(), predicate);
        let again = Statement::parse(statement.payload().clone(), 4096).unwrap();
        assert_eq!(again.predicate_bytes(), predicate);
        assert!(again.is_about(&Digest::sha256(b"")) && !again.is_about(&Digest::sha256(b"x")));
    }

    #[test]
    fn required_fields() {
        let good = r#"{"_type":"https://in-toto.io/Statement/v0.1","subject":[{"name":"x","digest":{"sha256":"00"}}],"predicateType":"t"}"#;
        assert_eq!(parse(good).unwrap().predicate_bytes(), b"{}");
        for (from, to, why) in [
            ("v0.1", "v2", "`https://in-toto.io/Statement/v2`, which is not supported"),
            (r#"[{"name":"x","digest":{"sha256":"00"}}]"#, "[]", "no subject"),
            (r#"{"sha256":"00"}"#, "{}", "no digest"),
            (r#","predicateType":"t""#, "", "no predicate type"),
            (r#""predicateType":"t""#, r#""predicateType":"t","predicate":[]"#, "no predicate that is an object"),
            (r#""predicateType":"t""#, r#""predicateType":"t","predicateType":"u""#, "stands twice"),
            (r#""predicateType":"t""#, r#""predicateType":"t","predicate":{"a":{"b":1,"b":2}}"#, "stands twice"),
        ] {
            let text = good.replace(from, to);
            assert_ne!(text, good, "{from}");
            let error = parse(&text).unwrap_err().to_string();
            assert!(error.contains(why), "{error}");
        }
        let many =
            good.replace(r#"[{"name"#, &format!("[{}{}", r#"{"digest":{"sha256":"00"}},"#.repeat(1024), r#"{"name"#));
        let error = Statement::parse(many.into(), 1 << 20).unwrap_err();
        assert_eq!(error.to_string(), "the in-toto statement has 1025 subjects; at most 1024 are read");
    }

    #[test]
    fn what_is_no_object_is_not_signed() {
        for bad in [&b"[]"[..], b"", b"{} {}", br#"{"a":1,"a":2}"#] {
            assert!(Statement::new("t", "n", &Digest::sha256(b""), bad).is_err());
        }
        assert!(Statement::new("", "n", &Digest::sha256(b""), b"{}").is_err());
    }
}
