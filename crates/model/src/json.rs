//! The one door through which untrusted JSON enters, and the one way JSON that gets hashed is written.
//!
//! Two parsers that disagree about a document are a classic way past a signature (CVE-2017-12635: CouchDB's duplicate `roles`
//! key). So a document with a duplicate key, at any depth, is refused before anything reads it; so is one above its size limit.

use std::collections::HashSet;
use std::fmt;

use serde::de::{DeserializeSeed, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Serialize};

/// Why a JSON document was refused.
#[derive(Debug, thiserror::Error)]
pub enum JsonError {
    /// Larger than the caller's limit.
    #[error("the document has {size} bytes; at most {limit} are read")]
    TooLarge {
        /// Its size in bytes.
        size: usize,
        /// The limit in bytes.
        limit: usize,
    },
    /// Not JSON, a duplicate key, or not of the expected shape.
    #[error("not the expected JSON: {0}")]
    Malformed(String),
}

/// Parses `bytes` into `T`: at most `limit` bytes, no duplicate keys at any depth, nesting at most 128 deep (`serde_json`'s own
/// limit), nothing after the document.
///
/// # Errors
/// [`JsonError`]; the message never repeats the document's values at length.
#[allow(clippy::disallowed_methods, reason = "the one door")]
pub fn from_untrusted<'de, T: Deserialize<'de>>(bytes: &'de [u8], limit: usize) -> Result<T, JsonError> {
    if bytes.len() > limit {
        return Err(JsonError::TooLarge { size: bytes.len(), limit });
    }
    let malformed = |error: serde_json::Error| JsonError::Malformed(clip(&error.to_string()));
    serde_json::from_slice::<NoDuplicates>(bytes).map_err(malformed)?;
    serde_json::from_slice(bytes).map_err(malformed)
}

/// Writes `value` as compact JSON. Struct fields keep their order and maps are `BTreeMap`s throughout the workspace, so the same
/// value always gives the same bytes; this is what gets hashed and signed.
///
/// # Panics
/// Never for the workspace's types: they have string keys and no failing `Serialize`.
#[allow(clippy::expect_used, reason = "our own types: string keys only, no failing Serialize")]
pub fn to_bytes<T: Serialize + ?Sized>(value: &T) -> Vec<u8> {
    serde_json::to_vec(value).expect("own types always serialise")
}

/// Error texts quote the document; it is untrusted, so only a short, printable part is repeated.
fn clip(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).take(300).collect()
}

/// Walks a document and keeps nothing but the keys of the objects it is inside of.
struct NoDuplicates;

impl<'de> Deserialize<'de> for NoDuplicates {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Walk)?;
        Ok(Self)
    }
}

struct Walk;

impl<'de> DeserializeSeed<'de> for Walk {
    type Value = ();
    fn deserialize<D: serde::Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Walk {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }
    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }
    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }
    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }
    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }
    fn visit_str<E>(self, _: &str) -> Result<(), E> {
        Ok(())
    }
    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        while seq.next_element_seed(Walk)?.is_some() {}
        Ok(())
    }
    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let mut seen = HashSet::new();
        while let Some(key) = map.next_key::<String>()? {
            if seen.contains(&key) {
                let shown: String = key.chars().take(64).collect();
                return Err(serde::de::Error::custom(format_args!("the key `{shown}` stands twice in one object")));
            }
            seen.insert(key);
            map.next_value_seed(Walk)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;

    fn refused(text: &str) -> String {
        from_untrusted::<Value>(text.as_bytes(), 1 << 20).unwrap_err().to_string()
    }

    #[test]
    fn duplicate_keys_are_refused_at_every_depth() {
        assert!(refused(r#"{"a":1,"a":2}"#).contains("`a` stands twice"));
        assert!(refused(r#"[{"x":{"k":1,"l":2,"k":3}}]"#).contains("`k` stands twice"));
        // The same key spelled with an escape is the same key.
        assert!(refused(r#"{"role":1,"r\u006fle":2}"#).contains("`role` stands twice"));
        assert!(from_untrusted::<Value>(br#"{"a":{"a":1},"b":{"a":1}}"#, 100).is_ok());
    }

    #[test]
    fn limits() {
        let error = from_untrusted::<Value>(b"[1,2,3]", 6).unwrap_err();
        assert_eq!(error.to_string(), "the document has 7 bytes; at most 6 are read");
        let deep = format!("{}{}", "[".repeat(200), "]".repeat(200));
        assert!(refused(&deep).contains("recursion limit"));
        assert!(refused("{} x").contains("trailing"));
        assert!(refused("").contains("EOF"));
    }
}
