//! House tools: the rules of the house that a program can check, and the documents that are generated.
//!
//! **For**: `cargo xtask check` (all rules), one rule by name, and `cargo xtask docs [--check]`.
//!
//! **Guarantees**: reads the workspace, writes nothing but generated documents. Every rule is a pure function over texts with a
//! test that shows it go red, and a test that holds it against this workspace: `cargo test` covers what `make lint` runs.
//!
//! **Start reading** at [`RULES`].
//!
//! **Must not depend on** any crate of the workspace but `model` and `config`, whose tables become documents.

mod bans;
mod compressor;
mod depcheck;
mod dependencies;
mod docs;
mod homes;
mod sizes;
mod tree;
mod words;

use std::io::Write;
use std::process::ExitCode;

use tree::Tree;

/// What a rule found: lines to show, and lines that must not be.
#[derive(Debug, Default)]
struct Report {
    figures: Vec<String>,
    violations: Vec<String>,
}

impl From<Vec<String>> for Report {
    fn from(violations: Vec<String>) -> Self {
        Self { figures: Vec::new(), violations }
    }
}

/// A rule over the workspace. An error means that it could not look, which is no pass.
type Rule = fn(&Tree) -> Result<Report, String>;

/// Every rule by name.
const RULES: [(&str, &str, Rule); 8] = [
    ("depcheck", "the direction of dependencies (DESIGN, Workspace)", depcheck::rule),
    ("bans", "crates that deny.toml bans, held against Cargo.lock", bans::rule),
    ("compressor", "the compressor that decides image digests is the pinned one", compressor::rule),
    ("dependencies", "each direct dependency has its line in docs/DEPENDENCIES.md", dependencies::rule),
    ("lint-homes", "lints are allowed away only at home", homes::rule),
    ("sizes", "source files stay short", sizes::rule),
    ("words", "no path of a machine in the tree", words::rule),
    ("docs", "generated documents are up to date", docs::rule),
];

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let mut out = std::io::stdout().lock();
    let done = match arguments.as_slice() {
        ["check"] => run(&RULES, &mut out),
        ["docs"] => docs::write(&tree::root()).map(|written| {
            written.iter().for_each(|path| drop(writeln!(out, "wrote {path}")));
            true
        }),
        ["docs", "--check"] => run(&[("docs", "", docs::rule)], &mut out),
        [name] if RULES.iter().any(|(rule, _, _)| rule == name) => {
            let one: Vec<_> = RULES.into_iter().filter(|(rule, _, _)| rule == name).collect();
            run(&one, &mut out)
        }
        _ => {
            drop(writeln!(out, "usage: cargo xtask check | docs [--check] | <rule>\n\nrules:"));
            RULES.iter().for_each(|(name, about, _)| drop(writeln!(out, "  {name:<14}{about}")));
            return ExitCode::from(2);
        }
    };
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            drop(writeln!(out, "error: {error}"));
            ExitCode::FAILURE
        }
    }
}

/// Runs rules and says what they found; `false` if any was broken.
fn run(rules: &[(&str, &str, Rule)], out: &mut impl Write) -> Result<bool, String> {
    let tree = Tree::read(&tree::root())?;
    let mut good = true;
    for (name, _, rule) in rules {
        let report = rule(&tree).map_err(|error| format!("{name}: {error}"))?;
        let word = if report.violations.is_empty() { "ok" } else { "BROKEN" };
        drop(writeln!(out, "{name:<14}{word:<8}{}", report.figures.join(", ")));
        report.violations.iter().for_each(|violation| drop(writeln!(out, "  {violation}")));
        good &= report.violations.is_empty();
    }
    Ok(good)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `cargo test` covers what `make lint` runs: every rule holds for this workspace.
    #[test]
    fn the_house_is_in_order() {
        let tree = Tree::read(&tree::root()).unwrap();
        let broken: Vec<String> = RULES
            .iter()
            .flat_map(|(name, _, rule)| {
                rule(&tree).unwrap().violations.into_iter().map(move |violation| format!("{name}: {violation}"))
            })
            .collect();
        assert!(broken.is_empty(), "{}", broken.join("\n"));
    }

    #[test]
    fn a_broken_rule_is_said_and_is_no_success() {
        fn broken(_: &Tree) -> Result<Report, String> {
            Ok(vec!["something".to_owned()].into())
        }
        let mut out = Vec::new();
        assert_eq!(run(&[("rule", "", broken)], &mut out), Ok(false));
        assert_eq!(String::from_utf8(out).unwrap(), "rule          BROKEN  \n  something\n");
    }
}
