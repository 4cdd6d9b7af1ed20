//! The gate of a rung, from the configuration.

use std::collections::BTreeMap;
use std::path::Path;

use schleuse_config::policy::{Check as Configured, Rung};
use schleuse_config::{Against, CheckName, env};
use schleuse_gate::{CheckIdError, CommandCheck, Gate};
use schleuse_model::{Digest, Exit, Explain};

use crate::context::Context;
use crate::failure::Failure;
use crate::files;
use crate::project::Project;

/// A script larger than this is not one; the gate refuses it too.
const SCRIPT_LIMIT: usize = 16 << 20;

/// The most of an `env_file` that is read.
const VARIABLES_LIMIT: usize = 1 << 20;

/// What a check's program may see of the environment. Never a key, a password or a token: checks run foreign code (DESIGN §13).
const PASSED_ON: [&str; 6] = ["HOME", "LANG", "LC_ALL", "TZ", "TMPDIR", "CI"];

/// A rung names a check that cannot be.
#[derive(Debug, thiserror::Error)]
pub(crate) enum GateProblem {
    /// The file has no such check.
    #[error("there is no [check.{0}]")]
    NoSuchCheck(CheckName),
    /// Nothing runs a check after the rollout yet; leaving it out would be skipping it silently.
    #[error("[check.{0}] runs against the environment, and checks after a rollout come later")]
    NotYet(CheckName),
    /// Its name does not fit.
    #[error(transparent)]
    Name(#[from] CheckIdError),
    /// A line of an `env_file` is none.
    #[error("line {line} of {file} is not NAME=value")]
    Variable {
        /// The file.
        file: String,
        /// Which line, from 1.
        line: usize,
    },
}

impl Explain for GateProblem {
    fn exit(&self) -> Exit {
        Exit::Usage
    }
}

/// The gate at the entrance of `rung`.
pub(crate) fn gate(context: &Context, project: &Project, rung: &Rung) -> Result<Gate, Failure> {
    let mut checks = Vec::new();
    for name in &rung.checks {
        let configured = project.config.policy.checks.get(name);
        let configured = configured.ok_or_else(|| GateProblem::NoSuchCheck(name.clone()))?;
        checks.push(command(context, project, name, configured)?.into_check());
    }
    Ok(Gate::new(rung.soak, checks)?)
}

fn command(
    context: &Context,
    project: &Project,
    name: &CheckName,
    configured: &Configured,
) -> Result<CommandCheck, Failure> {
    if configured.against == Against::Environment {
        return Err(GateProblem::NotYet(name.clone()).into());
    }
    let mut scripts = BTreeMap::new();
    for argument in &configured.run {
        // Only files of the checkout: `/bin/sh` is the machine's, and differs between machines that do the same.
        let path = project.root.join(argument);
        if !Path::new(argument).is_absolute() && path.is_file() {
            scripts.insert(argument.clone(), Digest::sha256(&files::read(&path, SCRIPT_LIMIT)?));
        }
    }
    let passed_on =
        PASSED_ON.iter().filter_map(|name| Some(((*name).to_owned(), context.variables.get(name)?.to_owned())));
    Ok(CommandCheck {
        id: name.as_str().parse().map_err(GateProblem::Name)?,
        argv: configured.run.clone(),
        timeout: configured.timeout,
        scripts,
        folder: project.root.clone(),
        search_path: context.environment.get(&env::PATH).unwrap_or("/usr/bin:/bin").into(),
        env: passed_on.collect(),
        secret_env: BTreeMap::new(),
    })
}

/// Reads an `env_file`: `NAME=value` a line, as `docker run --env-file` has it: no quotes, no expansion; `#` starts a comment.
pub(crate) fn variables(path: &Path) -> Result<BTreeMap<String, String>, Failure> {
    let bytes = files::read(path, VARIABLES_LIMIT)?;
    Ok(parse_variables(&String::from_utf8_lossy(&bytes), &path.display().to_string())?)
}

fn parse_variables(text: &str, file: &str) -> Result<BTreeMap<String, String>, GateProblem> {
    let mut variables = BTreeMap::new();
    for (at, line) in text.lines().enumerate() {
        if line.trim().is_empty() || line.trim_start().starts_with('#') {
            continue;
        }
        let pair = line.split_once('=').filter(|(name, _)| !name.is_empty() && !name.contains(char::is_whitespace));
        let Some((name, value)) = pair else {
            return Err(GateProblem::Variable { file: file.to_owned(), line: at + 1 });
        };
        variables.insert(name.to_owned(), value.to_owned());
    }
    Ok(variables)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variable_files() {
        let read = parse_variables("# a comment\nA=1\n\nB=x=y \"z\"\n", "x.env").unwrap();
        assert_eq!(read.get("B").map(String::as_str), Some("x=y \"z\""));
        let error = parse_variables("A=1\nsecret value\n", "x.env").unwrap_err();
        assert_eq!(error.to_string(), "line 2 of x.env is not NAME=value", "the line itself may be a secret");
    }
}
