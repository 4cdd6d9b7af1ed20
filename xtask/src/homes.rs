//! Lints that guard a door are allowed away only where the door is.
//!
//! `clippy.toml` forbids clocks, the environment, processes and raw JSON everywhere; the one place that needs each says
//! `#[allow(…, reason = "…")]`. This rule keeps that place the only one.

use crate::Report;
use crate::tree::Tree;

/// The homes: file, lint, and what lives there.
const HOMES: &[(&str, &str, &str)] = &[
    ("crates/cli/src/environment.rs", "clippy::disallowed_methods", "the process environment"),
    ("crates/cli/src/start.rs", "clippy::exit", "where the exit code is made, and the main thread is stuck"),
    (
        "crates/deploy/src/local/init/inner.rs",
        "clippy::disallowed_methods",
        "process 1 of a release starts its program",
    ),
    ("crates/deploy/src/local/init/supervisor.rs", "clippy::disallowed_methods", "the supervisor starts process 1"),
    ("crates/model/src/clock.rs", "clippy::disallowed_methods", "the wall clock"),
    ("crates/model/src/json.rs", "clippy::disallowed_methods", "untrusted JSON"),
    ("crates/process/src/run.rs", "clippy::disallowed_methods", "starting programs"),
    ("crates/testkit/src/certificates.rs", "clippy::disallowed_methods", "a peer that makes certificates"),
    ("crates/testkit/src/docker_registry.rs", "clippy::disallowed_methods", "a peer that runs beside a test"),
    ("crates/testkit/src/peers.rs", "clippy::disallowed_methods", "where tests find their peers"),
];

/// The lints that have homes.
const GUARDED: [&str; 6] = [
    "clippy::disallowed_methods",
    "clippy::disallowed_types",
    "clippy::print_stdout",
    "clippy::print_stderr",
    "clippy::exit",
    "unsafe_code",
];

/// Holds every production source against the table, and the table against the sources.
pub(crate) fn rule(tree: &Tree) -> Result<Report, String> {
    let sources: Vec<(&str, String)> = tree.sources().map(|(path, lines)| (path, lines.join("\n"))).collect();
    Ok(Report { figures: vec![format!("{} homes", HOMES.len())], violations: check(&sources, HOMES) })
}

fn check(sources: &[(&str, String)], homes: &[(&str, &str, &str)]) -> Vec<String> {
    let mut violations = Vec::new();
    let mut empty = homes.to_vec();
    for (path, text) in sources {
        for (line, attribute) in attributes(text) {
            if !attribute.contains("reason") {
                violations.push(format!("{path}:{line}: a lint is allowed away without a reason"));
            }
            for lint in GUARDED.into_iter().filter(|lint| names(&attribute, lint)) {
                empty.retain(|(home, of, _)| home != path || *of != lint);
                if !homes.iter().any(|(home, of, _)| home == path && *of == lint) {
                    violations.push(format!("{path}:{line}: {lint} may be allowed only at home (xtask/src/homes.rs)"));
                }
            }
        }
    }
    violations
        .extend(empty.iter().map(|(home, lint, _)| format!("{home} is a home of {lint}, but nothing there needs it")));
    violations
}

/// The lint lists of `#[allow(…)]`, `#![allow(…)]`, `#[expect(…)]`, and those within `cfg_attr`, with their line.
fn attributes(text: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    for opening in ["allow(", "expect("] {
        for (at, _) in text.match_indices(opening) {
            let line_start = text[..at].rfind('\n').map_or(0, |newline| newline + 1);
            let before = text[line_start..at].trim_start();
            let starts = matches!(before, "#[" | "#![")
                || before.starts_with("#[cfg_attr(")
                || before.starts_with("#![cfg_attr(");
            if starts {
                let list = &text[at + opening.len()..];
                let end = list.find(")]").unwrap_or(list.len());
                found.push((text[..at].matches('\n').count() + 1, list[..end].to_owned()));
            }
        }
    }
    found
}

fn names(attribute: &str, lint: &str) -> bool {
    attribute.split([',', '(', ')']).any(|part| part.trim() == lint)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOME: &[(&str, &str, &str)] = &[("home.rs", "clippy::disallowed_methods", "the clock")];
    const ALLOW: &str = "fn a() {}\n    #[allow(clippy::disallowed_methods, reason = \"why\")]\nfn b() {}";

    fn found(path: &str, text: &str) -> Vec<String> {
        check(&[("home.rs", ALLOW.to_owned()), (path, text.to_owned())], HOME)
    }

    #[test]
    fn an_empty_home_is_found() {
        assert_eq!(check(&[], HOME), ["home.rs is a home of clippy::disallowed_methods, but nothing there needs it"]);
    }

    #[test]
    fn at_home_and_nowhere_else() {
        assert!(check(&[("home.rs", ALLOW.to_owned())], HOME).is_empty());
        assert_eq!(
            found("elsewhere.rs", ALLOW),
            ["elsewhere.rs:2: clippy::disallowed_methods may be allowed only at home (xtask/src/homes.rs)"]
        );
        assert_eq!(found("home.rs", "#[expect(unsafe_code, reason = \"why\")]").len(), 1);
    }

    #[test]
    fn over_several_lines_for_a_whole_file_and_by_condition() {
        for text in [
            "#[allow(\n    clippy::large_enum_variant,\n    clippy::print_stdout,\n    reason = \"why\"\n)]",
            "#![allow(clippy::exit, reason = \"why\")]",
            "#[cfg_attr(unix, allow(unsafe_code, reason = \"why\"))]",
        ] {
            assert_eq!(found("elsewhere.rs", text).len(), 1, "{text}");
        }
    }

    #[test]
    fn a_lint_without_a_reason() {
        assert_eq!(
            found("a.rs", "#[allow(clippy::large_futures)]"),
            ["a.rs:1: a lint is allowed away without a reason"]
        );
        assert!(found("a.rs", "result.expect(\"unsafe_code\")").is_empty());
    }
}
