//! May the image that a commit has already be used instead of building it again (DESIGN §13)?

use std::fmt;

use schleuse_model::Commit;
use schleuse_model::predicate::provenance::{BUILD_TYPE, Provenance};

use super::provenance::{COMMIT, REPOSITORY, WORKFLOW};
use crate::path::printable;

/// What this run would build from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BuildIdentity {
    /// The source repository's address.
    pub repository: String,
    /// The commit.
    pub commit: Commit,
    /// The CI workflow; `None` on a laptop.
    pub workflow: Option<String>,
}

/// Whether an image is reused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reuse {
    /// It is what this run would build.
    Yes,
    /// It is not: build.
    No(Mismatch),
}

/// Why an image is not reused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Mismatch {
    /// Built in another way, whose parameters we cannot read.
    BuildType {
        /// Its build type, shortened.
        found: String,
    },
    /// A parameter has another value, or is missing, or is one too many.
    Parameter {
        /// Which, shortened.
        name: String,
        /// The value this run has.
        wanted: Option<String>,
        /// The value in the provenance, shortened.
        found: Option<String>,
    },
    /// The source among the dependencies is not the one among the parameters.
    Source,
}

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let value = |value: &Option<String>| value.as_ref().map_or("none".to_owned(), |value| format!("`{value}`"));
        match self {
            Self::BuildType { found } => write!(f, "its build type is `{found}`, not `{BUILD_TYPE}`"),
            Self::Parameter { name, wanted, found } => {
                write!(f, "its {name} is {}, this run's is {}", value(found), value(wanted))
            }
            Self::Source => f.write_str("its provenance names another source than it was asked to build"),
        }
    }
}

/// Judges a provenance whose signature, role and subject were verified already: without that this says nothing. Every parameter
/// must be known and equal (SLSA: a verifier rejects parameters it does not know).
pub fn reuse(provenance: &Provenance, want: &BuildIdentity) -> Reuse {
    let definition = &provenance.build_definition;
    if definition.build_type != BUILD_TYPE {
        return Reuse::No(Mismatch::BuildType { found: printable(definition.build_type.as_bytes()) });
    }
    let wanted = [
        (REPOSITORY, Some(want.repository.as_str())),
        (COMMIT, Some(want.commit.as_str())),
        (WORKFLOW, want.workflow.as_deref()),
    ];
    let unknown = definition.external_parameters.keys().filter(|name| wanted.iter().all(|(known, _)| known != name));
    let names = wanted.into_iter().chain(unknown.map(|name| (name.as_str(), None)));
    for (name, wanted) in names {
        let found = definition.external_parameters.get(name).map(String::as_str);
        if found != wanted {
            return Reuse::No(Mismatch::Parameter {
                name: printable(name.as_bytes()),
                wanted: wanted.map(str::to_owned),
                found: found.map(|found| printable(found.as_bytes())),
            });
        }
    }
    let source = definition.resolved_dependencies.iter().any(|dependency| {
        dependency.uri.as_deref() == Some(&want.repository)
            && dependency.digest.get("gitCommit").map(String::as_str) == Some(want.commit.as_str())
    });
    if source { Reuse::Yes } else { Reuse::No(Mismatch::Source) }
}

#[cfg(test)]
mod tests {
    use schleuse_model::predicate::provenance::{BuildDefinition, Builder, Provenance, ResourceDescriptor, RunDetails};

    use super::*;

    fn want() -> BuildIdentity {
        BuildIdentity {
            repository: "https://github.com/acme/billing".to_owned(),
            commit: "4f2a".repeat(10).parse().unwrap(),
            workflow: Some(".github/workflows/build-and-sign.yml".to_owned()),
        }
    }

    fn provenance() -> Provenance {
        let want = want();
        let parameters = [
            (REPOSITORY, want.repository.clone()),
            (COMMIT, want.commit.to_string()),
            (WORKFLOW, want.workflow.clone().unwrap()),
        ];
        Provenance {
            build_definition: BuildDefinition {
                build_type: BUILD_TYPE.to_owned(),
                external_parameters: parameters.map(|(name, value)| (name.to_owned(), value)).into(),
                resolved_dependencies: vec![ResourceDescriptor::git(&want.repository, &want.commit)],
            },
            run_details: RunDetails { builder: Builder { id: "x".to_owned() }, metadata: None },
        }
    }

    #[test]
    fn the_same_repository_commit_and_workflow() {
        assert_eq!(reuse(&provenance(), &want()), Reuse::Yes);
    }

    #[test]
    fn each_difference_alone_builds_again() {
        type Change = fn(&mut BuildDefinition);
        let changes: [(Change, &str); 7] = [
            (
                |d| d.build_type = "https://example.org/other".to_owned(),
                "its build type is `https://example.org/other`",
            ),
            (
                |d| drop(d.external_parameters.insert(REPOSITORY.into(), "https://github.com/mallory/billing".into())),
                "its repository is",
            ),
            (|d| drop(d.external_parameters.insert(COMMIT.into(), "0".repeat(40))), "its commit is"),
            (
                |d| drop(d.external_parameters.insert(WORKFLOW.into(), "evil.yml\u{1b}[2J".into())),
                "its workflow is `evil.yml\u{fffd}[2J`",
            ),
            (|d| drop(d.external_parameters.remove(WORKFLOW)), "its workflow is none"),
            (
                |d| drop(d.external_parameters.insert("target".into(), "x".into())),
                "its target is `x`, this run's is none",
            ),
            (|d| d.resolved_dependencies.clear(), "its provenance names another source"),
        ];
        for (change, says) in changes {
            let mut provenance = provenance();
            change(&mut provenance.build_definition);
            let Reuse::No(reason) = reuse(&provenance, &want()) else { panic!("reused: {says}") };
            assert!(reason.to_string().starts_with(says), "{reason}");
        }
    }

    #[test]
    fn a_laptop_does_not_reuse_what_ci_built_and_the_reverse() {
        let laptop = BuildIdentity { workflow: None, ..want() };
        assert!(matches!(reuse(&provenance(), &laptop), Reuse::No(Mismatch::Parameter { .. })));
    }
}
