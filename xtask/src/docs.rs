//! Documents that are generated from the code they describe.

mod config;
mod exit_codes;

use std::path::Path;

use crate::Report;
use crate::tree::Tree;

/// Every generated document: its path and its text.
fn generated() -> [(&'static str, String); 3] {
    [
        ("docs/EXIT_CODES.md", exit_codes::text()),
        ("docs/CONFIG.md", config::text()),
        ("schema/schleuse.schema.json", schleuse_config::schema::schema_text()),
    ]
}

/// Holds the files against what would be written.
pub(crate) fn rule(tree: &Tree) -> Result<Report, String> {
    let stale =
        generated().iter().filter_map(|(path, text)| stale(path, tree.files.get(*path), text)).collect::<Vec<_>>();
    Ok(stale.into())
}

fn stale(path: &str, there: Option<&String>, text: &str) -> Option<String> {
    (there.map(String::as_str) != Some(text))
        .then(|| format!("{path} is not what the code says: run `cargo xtask docs`"))
}

/// Writes every document; gives the paths of those that changed.
pub(crate) fn write(root: &Path) -> Result<Vec<&'static str>, String> {
    let mut written = Vec::new();
    for (path, text) in generated() {
        let file = root.join(path);
        if std::fs::read_to_string(&file).ok().as_deref() == Some(&text) {
            continue;
        }
        let save = || {
            std::fs::create_dir_all(file.parent().unwrap_or(root))?;
            std::fs::write(&file, &text)
        };
        save().map_err(|error| format!("{path}: {error}"))?;
        written.push(path);
    }
    Ok(written)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_and_a_stale_document_are_found() {
        assert!(stale("a.md", None, "text").is_some());
        assert!(stale("a.md", Some(&"old".to_owned()), "text").is_some());
        assert_eq!(stale("a.md", Some(&"text".to_owned()), "text"), None);
    }

    #[test]
    fn the_same_code_gives_the_same_bytes() {
        assert_eq!(generated(), generated());
    }
}
