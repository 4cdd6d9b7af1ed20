//! Changing `schleuse.toml` where a program has to: a key moves from its role to `revoked`. Comments, order and format of the rest
//! stay as they are. Pure: from a text to a text.

mod array;

use schleuse_model::{Exit, Explain};
use toml_edit::{ArrayOfTables, DocumentMut, InlineTable, Item, Table, TableLike, Value};

use crate::policy::{Revocation, RevokedKey};

/// The file is written in a way that a program should not change.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EditError {
    /// Not TOML.
    #[error("not TOML: {0}")]
    Syntax(String),
    /// Something else stands where a table or list is expected.
    #[error("`{0}` in [trust] is not written as a list")]
    NotAList(&'static str),
    /// `trust` is no table.
    #[error("`trust` is not written as a table")]
    NotATable,
}

impl Explain for EditError {
    fn exit(&self) -> Exit {
        Exit::Usage
    }

    fn hints(&self) -> Vec<String> {
        vec!["change it by hand: take the key out of its role, and list it under `revoked` in [trust]".to_owned()]
    }
}

/// The text with `key` taken out of its role and listed under `revoked`; an older line about the same key and role is replaced.
///
/// # Errors
/// [`EditError`].
pub fn revoke(text: &str, key: &RevokedKey) -> Result<String, EditError> {
    let mut document: DocumentMut =
        text.parse().map_err(|error: toml_edit::TomlError| EditError::Syntax(crate::error::clip(error.message())))?;
    let role = key.role.name();
    let existed = document.contains_key("trust");
    let item = document.entry("trust").or_insert_with(|| Item::Table(Table::new()));
    let inline = item.is_inline_table();
    let trust = item.as_table_like_mut().ok_or(EditError::NotATable)?;
    if !existed {
        // Without [trust] there is a build key all the same: the one that is revoked here. With it, only what is listed.
        trust.insert("build", Item::Value(Value::Array(Default::default())));
    }
    take_out(trust, role, |entry| entry.file() == Some(&key.key.file))?;
    take_out(trust, "revoked", |entry| entry.file() == Some(&key.key.file) && entry.role() == role)?;
    let entry = entry(key);
    match trust.get_mut("revoked") {
        None if inline => {
            let list = toml_edit::Array::from_iter([Value::InlineTable(entry)]);
            trust.insert("revoked", Item::Value(Value::Array(list)));
        }
        None => {
            trust.insert("revoked", Item::Value(Value::Array(array::on_lines(entry))));
        }
        Some(Item::Value(Value::Array(list))) if !inline && array::is_bare(list) => *list = array::on_lines(entry),
        Some(Item::Value(Value::Array(list))) => array::push(list, entry),
        Some(Item::ArrayOfTables(list)) => list.push(entry.into_table()),
        Some(_) => return Err(EditError::NotAList("revoked")),
    }
    Ok(document.to_string())
}

fn entry(key: &RevokedKey) -> InlineTable {
    let mut entry = InlineTable::new();
    entry.insert("key", key.key.file.as_str().into());
    if key.role != Default::default() {
        entry.insert("role", key.role.name().into());
    }
    match key.revocation {
        Revocation::Superseded { since } => {
            entry.insert("why", "superseded".into());
            entry.insert("since", since.to_string().into());
        }
        Revocation::Compromised => {
            entry.insert("why", "compromised".into());
        }
    }
    if let Some(person) = &key.key.person {
        entry.insert("person", person.as_str().into());
    }
    entry
}

/// One entry of a list of keys, however it is written.
enum Entry<'a> {
    Text(&'a str),
    Table(&'a dyn TableLike),
    Other,
}

impl<'a> Entry<'a> {
    fn of(value: &'a Value) -> Self {
        match value {
            Value::String(text) => Self::Text(text.value()),
            Value::InlineTable(table) => Self::Table(table),
            _ => Self::Other,
        }
    }

    fn text(&self, key: &str) -> Option<&'a str> {
        match self {
            Self::Table(table) => table.get(key).and_then(Item::as_str),
            Self::Text(_) | Self::Other => None,
        }
    }

    fn file(&self) -> Option<&'a str> {
        match self {
            Self::Text(file) => Some(file),
            _ => self.text("key"),
        }
    }

    fn role(&self) -> &'a str {
        self.text("role").unwrap_or("build")
    }
}

fn take_out(
    trust: &mut dyn TableLike,
    list: &'static str,
    matches: impl Fn(&Entry<'_>) -> bool,
) -> Result<(), EditError> {
    match trust.get_mut(list) {
        None => Ok(()),
        Some(Item::Value(Value::Array(found))) => {
            for at in (0..found.len()).rev() {
                if found.get(at).is_some_and(|value| matches(&Entry::of(value))) {
                    array::remove(found, at);
                }
            }
            Ok(())
        }
        Some(Item::ArrayOfTables(tables)) => {
            let kept: ArrayOfTables = tables.iter().filter(|table| !matches(&Entry::Table(*table))).cloned().collect();
            *tables = kept;
            Ok(())
        }
        Some(_) => Err(EditError::NotAList(list)),
    }
}

#[cfg(test)]
mod tests;
