//! A dependency is chosen: each direct one has a line in `docs/DEPENDENCIES.md` that says what for, licence and weight.

use std::collections::BTreeSet;

use crate::Report;
use crate::tree::Tree;

/// The part of the document that lists what is used; after it, what was rejected.
const REJECTED: &str = "## Rejected";

/// Holds `[workspace.dependencies]` against the document.
pub(crate) fn rule(tree: &Tree) -> Result<Report, String> {
    let manifest: toml::Table = tree.file("Cargo.toml")?.parse().map_err(|error| format!("Cargo.toml: {error}"))?;
    let direct = direct(&manifest)?;
    let violations = check(&direct, tree.file("docs/DEPENDENCIES.md")?);
    Ok(Report { figures: vec![format!("{} direct", direct.len())], violations })
}

/// The external crates of `[workspace.dependencies]`.
fn direct(manifest: &toml::Table) -> Result<BTreeSet<String>, String> {
    let table = manifest.get("workspace").and_then(|workspace| workspace.get("dependencies"));
    let table = table.and_then(toml::Value::as_table).ok_or("Cargo.toml has no [workspace.dependencies]")?;
    Ok(table.iter().filter(|(_, value)| value.get("path").is_none()).map(|(name, _)| name.clone()).collect())
}

fn check(direct: &BTreeSet<String>, document: &str) -> Vec<String> {
    let used = document.split(REJECTED).next().unwrap_or("");
    let rows: Vec<(&str, usize)> = used
        .lines()
        .filter_map(|line| line.strip_prefix("| `")?.split_once('`'))
        .map(|(name, rest)| (name, rest.split('|').filter(|cell| !cell.trim().is_empty()).count()))
        .collect();
    let mut violations = Vec::new();
    for name in direct {
        match rows.iter().find(|(row, _)| row == name) {
            None => violations.push(format!("docs/DEPENDENCIES.md has no line for {name}: what for, licence, weight")),
            Some((_, cells)) if *cells < 3 => {
                violations.push(format!("docs/DEPENDENCIES.md: the line of {name} needs what for, licence and weight"));
            }
            Some(_) => {}
        }
    }
    for (name, _) in rows.iter().filter(|(name, _)| !direct.contains(*name)) {
        violations.push(format!("docs/DEPENDENCIES.md lists {name}, which is no direct dependency any more"));
    }
    violations
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dependency_without_a_line_and_a_line_without_a_dependency_are_found() {
        let manifest =
            "[workspace.dependencies]\na = \"1\"\nb = \"1\"\nc = \"1\"\nown = { path = \"x\" }".parse().unwrap();
        let document =
            "| `a` | for this | MIT | 3 |\n| `b` | for that |\n| `d` | x | MIT | 1 |\n## Rejected\n| `e` | why |\n";
        assert_eq!(
            check(&direct(&manifest).unwrap(), document),
            [
                "docs/DEPENDENCIES.md: the line of b needs what for, licence and weight",
                "docs/DEPENDENCIES.md has no line for c: what for, licence, weight",
                "docs/DEPENDENCIES.md lists d, which is no direct dependency any more",
            ]
        );
    }
}
