//! The JSON schema of the file: for editors, for `docs/CONFIG.md`, and for the check of the file's shape.

use schemars::generate::SchemaSettings;
use serde_json::Value;

use crate::raw::File;

/// The schema, JSON Schema draft 2020-12. The same on every call: keys are sorted (law 7).
pub fn schema() -> Value {
    let settings = SchemaSettings::draft2020_12().with(|settings| settings.inline_subschemas = true);
    let mut schema = settings.into_generator().into_root_schema_for::<File>().to_value();
    without_null(&mut schema);
    schema.sort_all_objects();
    schema
}

/// The schema as a text that is written to `schema/schleuse.schema.json`: indented, with a final newline.
pub fn schema_text() -> String {
    format!("{:#}\n", schema())
}

/// TOML has no null: a key that may be left out is one that is not required, nothing else.
fn without_null(schema: &mut Value) {
    match schema {
        Value::Array(items) => items.iter_mut().for_each(without_null),
        Value::Object(object) => {
            object.values_mut().for_each(without_null);
            if object.get("default").is_some_and(Value::is_null) {
                object.remove("default");
            }
            if let Some(Value::Array(types)) = object.get_mut("type") {
                types.retain(|name| name != "null");
                if let [only] = types.as_slice() {
                    let only = only.clone();
                    object.insert("type".to_owned(), only);
                }
            }
            let Some(Value::Array(branches)) = object.get_mut("anyOf") else { return };
            branches.retain(|branch| branch.get("type").is_none_or(|name| name != "null"));
            // The branch that is left becomes the schema; the key's own description wins over the type's.
            if let [Value::Object(only)] = branches.as_slice() {
                let only = only.clone();
                object.remove("anyOf");
                for (key, value) in only {
                    object.entry(key).or_insert(value);
                }
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn says_what_the_types_say() {
        let schema = schema();
        assert_eq!(schema["$schema"], "https://json-schema.org/draft/2020-12/schema");
        assert_eq!(schema["additionalProperties"], false);
        let environment = &schema["properties"]["environment"]["additionalProperties"];
        assert_eq!(environment["properties"]["port"]["type"], "integer");
        assert_eq!(environment["properties"]["port"]["maximum"], 65535);
        assert_eq!(environment["additionalProperties"], false);
        assert_eq!(schema["properties"]["check"]["additionalProperties"]["required"], serde_json::json!(["run"]));
        assert_eq!(schema_text(), schema_text());
        assert!(!schema_text().contains("\"null\""), "{}", schema_text());
    }

    #[test]
    fn every_key_is_described() {
        fn walk(path: &str, schema: &Value) {
            if let Some(properties) = schema.get("properties").and_then(Value::as_object) {
                for (key, value) in properties {
                    let text = value.get("description").and_then(Value::as_str).unwrap_or("");
                    assert!(!text.is_empty(), "{path}.{key} has no description");
                    walk(&format!("{path}.{key}"), value);
                }
            }
            for below in ["additionalProperties", "items"] {
                schema.get(below).into_iter().for_each(|value| walk(path, value));
            }
            schema.get("anyOf").and_then(Value::as_array).into_iter().flatten().for_each(|branch| walk(path, branch));
        }
        walk("", &schema());
    }
}
