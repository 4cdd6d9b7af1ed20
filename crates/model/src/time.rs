//! Wall time as the journal writes it.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A wall time in UTC, in whole milliseconds. Written as RFC 3339 (`2026-11-23T20:11:33.123Z`); the same instant always has the
/// same bytes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(i64);

/// Why a text is not a [`Timestamp`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a time: expected RFC 3339, such as 2026-11-23T20:11:33Z")]
pub struct TimestampError(String);

/// 0001-01-01 and 9999-12-31 in milliseconds: what RFC 3339 can write.
const RANGE: (i64, i64) = (-62_135_596_800_000, 253_402_207_200_000);

impl Timestamp {
    /// The Unix epoch.
    pub const UNIX_EPOCH: Self = Self(0);

    /// From milliseconds since the Unix epoch, clamped to what RFC 3339 can write.
    pub const fn from_millis(millis: i64) -> Self {
        if millis < RANGE.0 {
            Self(RANGE.0)
        } else if millis > RANGE.1 {
            Self(RANGE.1)
        } else {
            Self(millis)
        }
    }

    /// From seconds since the Unix epoch (`SOURCE_DATE_EPOCH`), clamped likewise.
    pub const fn from_seconds(seconds: i64) -> Self {
        Self::from_millis(seconds.saturating_mul(1000))
    }

    /// Milliseconds since the Unix epoch.
    pub const fn as_millis(self) -> i64 {
        self.0
    }

    /// Whole seconds since the Unix epoch, rounded down.
    pub const fn as_seconds(self) -> i64 {
        self.0.div_euclid(1000)
    }

    /// How long from `earlier` to `self`; zero if `earlier` is later.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }

    /// `self` and `duration` later, clamped.
    #[must_use]
    pub fn plus(self, duration: Duration) -> Self {
        Self::from_millis(self.0.saturating_add(i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)))
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let stamp = jiff::Timestamp::from_millisecond(self.0).map_err(|_| fmt::Error)?;
        write!(f, "{stamp}")
    }
}

impl fmt::Debug for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Timestamp {
    type Err = TimestampError;

    fn from_str(text: &str) -> Result<Self, TimestampError> {
        let error = || TimestampError(text.chars().take(64).collect());
        if text.len() > 64 {
            return Err(error());
        }
        let stamp: jiff::Timestamp = text.parse().map_err(|_| error())?;
        Ok(Self::from_millis(stamp.as_millisecond()))
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// A duration as people read it: `0.6s`, `18.4s`, `1m12s`, `5h03m`, `6d`.
pub fn human(duration: Duration) -> String {
    let seconds = duration.as_secs();
    match seconds {
        0..60 => format!("{}.{}s", seconds, duration.subsec_millis() / 100),
        60..3600 => format!("{}m{:02}s", seconds / 60, seconds % 60),
        3600..86_400 => format!("{}h{:02}m", seconds / 3600, seconds % 3600 / 60),
        _ => format!("{}d", seconds / 86_400),
    }
}

/// Reads a duration as people write it in a configuration: `500ms`, `5s`, `10m`, `24h`, `7d`, or several such parts (`1h30m`).
///
/// # Errors
/// The text itself when it is no such duration, has no unit, or is longer than a year.
pub fn parse_duration(text: &str) -> Result<Duration, String> {
    const YEAR: Duration = Duration::from_secs(366 * 86_400);
    let error = || format!("`{text}` is not a duration: write a number and ms, s, m, h or d, such as `30s` or `1h30m`");
    let mut rest = text.trim();
    let mut total = Duration::ZERO;
    if rest.is_empty() {
        return Err(error());
    }
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit()).ok_or_else(error)?;
        let number: u64 = rest[..digits].parse().map_err(|_| error())?;
        rest = &rest[digits..];
        let unit = rest.find(|c: char| c.is_ascii_digit()).unwrap_or(rest.len());
        let millis: u64 = match &rest[..unit] {
            "ms" => 1,
            "s" => 1000,
            "m" => 60_000,
            "h" => 3_600_000,
            "d" => 86_400_000,
            _ => return Err(error()),
        };
        rest = &rest[unit..];
        total = total.saturating_add(Duration::from_millis(number.saturating_mul(millis)));
    }
    if total > YEAR { Err(format!("`{text}` is longer than a year")) } else { Ok(total) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_instant_one_spelling() {
        for (text, written) in [
            ("2026-11-23T20:11:33Z", "2026-11-23T20:11:33Z"),
            ("2026-11-23T21:11:33.5+01:00", "2026-11-23T20:11:33.5Z"),
            ("1970-01-01T00:00:00.001999Z", "1970-01-01T00:00:00.001Z"),
        ] {
            assert_eq!(text.parse::<Timestamp>().unwrap().to_string(), written);
        }
        assert!("yesterday".parse::<Timestamp>().is_err());
        assert_eq!(Timestamp::from_millis(i64::MAX).to_string(), "9999-12-30T22:00:00Z");
    }

    #[test]
    fn durations() {
        assert_eq!(parse_duration("1h30m"), Ok(Duration::from_secs(5400)));
        assert_eq!(parse_duration("250ms"), Ok(Duration::from_millis(250)));
        for bad in ["", "5", "s", "5 s", "-1s", "1y", "99999999999999999999s", "400d"] {
            assert!(parse_duration(bad).is_err(), "{bad}");
        }
        assert_eq!(human(Duration::from_millis(612)), "0.6s");
        assert_eq!(human(Duration::from_secs(72)), "1m12s");
        assert_eq!(human(Duration::from_secs(18_180)), "5h03m");
    }

    #[test]
    fn a_clock_that_jumps_back_gives_zero() {
        let late = Timestamp::from_seconds(10);
        assert_eq!(Timestamp::from_seconds(5).since(late), Duration::ZERO);
        assert_eq!(late.plus(Duration::from_secs(5)), Timestamp::from_seconds(15));
    }
}
