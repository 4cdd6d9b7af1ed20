//! Byte ranges: `Range` of a download (RFC 9110, section 14) and `Content-Range` of an uploaded chunk (distribution-spec).

use std::ops::Range;

/// What a `Range` header asks of content of `length` bytes.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Wanted {
    /// No range, or a unit or a list of ranges that we do not serve, which RFC 9110 lets us ignore.
    Whole,
    /// One range.
    Part(Range<u64>),
    /// Beyond the end, or its end before its beginning (RFC 9110, 14.2, lets us refuse that; the conformance suite asks for it).
    Nothing,
}

pub(crate) fn wanted(header: Option<&str>, length: u64) -> Wanted {
    let Some((first, last)) = header.and_then(|text| text.strip_prefix("bytes=")?.split_once('-')) else {
        return Wanted::Whole;
    };
    let (start, end) = match (number(first), number(last)) {
        (Some(first), _) if last.is_empty() => (first, length),
        (Some(first), Some(last)) => (first, last.saturating_add(1).min(length)),
        (None, Some(suffix)) if first.is_empty() => (length.saturating_sub(suffix), length),
        _ => return Wanted::Whole,
    };
    if start < end { Wanted::Part(start..end) } else { Wanted::Nothing }
}

/// `<first>-<last>` of a chunk, both inclusive, with or without a unit and a total as RFC 9110 would have it.
pub(crate) fn chunk(text: &str) -> Option<Range<u64>> {
    let text = text.strip_prefix("bytes").map_or(text, |rest| rest.trim_start_matches(['=', ' ']));
    let text = text.split_once('/').map_or(text, |(range, _)| range);
    let (first, last) = text.split_once('-')?;
    let (first, last) = (number(first)?, number(last)?);
    (first <= last).then(|| first..last.saturating_add(1))
}

/// Digits only: `parse` alone would take a sign.
fn number(text: &str) -> Option<u64> {
    text.bytes().all(|b| b.is_ascii_digit()).then(|| text.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Whatever is asked, what is served lies within the content; a range that is in it is served as asked.
        #[test]
        fn a_part_lies_within(header in "(bytes)?=?[0-9]{0,21}-?[0-9]{0,21}[,;a-z -]{0,3}", length in any::<u64>()) {
            if let Wanted::Part(part) = wanted(Some(&header), length) {
                prop_assert!(part.start < part.end && part.end <= length);
            }
        }

        #[test]
        fn a_range_that_fits_is_served(length in 1..u64::MAX, a in any::<u64>(), b in any::<u64>()) {
            let (first, last) = (a % length, b % length);
            let (first, last) = (first.min(last), first.max(last));
            prop_assert_eq!(wanted(Some(&format!("bytes={first}-{last}")), length), Wanted::Part(first..last + 1));
            prop_assert_eq!(wanted(Some(&format!("bytes={first}-")), length), Wanted::Part(first..length));
            let forms = [format!("{first}-{last}"), format!("bytes {first}-{last}/*"), format!("bytes={first}-{last}/9")];
            for form in forms {
                prop_assert_eq!(chunk(&form), Some(first..last + 1));
            }
        }

        #[test]
        fn a_chunk_has_bytes(text in "(bytes)?[ =]?.{0,50}|[0-9]{0,21}-[0-9]{0,21}(/.{0,5})?") {
            if let Some(chunk) = chunk(&text) {
                prop_assert!(chunk.start < chunk.end);
            }
        }
    }

    #[test]
    fn downloads() {
        for (header, expected) in [
            ("bytes=0-0", Wanted::Part(0..1)),
            ("bytes=2-", Wanted::Part(2..10)),
            ("bytes=2-99", Wanted::Part(2..10)),
            ("bytes=-3", Wanted::Part(7..10)),
            ("bytes=-99", Wanted::Part(0..10)),
            ("bytes=10-", Wanted::Nothing),
            ("bytes=-0", Wanted::Nothing),
            ("bytes=5-2", Wanted::Nothing),
            ("bytes=0-1,4-5", Wanted::Whole),
            ("bytes=+1-2", Wanted::Whole),
            ("lines=0-1", Wanted::Whole),
            ("bytes=-", Wanted::Whole),
        ] {
            assert_eq!(wanted(Some(header), 10), expected, "{header}");
        }
        assert_eq!(wanted(None, 10), Wanted::Whole);
    }

    #[test]
    fn chunks() {
        assert_eq!(chunk("0-9"), Some(0..10));
        assert_eq!(chunk("bytes 10-19/*"), Some(10..20));
        for bad in ["", "-", "9-0", "a-b", "1", "-1-2", "0-99999999999999999999"] {
            assert_eq!(chunk(bad), None, "{bad}");
        }
    }
}
