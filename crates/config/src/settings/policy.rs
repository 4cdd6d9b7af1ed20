//! `[check.<name>]`, `checks`, `soak`, `commit`: from the file, and from nowhere else.

use std::collections::BTreeMap;
use std::time::Duration;

use schleuse_model::EnvironmentName;

use super::reader::Reader;
use super::trust;
use crate::document::KeyPath;
use crate::error::{Help, Rule, What, clip};
use crate::policy::{Against, Check, CheckName, CommitMode, Policy, Rung};
use crate::{Origin, raw};

/// How long a check may take where the file does not say it.
const DEFAULT_CHECK_TIMEOUT: Duration = Duration::from_secs(300);

pub(super) fn read(file: &raw::File, reader: &mut Reader<'_>) -> Policy {
    let commit = match file.commit {
        None | Some(raw::Commit::Auto) => CommitMode::Auto,
        Some(raw::Commit::Registry) => CommitMode::Registry,
        Some(raw::Commit::Git) => CommitMode::Git,
    };
    let path = KeyPath::of(&["commit"]);
    let origin = if file.commit.is_some() { reader.origin(&path) } else { Origin::Default };
    let word = match commit {
        CommitMode::Auto => "auto",
        CommitMode::Registry => "registry",
        CommitMode::Git => "git",
    };
    reader.show(&path, word, &origin);
    Policy {
        commit,
        ladder: ladder(file, reader),
        checks: checks(file, reader),
        trust: trust::read(file.trust.as_ref(), reader),
    }
}

fn ladder(file: &raw::File, reader: &mut Reader<'_>) -> Vec<Rung> {
    let mut rungs = Vec::new();
    // Checks that are defined, even wrongly: a mistake in one is reported once, where it is.
    let defined = reader.keys_in_order("check");
    for name in reader.keys_in_order("environment") {
        let path = KeyPath::of(&["environment", &name]);
        let parsed = match name.parse::<EnvironmentName>() {
            Ok(parsed) => parsed,
            Err(error) => {
                reader.wrong(&path, What::EnvironmentName(error));
                continue;
            }
        };
        let Some(raw) = file.environment.get(&name) else { continue };
        let checks = named_checks(&raw.checks, &defined, &path.key("checks"), reader);
        let soak = reader.duration(&path.key("soak"), raw.soak.as_deref(), Duration::ZERO);
        rungs.push(Rung { name: parsed, checks, soak });
    }
    rungs
}

fn named_checks(names: &[String], defined: &[String], path: &KeyPath, reader: &mut Reader<'_>) -> Vec<CheckName> {
    let mut checks: Vec<CheckName> = Vec::new();
    for (at, text) in names.iter().enumerate() {
        let at = path.index(at);
        if text == CheckName::SIGNATURE {
            reader.rule(&at, Rule::SignatureIsBuiltIn);
        } else if !defined.contains(text) {
            let help = Help::near(text, defined.iter().map(String::as_str));
            reader.wrong(&at, What::UnknownCheck { key: at.to_string(), value: clip(text), help });
        } else if let Some(name) = CheckName::new(text) {
            if checks.contains(&name) {
                reader.rule(&at, Rule::Twice);
            }
            checks.push(name);
        }
    }
    if !checks.is_empty() {
        reader.show(path, checks.iter().map(CheckName::as_str).collect::<Vec<_>>().join(" "), &reader.origin(path));
    }
    checks
}

fn checks(file: &raw::File, reader: &mut Reader<'_>) -> BTreeMap<CheckName, Check> {
    let mut checks = BTreeMap::new();
    for (name, raw) in &file.check {
        let path = KeyPath::of(&["check", name]);
        if name == CheckName::SIGNATURE {
            reader.rule(&path, Rule::SignatureIsBuiltIn);
            continue;
        }
        let parsed = CheckName::new(name);
        reader.need(parsed.is_some(), &path, name, "a name of 1 to 32 of a-z, 0-9 and `-`, starting with a letter,");
        let run = path.key("run");
        let named = raw.run.first().is_some_and(|program| !program.is_empty());
        reader.need(named, &run, "", "a program with its arguments");
        reader.arguments(&run, &raw.run);
        reader.show(&run, clip(&raw.run.join(" ")), &reader.origin(&run));
        let timeout = path.key("timeout");
        let limit = reader.duration(&timeout, raw.timeout.as_deref(), DEFAULT_CHECK_TIMEOUT);
        if limit.is_zero() {
            reader.rule(&timeout, Rule::Zero);
        }
        let against = match raw.against {
            None | Some(raw::Against::Candidate) => Against::Candidate,
            Some(raw::Against::Environment) => Against::Environment,
        };
        let word = if against == Against::Candidate { "candidate" } else { "environment" };
        let path = path.key("against");
        let origin = if raw.against.is_some() { reader.origin(&path) } else { Origin::Default };
        reader.show(&path, word, &origin);
        if let Some(parsed) = parsed {
            checks.insert(parsed, Check { run: raw.run.clone(), timeout: limit, against });
        }
    }
    checks
}
