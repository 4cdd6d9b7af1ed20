//! What a verb answers, as a page of lines for people. The struct that implements [`Report`] *is* the JSON.

use std::fmt::{Display, Write as _};

use serde::Serialize;

use super::Paint;

/// A verb's answer: serialised in machine formats, written as lines for people.
pub(crate) trait Report: Serialize {
    /// The lines for people, on stdout. Only what one would pipe; remarks are [`super::Printer::note`]s.
    fn human(&self, page: &mut Page);
}

/// Lines under construction.
#[derive(Debug)]
pub(crate) struct Page {
    paint: Paint,
    text: String,
}

impl Page {
    /// An empty page.
    pub(crate) const fn new(paint: Paint) -> Self {
        Self { paint, text: String::new() }
    }

    /// How to paint on this page.
    pub(crate) const fn paint(&self) -> Paint {
        self.paint
    }

    /// Adds a line.
    pub(crate) fn line(&mut self, line: impl Display) {
        // Writing to a `String` cannot fail.
        let _ = writeln!(self.text, "{line}");
    }

    /// Adds `name` in a column of `width` characters, and `value`.
    pub(crate) fn fact(&mut self, width: usize, name: &str, value: impl Display) {
        let name = self.paint.dim(format_args!("{name:<width$}"));
        self.line(format_args!("{name}  {value}"));
    }

    /// Adds text that brings its own line ends.
    pub(crate) fn raw(&mut self, text: &str) {
        self.text.push_str(text);
    }

    /// The whole text.
    pub(crate) fn into_text(self) -> String {
        self.text
    }
}
