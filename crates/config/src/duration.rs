//! Durations as people write them: `30m`, `1h30m`, `500ms`.

use std::time::Duration;

/// Why a text is not a duration.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a duration: write a number with its unit, such as 500ms, 30s, 5m, 24h or 7d; at most 366d")]
pub struct DurationError(String);

/// The longest duration: a year. What is longer is a typing mistake.
pub const LONGEST: Duration = Duration::from_secs(366 * 86_400);

/// Parses `1h30m`: whole numbers with the units `ms`, `s`, `m`, `h`, `d`, larger units first, each at most once.
///
/// # Errors
/// Anything else: no unit, an unknown one, units out of order, more than [`LONGEST`].
pub fn parse(text: &str) -> Result<Duration, DurationError> {
    read(text).ok_or_else(|| DurationError(crate::error::clip(text)))
}

fn read(text: &str) -> Option<Duration> {
    let mut rest = text;
    let mut total = Duration::ZERO;
    let mut last = u64::MAX;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit())?;
        let number: u64 = rest[..digits].parse().ok()?;
        let after = &rest[digits..];
        let unit_end = after.find(|c: char| !c.is_ascii_lowercase()).unwrap_or(after.len());
        let millis = match &after[..unit_end] {
            "ms" => 1,
            "s" => 1000,
            "m" => 60_000,
            "h" => 3_600_000,
            "d" => 86_400_000,
            _ => return None,
        };
        if millis >= last {
            return None;
        }
        last = millis;
        total = total.checked_add(Duration::from_millis(number.checked_mul(millis)?))?;
        rest = &after[unit_end..];
    }
    (last != u64::MAX && total <= LONGEST).then_some(total)
}

/// Writes a duration so that [`parse`] reads it again; below a millisecond nothing is kept.
pub fn write(duration: Duration) -> String {
    let mut millis = duration.as_millis();
    let mut text = String::new();
    for (unit, size) in [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1000), ("ms", 1)] {
        if millis >= size {
            text.push_str(&format!("{}{unit}", millis / size));
            millis %= size;
        }
    }
    if text.is_empty() { "0s".to_owned() } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn spellings() {
        for (text, seconds) in
            [("30s", 30.0), ("5m", 300.0), ("1h30m", 5400.0), ("24h", 86_400.0), ("500ms", 0.5), ("0s", 0.0)]
        {
            assert_eq!(parse(text).unwrap(), Duration::from_secs_f64(seconds), "{text}");
        }
    }

    #[test]
    fn refused() {
        for text in [
            "",
            "30",
            "m",
            "5 m",
            "-5m",
            "1.5h",
            "5M",
            "30m1h",
            "1m1m",
            "5x",
            "367d",
            "99999999999999999999d",
            "5mm",
            "٣s",
        ] {
            assert!(parse(text).is_err(), "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn written_is_read_again(millis in 0_u64..=366 * 86_400_000) {
            let duration = Duration::from_millis(millis);
            prop_assert_eq!(parse(&write(duration)).unwrap(), duration);
        }

        #[test]
        fn any_text_is_read_or_refused(text in "[0-9a-zµ]{0,12}|\\PC{0,20}") {
            let _ = parse(&text);
        }
    }
}
