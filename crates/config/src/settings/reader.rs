//! Collects mistakes and the lines of `config show` while the settings are read.

use std::time::Duration;

use crate::document::{Document, KeyPath};
use crate::error::{Mistake, Place, Rule, What};
use crate::{Origin, Shown, Sourced, duration};

/// The document, and what was found in it so far.
pub(super) struct Reader<'d> {
    name: &'d str,
    document: &'d Document<'d>,
    mistakes: Vec<Mistake>,
    shown: Vec<Shown>,
}

impl<'d> Reader<'d> {
    pub(super) const fn new(name: &'d str, document: &'d Document<'d>) -> Self {
        Self { name, document, mistakes: Vec::new(), shown: Vec::new() }
    }

    pub(super) fn finish(self) -> (Vec<Mistake>, Vec<Shown>) {
        (self.mistakes, self.shown)
    }

    /// The names of a table's entries, in the file's order.
    pub(super) fn keys_in_order(&self, table: &str) -> Vec<String> {
        self.document.keys_in_order(table)
    }

    /// Whether the file says anything at `path`. What did not fit the schema was taken out, and was reported once already.
    pub(super) fn stands(&self, path: &KeyPath) -> bool {
        self.document.has(path)
    }

    /// Notes a mistake in the file.
    pub(super) fn wrong(&mut self, path: &KeyPath, what: What) {
        let (line, column) = self.document.position(path);
        self.mistakes.push(Mistake { place: Place::File { file: self.name.to_owned(), line, column }, what });
    }

    /// Notes a mistake in a value, wherever the value came from.
    pub(super) fn wrong_from(&mut self, origin: &Origin, path: &KeyPath, what: What) {
        let place = match origin {
            Origin::Flag(flag) => Place::Flag(flag),
            Origin::Variable(name) => Place::Variable(name),
            Origin::File { .. } | Origin::Default => return self.wrong(path, what),
        };
        self.mistakes.push(Mistake { place, what });
    }

    /// Notes a broken rule.
    pub(super) fn rule(&mut self, path: &KeyPath, rule: Rule) {
        self.wrong(path, What::rule(path, rule));
    }

    /// Where a value of the file stands.
    pub(super) fn origin(&self, path: &KeyPath) -> Origin {
        Origin::File { file: self.name.to_owned(), line: self.document.position(path).0 }
    }

    /// The file's value, or the default.
    pub(super) fn or<T>(&self, path: &KeyPath, value: Option<T>, default: T) -> Sourced<T> {
        match value {
            Some(value) => Sourced { value, origin: self.origin(path) },
            None => Sourced::default_of(default),
        }
    }

    /// A line for `config show`.
    pub(super) fn show(&mut self, path: &KeyPath, value: impl std::fmt::Display, origin: &Origin) {
        self.shown.push(Shown { key: path.dotted(), value: value.to_string(), origin: origin.clone() });
    }

    /// A duration, or the default where there is none or a wrong one.
    pub(super) fn duration(&mut self, path: &KeyPath, text: Option<&str>, default: Duration) -> Duration {
        let parsed = text.map(duration::parse).transpose().unwrap_or_else(|source| {
            self.wrong(path, What::Duration { key: path.to_string(), source });
            None
        });
        let value = self.or(path, parsed, default);
        self.show(path, duration::write(value.value), &value.origin);
        value.value
    }

    /// Notes `what` unless `good`.
    pub(super) fn need(&mut self, good: bool, path: &KeyPath, value: &str, needed: &'static str) {
        if !good {
            self.wrong(path, What::invalid(path, value, needed));
        }
    }

    /// A table of variables: names by POSIX, values that a process can have.
    pub(super) fn variables(&mut self, path: &KeyPath, variables: &std::collections::BTreeMap<String, String>) {
        for (name, value) in variables {
            let good = name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
                && name.bytes().next().is_some_and(|b| !b.is_ascii_digit());
            self.need(good, &path.key(name), name, "a variable's name (letters, digits and `_`)");
            self.need(!value.contains('\0'), &path.key(name), value, "a text without a NUL");
        }
        if !variables.is_empty() {
            let names = variables.keys().map(String::as_str).collect::<Vec<_>>().join(" ");
            self.show(path, names, &self.origin(path));
        }
    }

    /// A list of arguments: a process cannot be given a NUL.
    pub(super) fn arguments(&mut self, path: &KeyPath, arguments: &[String]) {
        for (at, argument) in arguments.iter().enumerate() {
            self.need(!argument.contains('\0'), &path.index(at), argument, "a text without a NUL");
        }
    }
}
