//! Colour. It only ever adds: every line reads the same without it.

use std::fmt::Display;

/// Paints text, or leaves it as it is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Paint {
    on: bool,
}

impl Paint {
    /// Paints if `on`.
    pub(crate) const fn new(on: bool) -> Self {
        Self { on }
    }

    /// Errors, failed checks.
    pub(crate) fn bad(self, text: impl Display) -> String {
        self.wrap("1;31", text)
    }

    /// Success, passed checks.
    pub(crate) fn good(self, text: impl Display) -> String {
        self.wrap("32", text)
    }

    /// Warnings, things that wait.
    pub(crate) fn warn(self, text: impl Display) -> String {
        self.wrap("1;33", text)
    }

    /// Hints, addresses, commands.
    pub(crate) fn hint(self, text: impl Display) -> String {
        self.wrap("36", text)
    }

    /// What the eye should find first.
    pub(crate) fn strong(self, text: impl Display) -> String {
        self.wrap("1", text)
    }

    /// What may be skipped.
    pub(crate) fn dim(self, text: impl Display) -> String {
        self.wrap("2", text)
    }

    fn wrap(self, code: &str, text: impl Display) -> String {
        if self.on { format!("\u{1b}[{code}m{text}\u{1b}[0m") } else { text.to_string() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colour_only_adds() {
        let painted = Paint::new(true).bad("error");
        assert_eq!(painted, "\u{1b}[1;31merror\u{1b}[0m");
        assert_eq!(Paint::new(false).bad("error"), "error");
    }
}
