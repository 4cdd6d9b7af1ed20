//! From what was built to a SLSA provenance statement's predicate.

use std::collections::BTreeMap;

use schleuse_model::Timestamp;
use schleuse_model::predicate::provenance::{
    BUILD_TYPE, BuildDefinition, Builder, Metadata, Provenance, ResourceDescriptor, RunDetails,
};

use super::BuildManifest;

/// Which run built it. Times and addresses come from whoever runs the build.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunInfo {
    /// Who is trusted to have run it, a URI: the workflow at a ref in CI, the machine's name otherwise.
    pub builder_id: String,
    /// The CI run's address.
    pub invocation_id: Option<String>,
    /// When the build began.
    pub started_on: Option<Timestamp>,
    /// When it ended.
    pub finished_on: Option<Timestamp>,
}

/// The provenance of `build`: parameters `repository`, `commit` and, in CI, `workflow`; dependencies the source and the base.
pub fn provenance(build: &BuildManifest, run: RunInfo) -> Provenance {
    let mut external_parameters =
        BTreeMap::from([(REPOSITORY.to_owned(), build.source.clone()), (COMMIT.to_owned(), build.commit.to_string())]);
    external_parameters.extend(build.workflow.clone().map(|workflow| (WORKFLOW.to_owned(), workflow)));
    let mut resolved_dependencies = vec![ResourceDescriptor::git(&build.source, &build.commit)];
    resolved_dependencies.extend(build.base.as_ref().map(|base| ResourceDescriptor::image(&base.uri, &base.digest)));
    let RunInfo { builder_id, invocation_id, started_on, finished_on } = run;
    let known = invocation_id.is_some() || started_on.is_some() || finished_on.is_some();
    Provenance {
        build_definition: BuildDefinition {
            build_type: BUILD_TYPE.to_owned(),
            external_parameters,
            resolved_dependencies,
        },
        run_details: RunDetails {
            builder: Builder { id: builder_id },
            metadata: known.then_some(Metadata { invocation_id, started_on, finished_on }),
        },
    }
}

pub(super) const REPOSITORY: &str = "repository";
pub(super) const COMMIT: &str = "commit";
pub(super) const WORKFLOW: &str = "workflow";
