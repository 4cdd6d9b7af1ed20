//! `Content-Range` (RFC 9110 §14.4).

use http::HeaderValue;

/// `bytes <first>-<last>/<size>`; the size may be `*`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ContentRange {
    first: u64,
    last: u64,
    size: Option<u64>,
}

impl ContentRange {
    /// `None`: it is no range of bytes.
    pub(crate) fn parse(value: &HeaderValue) -> Option<Self> {
        let (unit, rest) = value.to_str().ok()?.trim().split_once(' ')?;
        let (range, size) = rest.trim().split_once('/')?;
        let (first, last) = range.split_once('-')?;
        let size = match size.trim() {
            "*" => None,
            size => Some(number(size)?),
        };
        let range = Self { first: number(first)?, last: number(last)?, size };
        let sound = range.first <= range.last && range.size.is_none_or(|size| range.last < size);
        (unit.eq_ignore_ascii_case("bytes") && sound).then_some(range)
    }

    /// Whether it is what follows the first `have` bytes of a content of `size`, up to its end.
    pub(crate) fn is_rest_of(self, have: u64, size: u64) -> bool {
        self.first == have && self.last.checked_add(1) == Some(size) && self.size.is_none_or(|said| said == size)
    }
}

/// Digits only: `str::parse` would take a sign.
fn number(text: &str) -> Option<u64> {
    let text = text.trim();
    (!text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())).then(|| text.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Any header is read without a panic; a range that was written is read, and is the rest only of what it is the rest of.
        #[test]
        fn any_range(text in "[bytes 0-9/*+-]{0,30}", first in 0u64..50, last in 0u64..50, size in 0u64..50) {
            let _ = text.parse().map(|value: HeaderValue| ContentRange::parse(&value));
            let read = parse(&format!("bytes {first}-{last}/{size}"));
            prop_assert_eq!(read.is_some(), first <= last && last < size);
            if let Some(range) = read {
                prop_assert_eq!(range.is_rest_of(first, size), last + 1 == size);
                prop_assert!(!range.is_rest_of(first + 1, size) && !range.is_rest_of(first, size + 1));
            }
        }
    }

    fn parse(text: &str) -> Option<ContentRange> {
        ContentRange::parse(&text.parse().unwrap())
    }

    #[test]
    fn the_rest_and_nothing_else() {
        let rest = |text: &str| parse(text).is_some_and(|range| range.is_rest_of(5, 10));
        assert!(rest("bytes 5-9/10") && rest("bytes 5-9/*") && rest("Bytes 5-9/10"));
        for other in ["bytes 4-9/10", "bytes 5-8/10", "bytes 5-9/11", "bytes 0-9/10", "bytes 6-9/10", "bytes 5-10/11"] {
            assert!(!rest(other), "{other}");
        }
    }

    #[test]
    fn nonsense_is_no_range() {
        for text in [
            "",
            "bytes",
            "bytes */10",
            "bytes 5-9",
            "bytes 9-5/10",
            "bytes 5-9/9",
            "bytes -5-9/10",
            "bytes +5-9/10",
            "lines 5-9/10",
            "bytes 5-99999999999999999999/*",
            "bytes 5-9/ten",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
