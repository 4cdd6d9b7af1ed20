//! The direction of dependencies: who may name whom.

use std::collections::BTreeMap;

use cargo_metadata::{DependencyKind, MetadataCommand};

use crate::Report;
use crate::tree::Tree;

/// Which crates of the workspace a crate may depend on. `cli`, `testkit`, `e2e` and `xtask` are in [`FREE`].
const ALLOWED: [(&str, &[&str]); 13] = [
    ("model", &[]),
    ("process", &["model"]),
    ("oci", &["model"]),
    ("client", &["model", "process", "oci"]),
    ("image", &["model", "process", "oci"]),
    ("registry", &["model", "oci"]),
    ("sign", &["model", "oci"]),
    ("journal", &["model", "process", "oci", "sign"]),
    ("gate", &["model", "process", "sign", "scan"]),
    ("health", &["model"]),
    ("deploy", &["model", "process", "oci", "image", "journal"]),
    ("promote", &["model", "process", "oci", "sign", "journal", "gate", "deploy", "health"]),
    ("config", &["model", "process"]),
];

/// Crates that put the others together. Nothing may depend on them.
const FREE: [&str; 4] = ["cli", "testkit", "e2e", "properties"];

/// External crates with one home.
const RESERVED: [(&str, &str); 11] = [
    ("clap", "cli"),
    ("clap_complete", "cli"),
    ("crossterm", "cli"),
    ("indicatif", "cli"),
    ("ratatui", "cli"),
    ("reqwest", "client"),
    ("p256", "sign"),
    ("p384", "sign"),
    ("ed25519-dalek", "sign"),
    ("ring", "sign"),
    ("cargo_metadata", "xtask"),
];

/// One `[dependencies]` line.
struct Edge {
    from: String,
    to: String,
    for_tests: bool,
}

/// Holds the workspace's `cargo metadata` against the tables.
pub(crate) fn rule(tree: &Tree) -> Result<Report, String> {
    let metadata = MetadataCommand::new()
        .manifest_path(tree.root.join("Cargo.toml"))
        .no_deps()
        .exec()
        .map_err(|error| format!("cargo metadata: {error}"))?;
    let mut edges = Vec::new();
    let mut members = Vec::new();
    for package in &metadata.packages {
        members.push(short(&package.name).to_owned());
        edges.extend(package.dependencies.iter().map(|dependency| Edge {
            from: short(&package.name).to_owned(),
            to: short(&dependency.name).to_owned(),
            for_tests: dependency.kind == DependencyKind::Development,
        }));
    }
    let mut violations = check(&members, &edges);
    violations.extend(versions(tree)?);
    Ok(Report { figures: vec![format!("{} crates", members.len())], violations })
}

fn short(name: &str) -> &str {
    name.strip_prefix("schleuse-").unwrap_or(name)
}

fn check(members: &[String], edges: &[Edge]) -> Vec<String> {
    let allowed: BTreeMap<&str, &[&str]> = ALLOWED.into_iter().collect();
    let mut violations = Vec::new();
    for member in members.iter().map(String::as_str) {
        if !allowed.contains_key(member) && !FREE.contains(&member) && member != "xtask" {
            violations.push(format!("{member} is not in xtask/src/depcheck.rs: say what it may depend on"));
        }
    }
    for Edge { from, to, for_tests } in edges {
        let inside = members.contains(to);
        if let Some((_, home)) = RESERVED.iter().find(|(name, _)| name == to) {
            if from != home && !for_tests {
                violations.push(format!("{from} names {to}; only {home} may"));
            }
        } else if inside && FREE.contains(&to.as_str()) && !for_tests && !FREE.contains(&from.as_str()) {
            violations.push(format!("{from} depends on {to}, which puts the others together"));
        } else if inside && !for_tests && !FREE.contains(&from.as_str()) {
            let may = match from.as_str() {
                "xtask" => &["model", "config"],
                from => allowed.get(from).copied().unwrap_or(&[]),
            };
            if !may.contains(&to.as_str()) {
                violations.push(format!("{from} depends on {to}; it may depend on [{}]", may.join(", ")));
            }
        }
    }
    violations
}

/// Where fuzz targets are: a workspace of its own, as they need instrumented builds.
const APART: &str = "fuzz/";

/// One place for versions and features: every dependency of a member says `workspace = true`.
fn versions(tree: &Tree) -> Result<Vec<String>, String> {
    let mut violations = Vec::new();
    for (path, text) in tree.files.iter().filter(|(path, _)| path.ends_with("/Cargo.toml") && !path.starts_with(APART))
    {
        let manifest: toml::Table = text.parse().map_err(|error| format!("{path}: {error}"))?;
        violations.extend(
            own_versions(&manifest).into_iter().map(|name| format!("{path}: {name} must say workspace = true")),
        );
    }
    Ok(violations)
}

fn own_versions(manifest: &toml::Table) -> Vec<String> {
    let mut tables: Vec<&toml::Table> = vec![manifest];
    tables.extend(
        manifest
            .get("target")
            .and_then(toml::Value::as_table)
            .into_iter()
            .flat_map(|targets| targets.values().filter_map(toml::Value::as_table)),
    );
    let sections = ["dependencies", "dev-dependencies", "build-dependencies"];
    tables
        .into_iter()
        .flat_map(|table| sections.iter().filter_map(|section| table.get(*section).and_then(toml::Value::as_table)))
        .flatten()
        .filter(|(_, value)| value.get("workspace").and_then(toml::Value::as_bool) != Some(true))
        .map(|(name, _)| name.clone())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(from: &str, to: &str, for_tests: bool) -> Vec<String> {
        let members =
            ["model", "oci", "client", "registry", "sign", "promote", "cli", "testkit", "xtask"].map(str::to_owned);
        check(&members, &[Edge { from: from.to_owned(), to: to.to_owned(), for_tests }])
    }

    #[test]
    fn the_allowed_direction_is_allowed() {
        for (from, to) in
            [("oci", "model"), ("promote", "sign"), ("cli", "client"), ("testkit", "registry"), ("sign", "serde")]
        {
            assert!(found(from, to, false).is_empty(), "{from} -> {to}");
        }
        assert!(found("client", "registry", true).is_empty() && found("client", "testkit", true).is_empty());
    }

    #[test]
    fn the_wrong_direction_is_found() {
        for (from, to) in [
            ("model", "oci"),
            ("promote", "client"),
            ("promote", "registry"),
            ("sign", "client"),
            ("client", "registry"),
            ("client", "testkit"),
            ("model", "cli"),
            ("promote", "clap"),
            ("promote", "reqwest"),
            ("xtask", "client"),
        ] {
            assert_eq!(found(from, to, false).len(), 1, "{from} -> {to}");
        }
    }

    #[test]
    fn a_crate_nobody_placed_is_found() {
        assert_eq!(check(&["newcomer".to_owned()], &[]).len(), 1);
    }

    #[test]
    fn a_version_of_its_own_is_found() {
        let text = "[dependencies]\na = \"1\"\nb.workspace = true\n[dev-dependencies]\nc = { version = \"2\" }\n[target.'cfg(unix)'.dependencies]\nd = \"1\"";
        assert_eq!(own_versions(&text.parse().unwrap()), ["a", "c", "d"]);
    }
}
