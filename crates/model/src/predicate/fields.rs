//! A walk through a predicate that always knows where it is, so that an error can name the field.
//!
//! Serde's own messages name neither the path nor, for a missing field, the object it is missing from, and they quote the
//! document. Values stay unparsed until somebody asks for them: of an SBOM of many megabytes only the head is ever held in pieces.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use super::kind::is_uri;
use super::{PredicateError, PredicateKind};
use crate::{Timestamp, json};

/// The fields of one object of a predicate. A field that is `null` counts as absent.
pub(super) struct Fields<'a> {
    kind: PredicateKind,
    /// Where the object stands; empty for the predicate itself.
    path: String,
    fields: BTreeMap<String, &'a RawValue>,
}

type Result<T> = std::result::Result<T, PredicateError>;

impl<'a> Fields<'a> {
    /// The predicate's own fields.
    pub(super) fn of(kind: PredicateKind, predicate: &'a [u8], limit: usize) -> Result<Self> {
        match json::from_untrusted(predicate, limit) {
            Ok(fields) => Ok(Self { kind, path: String::new(), fields }),
            // Serde's message about a document of another type quotes it; that about one that is not JSON does not.
            Err(_) => Err(match json::from_untrusted::<&RawValue>(predicate, limit) {
                Ok(_) => PredicateError::NotAnObject { kind },
                Err(source) => PredicateError::Unreadable { kind, source },
            }),
        }
    }

    /// A required object.
    pub(super) fn object(&self, name: &str) -> Result<Self> {
        self.optional_object(name)?.ok_or_else(|| self.missing(name))
    }

    /// An object, if it is there.
    pub(super) fn optional_object(&self, name: &str) -> Result<Option<Self>> {
        let fields = self.optional(name, "an object")?;
        Ok(fields.map(|fields| Self { kind: self.kind.clone(), path: self.path_of(name), fields }))
    }

    /// A required list of objects. It may be empty.
    pub(super) fn objects(&self, name: &str) -> Result<Vec<Self>> {
        self.optional_objects(name)?.ok_or_else(|| self.missing(name))
    }

    /// A list of objects, if it is there.
    pub(super) fn optional_objects(&self, name: &str) -> Result<Option<Vec<Self>>> {
        let Some(values) = self.optional::<Vec<&RawValue>>(name, "a list of objects")? else { return Ok(None) };
        let object = |(index, value)| match parse(value) {
            Some(fields) => {
                Ok(Self { kind: self.kind.clone(), path: format!("{}[{index}]", self.path_of(name)), fields })
            }
            None => Err(self.wrong(&format!("{name}[{index}]"), "an object")),
        };
        values.into_iter().enumerate().map(object).collect::<Result<_>>().map(Some)
    }

    /// A required text, not empty.
    pub(super) fn text(&self, name: &str) -> Result<String> {
        self.optional_text(name)?.filter(|text| !text.is_empty()).ok_or_else(|| self.missing(name))
    }

    /// A text, if it is there.
    pub(super) fn optional_text(&self, name: &str) -> Result<Option<String>> {
        self.optional(name, "a text")
    }

    /// A required URI (RFC 3986, with its scheme).
    pub(super) fn uri(&self, name: &str) -> Result<String> {
        let text = self.text(name)?;
        if is_uri(&text) { Ok(text) } else { Err(self.wrong(name, "a URI")) }
    }

    /// A required time.
    pub(super) fn time(&self, name: &str) -> Result<Timestamp> {
        self.required(name, "a time such as 2026-11-23T20:11:33Z")
    }

    /// A required value of any type that `T` says; `expected` ends the sentence "… is not".
    pub(super) fn required<T: Deserialize<'a>>(&self, name: &str, expected: &'static str) -> Result<T> {
        self.optional(name, expected)?.ok_or_else(|| self.missing(name))
    }

    /// The same, if it is there.
    pub(super) fn optional<T: Deserialize<'a>>(&self, name: &str, expected: &'static str) -> Result<Option<T>> {
        let Some(value) = self.fields.get(name).filter(|value| value.get() != "null") else { return Ok(None) };
        parse(value).map(Some).ok_or_else(|| self.wrong(name, expected))
    }

    /// The error that `name` is absent.
    pub(super) fn missing(&self, name: &str) -> PredicateError {
        PredicateError::Missing { kind: self.kind.clone(), path: self.path_of(name) }
    }

    /// The error that `name` is not `expected`.
    pub(super) fn wrong(&self, name: &str, expected: &'static str) -> PredicateError {
        PredicateError::Wrong { kind: self.kind.clone(), path: self.path_of(name), expected }
    }

    fn path_of(&self, name: &str) -> String {
        if self.path.is_empty() { name.to_owned() } else { format!("{}.{name}", self.path) }
    }
}

/// A part of a document that was measured and searched for duplicate keys as a whole before; so its own size is its limit.
fn parse<'a, T: Deserialize<'a>>(value: &'a RawValue) -> Option<T> {
    json::from_untrusted(value.get().as_bytes(), value.get().len()).ok()
}

/// Reads `null` like an absent field: "unset, null, and empty field values MUST be interpreted equivalently" (SLSA 1.0 provenance,
/// Parsing rules).
pub(super) fn null_is_default<'de, D, T>(deserializer: D) -> std::result::Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Default + Deserialize<'de>,
{
    Option::<T>::deserialize(deserializer).map(Option::unwrap_or_default)
}
