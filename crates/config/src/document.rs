//! The file's text with the position of everything in it.

use std::fmt;
use std::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// One step from the top of the file to a value.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Step {
    Key(String),
    Index(usize),
}

/// Where a value stands: `environment`, `staging`, `checks`, 1.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct KeyPath(Vec<Step>);

impl KeyPath {
    /// From keys.
    pub(crate) fn of(keys: &[&str]) -> Self {
        Self(keys.iter().map(|key| Step::Key((*key).to_owned())).collect())
    }

    /// One key further down.
    #[must_use]
    pub(crate) fn key(&self, key: &str) -> Self {
        let mut path = self.clone();
        path.0.push(Step::Key(key.to_owned()));
        path
    }

    /// One element further down.
    #[must_use]
    pub(crate) fn index(&self, index: usize) -> Self {
        let mut path = self.clone();
        path.0.push(Step::Index(index));
        path
    }

    /// How many leading steps are the table's name in its header: `[build]` one, `[environment.staging]` two.
    fn header(&self) -> usize {
        let named = match self.0.first() {
            Some(Step::Key(key)) if key == "environment" || key == "check" => 2,
            Some(_) => 1,
            None => 0,
        };
        if self.0.len() > named { named } else { 0 }
    }

    /// ` in [environment.staging]`, or nothing at the top of the file.
    pub(crate) fn table(&self) -> String {
        match self.header() {
            0 => String::new(),
            header => format!(" in [{}]", Steps(&self.0[..header])),
        }
    }

    /// Which table this path is, for a key in it: ` in [build]`, `` in `copy[0]` in [build]``, or nothing at the top of the file.
    pub(crate) fn as_table(&self) -> String {
        let named = self.key("").header();
        match self.0.len() {
            0 => String::new(),
            length if length == named => format!(" in [{}]", self.dotted()),
            _ => format!(" in {self}"),
        }
    }

    /// The header that a table at this path has: `environment.staging`.
    pub(crate) fn dotted(&self) -> String {
        Steps(&self.0).to_string()
    }
}

/// `` `checks[1]` in [environment.staging] ``
impl fmt::Display for KeyPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}`{}", Steps(&self.0[self.header()..]), self.table())
    }
}

struct Steps<'p>(&'p [Step]);

impl fmt::Display for Steps<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, step) in self.0.iter().enumerate() {
            match step {
                Step::Index(index) => write!(f, "[{index}]")?,
                Step::Key(key) => {
                    let dot = if at == 0 { "" } else { "." };
                    let bare =
                        !key.is_empty() && key.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
                    let shown = crate::error::clip(key);
                    if bare { write!(f, "{dot}{shown}")? } else { write!(f, "{dot}\"{shown}\"")? }
                }
            }
        }
        Ok(())
    }
}

/// The parsed file, kept as it was written so that every mistake can be placed.
pub(crate) struct Document<'t> {
    text: &'t str,
    table: Spanned<DeTable<'t>>,
}

impl<'t> Document<'t> {
    /// The document, or what is wrong with it as TOML: message and byte offset of each mistake.
    pub(crate) fn parse(text: &'t str) -> Result<Self, Vec<(String, usize)>> {
        let (table, errors) = DeTable::parse_recoverable(text);
        if errors.is_empty() {
            return Ok(Self { text, table });
        }
        Err(errors.iter().map(|e| (crate::error::clip(e.message()), e.span().map_or(0, |span| span.start))).collect())
    }

    /// A copy of the table that can be pruned.
    pub(crate) fn table(&self) -> Spanned<DeTable<'t>> {
        self.table.clone()
    }

    /// The keys of the table at `key`, in the file's order.
    pub(crate) fn keys_in_order(&self, key: &str) -> Vec<String> {
        let Some(DeValue::Table(table)) = self.table.get_ref().get(key).map(Spanned::get_ref) else {
            return Vec::new();
        };
        let mut keys: Vec<_> = table.keys().map(|key| (key.span().start, key.get_ref().to_string())).collect();
        keys.sort();
        keys.into_iter().map(|(_, key)| key).collect()
    }

    /// Line and column, both from 1, of what stands at `path`; of the nearest thing above it where nothing does.
    pub(crate) fn position(&self, path: &KeyPath) -> (usize, usize) {
        position(self.text, self.offset(path))
    }

    /// Whether something stands at `path`, right or wrong.
    pub(crate) fn has(&self, path: &KeyPath) -> bool {
        self.find(path).1 == path.0.len()
    }

    fn offset(&self, path: &KeyPath) -> usize {
        self.find(path).0.start
    }

    /// The span of the deepest part of `path` that exists, and how many steps that is.
    fn find(&self, path: &KeyPath) -> (Range<usize>, usize) {
        let mut found: (Range<usize>, usize) = (0..0, 0);
        let mut table = Some(self.table.get_ref());
        let mut array: Option<&[Spanned<DeValue<'t>>]> = None;
        for step in &path.0 {
            let value = match step {
                Step::Key(name) => {
                    let Some((key, value)) = table.and_then(|table| table.get_key_value(name.as_str())) else { break };
                    found = (key.span(), found.1 + 1);
                    value
                }
                Step::Index(index) => {
                    let Some(value) = array.and_then(|array| array.get(*index)) else { break };
                    found = (value.span(), found.1 + 1);
                    value
                }
            };
            table = value.get_ref().as_table();
            array = value.get_ref().as_array().map(|array| &**array);
        }
        found
    }
}

/// Line and column, both from 1 and the column in characters, of a byte offset.
pub(crate) fn position(text: &str, offset: usize) -> (usize, usize) {
    let before = text.get(..offset).unwrap_or(text);
    let line_start = before.rfind('\n').map_or(0, |at| at + 1);
    (before.matches('\n').count() + 1, before[line_start..].chars().count() + 1)
}
