//! `Date` and `Retry-After`.

use std::time::Duration;

use http::{HeaderMap, header};
use schleuse_model::Timestamp;

/// RFC 9110 §5.6.7, in the one form that is still written.
pub(crate) fn http_date(text: &str) -> Option<Timestamp> {
    let parsed = jiff::fmt::rfc2822::DateTimeParser::new().parse_timestamp(text).ok()?;
    Some(Timestamp::from_millis(parsed.as_millisecond()))
}

/// RFC 9110 §10.2.3: seconds or a date.
pub(crate) fn retry_after(headers: &HeaderMap, now: Timestamp) -> Option<Duration> {
    let text = headers.get(header::RETRY_AFTER)?.to_str().ok()?.trim();
    match text.parse::<u64>() {
        Ok(seconds) => Some(Duration::from_secs(seconds)),
        Err(_) => http_date(text).map(|at| at.since(now)),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Any header is read without a panic; seconds are those seconds, and a date that is past is no wait.
        #[test]
        fn any_header(text in "\\PC{0,40}", seconds: u64, now in 0i64..99_999_999_999) {
            let read = |text: &str| {
                let mut headers = HeaderMap::new();
                headers.insert(header::RETRY_AFTER, text.parse().ok()?);
                retry_after(&headers, Timestamp::from_seconds(now))
            };
            let _ = read(&text);
            prop_assert_eq!(read(&seconds.to_string()), Some(Duration::from_secs(seconds)));
            let date = read("Sun, 06 Nov 1994 08:49:37 GMT").unwrap();
            prop_assert_eq!(date.as_secs(), u64::try_from(784_111_777 - now).unwrap_or(0));
        }
    }

    #[test]
    fn dates_and_waits() {
        assert_eq!(http_date("Sun, 06 Nov 1994 08:49:37 GMT"), Some(Timestamp::from_seconds(784_111_777)));
        assert_eq!(http_date("yesterday"), None);
        let wait = |text: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::RETRY_AFTER, text.parse().unwrap());
            retry_after(&headers, Timestamp::from_seconds(784_111_770))
        };
        assert_eq!(wait("3"), Some(Duration::from_secs(3)));
        assert_eq!(wait("Sun, 06 Nov 1994 08:49:37 GMT"), Some(Duration::from_secs(7)));
        assert_eq!(wait("Sun, 06 Nov 1994 08:49:30 GMT"), Some(Duration::ZERO));
        assert_eq!(wait("soon"), None);
    }
}
