//! Bytes and platforms, for people.

use std::fmt;

use schleuse_oci::Platform;

use crate::usage::Usage;

/// Bytes, as people read them: `3.4 MB`. Decimal, as registries and `docker images` count.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bytes(pub(super) u64);

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let units = ["kB", "MB", "GB", "TB"];
        if self.0 < 1000 {
            return write!(f, "{} B", self.0);
        }
        let (mut value, mut unit) = (self.0 as f64 / 1000.0, 0);
        // From 999.95 on it would read `1000.0`.
        while value >= 999.95 && unit + 1 < units.len() {
            (value, unit) = (value / 1000.0, unit + 1);
        }
        write!(f, "{value:.1} {}", units[unit])
    }
}

/// `1 layer`, `2 layers`.
pub(super) fn counted(number: usize, noun: &str) -> String {
    format!("{number} {noun}{}", if number == 1 { "" } else { "s" })
}

/// `--platform`.
pub(super) fn platform(text: &str) -> Result<Platform, Usage> {
    let word = |text: &&str| !text.is_empty() && text.len() <= 32 && text.bytes().all(|b| b.is_ascii_alphanumeric());
    let parts: Vec<&str> = text.split('/').collect();
    match parts.as_slice() {
        [os, architecture, variant @ ..] if variant.len() <= 1 && parts.iter().all(word) => Ok(Platform {
            architecture: (*architecture).to_owned(),
            os: (*os).to_owned(),
            variant: variant.first().map(|variant| (*variant).to_owned()),
        }),
        _ => Err(Usage::new(
            "--platform is no platform",
            "os/architecture[/variant], such as linux/amd64 or linux/arm64/v8",
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_for_people() {
        let shown = |bytes| Bytes(bytes).to_string();
        assert_eq!([shown(0), shown(999), shown(1000), shown(999_949)], ["0 B", "999 B", "1.0 kB", "999.9 kB"]);
        assert_eq!([shown(999_950), shown(3_400_000), shown(u64::MAX)], ["1.0 MB", "3.4 MB", "18446744.1 TB"]);
    }

    #[test]
    fn platforms() {
        assert_eq!(platform("linux/arm64/v8").unwrap().to_string(), "linux/arm64/v8");
        for bad in ["", "linux", "linux/", "a/b/c/d", "linux/amd 64"] {
            assert!(platform(bad).is_err(), "{bad}");
        }
    }
}
