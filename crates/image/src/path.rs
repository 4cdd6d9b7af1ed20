//! Paths inside an image. Never paths of this machine: they are joined to a root only component by component.

use std::fmt;
use std::str::FromStr;

/// The longest path in an image, in bytes: Linux' `PATH_MAX`; a longer one could not be opened in the container.
pub const PATH_BYTES: usize = 4096;
/// The longest component, in bytes: `NAME_MAX`.
pub(crate) const NAME_BYTES: usize = 255;

/// An absolute path in an image, such as `/app/dist`: no `.` or `..`, no empty components, no control characters.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ImagePath(Box<str>);

/// Why a text is no [`ImagePath`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is no path in an image: {reason}")]
pub struct ImagePathError {
    text: String,
    reason: &'static str,
}

impl ImagePath {
    /// The path with its leading slash.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The path without its leading slash, as archives write it; empty for `/`.
    pub fn relative(&self) -> &str {
        &self.0[1..]
    }
}

impl FromStr for ImagePath {
    type Err = ImagePathError;

    /// A trailing slash is dropped.
    fn from_str(text: &str) -> Result<Self, ImagePathError> {
        let error = |reason| ImagePathError { text: printable(text.as_bytes()), reason };
        let rest = text.strip_prefix('/').ok_or_else(|| error("it does not start with `/`"))?;
        let rest = rest.strip_suffix('/').unwrap_or(rest);
        if text.len() > PATH_BYTES || rest.split('/').any(|name| name.len() > NAME_BYTES) {
            return Err(error("it is too long"));
        }
        if rest.chars().any(char::is_control) {
            return Err(error("it has control characters"));
        }
        if !rest.is_empty() && rest.split('/').any(|name| matches!(name, "" | "." | "..")) {
            return Err(error("it has `.`, `..` or an empty part"));
        }
        Ok(Self(format!("/{rest}").into()))
    }
}

impl fmt::Display for ImagePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Untrusted bytes fit to be shown: short, and nothing a terminal acts on.
pub(crate) fn printable(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(&bytes[..bytes.len().min(480)]);
    text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).take(120).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn absolute_and_plain() {
        assert_eq!("/app/dist/".parse::<ImagePath>().unwrap().relative(), "app/dist");
        assert_eq!("/".parse::<ImagePath>().unwrap().as_str(), "/");
        let long = format!("/{}", "x".repeat(256));
        for bad in ["", "app", "/app/../etc", "//app", "/app/./x", "/a//b", "/a\nb", "/..", &long] {
            assert!(bad.parse::<ImagePath>().is_err(), "{bad}");
        }
    }
}
