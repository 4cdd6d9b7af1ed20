//! Compares the file with the schema and finds every unknown key, wrong type and missing key in one pass.
//!
//! `serde` stops at the first mistake and cannot suggest. The schema comes from the same types, so the two cannot disagree about
//! what exists. What is wrong is taken out, so that the rest can be read and judged too.

use serde_json::{Map, Value};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::document::KeyPath;
use crate::error::{Help, What, clip};

/// What was found, with the path it was found at.
pub(crate) type Found = Vec<(KeyPath, What)>;

/// Checks `table` against `schema` and takes out what does not fit.
pub(crate) fn check(schema: &Value, table: &mut Spanned<DeTable<'_>>) -> Found {
    let mut walk = Walk { root: schema, found: Vec::new() };
    walk.table(schema, table.get_mut(), &KeyPath::default());
    walk.found
}

struct Walk<'s> {
    root: &'s Value,
    found: Found,
}

impl Walk<'_> {
    /// Whether `value` can stay.
    fn value(&mut self, schema: &Value, value: &mut Spanned<DeValue<'_>>, path: &KeyPath) -> bool {
        let is = value.get_ref();
        let branches = branches(schema);
        let Some(branch) = branches.iter().find(|branch| has_type(branch, is)) else {
            let needed = branches.iter().map(|branch| type_name(branch)).collect::<Vec<_>>().join(" or ");
            self.found.push((path.clone(), What::WrongType { key: path.to_string(), is: described(is), needed }));
            return false;
        };
        match value.get_mut() {
            DeValue::String(text) => self.choice(schema, text, path),
            DeValue::Integer(number) => {
                self.range(branch, i64::from_str_radix(number.as_str(), number.radix()).ok(), path)
            }
            DeValue::Array(items) => {
                let Some(of) = branch.get("items") else { return true };
                // All are looked at, even after the first bad one.
                let mut fits = true;
                for (at, item) in items.iter_mut().enumerate() {
                    fits &= self.value(of, item, &path.index(at));
                }
                fits
            }
            DeValue::Table(table) => self.table(branch, table, path),
            _ => true,
        }
    }

    fn table(&mut self, schema: &Value, table: &mut DeTable<'_>, path: &KeyPath) -> bool {
        let nothing = Map::new();
        let known = schema.get("properties").and_then(Value::as_object).unwrap_or(&nothing);
        let others = schema.get("additionalProperties").filter(|others| others.is_object());
        let mut missing = false;
        for key in schema.get("required").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str) {
            if !table.contains_key(key) {
                let at = path.key(key);
                self.found.push((at.clone(), What::Missing { key: at.to_string() }));
                missing = true;
            }
        }
        let mut unfit = Vec::new();
        for (key, value) in table.iter_mut() {
            let name = key.get_ref().as_ref();
            let at = path.key(name);
            let fits = match known.get(name).or(others) {
                Some(schema) => self.value(schema, value, &at),
                None => {
                    let help = self.help(name, known, path);
                    self.found.push((at.clone(), What::UnknownKey { key: clip(name), table: path.as_table(), help }));
                    false
                }
            };
            if !fits {
                unfit.push(name.to_owned());
            }
        }
        for name in unfit {
            table.remove(name.as_str());
        }
        !missing
    }

    fn help(&self, name: &str, known: &Map<String, Value>, path: &KeyPath) -> Help {
        let near = Help::near(name, known.keys().map(String::as_str));
        let top = self.root.get("properties").and_then(|keys| keys.get(name)).is_some();
        if top && *path != KeyPath::default() && !matches!(near, Help::DidYouMean(_)) {
            Help::BelongsAtTheTop
        } else {
            near
        }
    }

    /// A word that must be one of a few.
    fn choice(&mut self, schema: &Value, text: &str, path: &KeyPath) -> bool {
        let choices = choices(schema);
        if choices.is_empty() || choices.contains(&text) {
            return true;
        }
        let help = Help::near(text, choices);
        self.found.push((path.clone(), What::UnknownValue { key: path.to_string(), value: clip(text), help }));
        false
    }

    fn range(&mut self, schema: &Value, number: Option<i64>, path: &KeyPath) -> bool {
        let bound = |name: &str| schema.get(name).and_then(Value::as_i64);
        let (minimum, maximum) =
            (bound("minimum").unwrap_or(i64::MIN), bound("maximum").unwrap_or(i64::from(u32::MAX)));
        if number.is_some_and(|number| (minimum..=maximum).contains(&number)) {
            return true;
        }
        self.found.push((path.clone(), What::OutOfRange { key: path.to_string(), minimum, maximum }));
        false
    }
}

/// The alternatives of a schema: of an untagged enum several, otherwise itself.
fn branches(schema: &Value) -> Vec<&Value> {
    match schema.get("anyOf").or_else(|| schema.get("oneOf")).and_then(Value::as_array) {
        Some(branches) => branches.iter().collect(),
        None => vec![schema],
    }
}

/// The words of an enum.
fn choices(schema: &Value) -> Vec<&str> {
    let of = |schema: &'_ Value| schema.get("const").and_then(Value::as_str).is_some();
    match (schema.get("oneOf").and_then(Value::as_array), schema.get("enum").and_then(Value::as_array)) {
        (Some(branches), _) if branches.iter().all(of) => {
            branches.iter().filter_map(|branch| branch.get("const").and_then(Value::as_str)).collect()
        }
        (_, Some(words)) => words.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    }
}

fn has_type(schema: &Value, value: &DeValue<'_>) -> bool {
    let name = match value {
        DeValue::String(_) => "string",
        DeValue::Integer(_) => "integer",
        DeValue::Boolean(_) => "boolean",
        DeValue::Array(_) => "array",
        DeValue::Table(_) => "object",
        DeValue::Float(_) => "number",
        DeValue::Datetime(_) => return false,
    };
    schema.get("type").and_then(Value::as_str) == Some(name)
}

fn type_name(schema: &Value) -> String {
    match schema.get("type").and_then(Value::as_str) {
        Some("string") => "a text in quotes",
        Some("integer") => "a whole number",
        Some("boolean") => "true or false",
        Some("array") => "a list in [ ]",
        Some("object") => "a table",
        _ => "something else",
    }
    .to_owned()
}

const fn described(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a text",
        DeValue::Integer(_) => "a whole number",
        DeValue::Float(_) => "a number with a fraction",
        DeValue::Boolean(_) => "true or false",
        DeValue::Datetime(_) => "a date",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    }
}
