//! Build provenance: who is said to have built an image, and whether that was said already.

use schleuse_config::env::{self, Environment};
use schleuse_image::manifest::{Reuse, provenance, reuse};
use schleuse_image::{BuildIdentity, BuildManifest, RunInfo};
use schleuse_model::json;
use schleuse_model::predicate::SLSA_PROVENANCE_V1;
use schleuse_model::predicate::provenance::Provenance;
use schleuse_model::{PinnedRef, Timestamp};
use schleuse_sign::fetch::attestation_candidates;
use schleuse_sign::verify::ATTESTATION_LIMIT;
use schleuse_sign::{
    Limits, Role, Signer, Source, Statement, Store, Trust, TrustedKey, attach_statement, attestations,
};

use crate::failure::Failure;
use crate::subjects;

/// The CI workflow this run belongs to, such as `.github/workflows/build.yml`; `None` outside GitHub Actions.
pub(crate) fn workflow(environment: &Environment) -> Option<String> {
    // `owner/name/.github/workflows/build.yml@refs/heads/main`
    let (path, _) = environment.get(&env::GITHUB_WORKFLOW_REF)?.split_once('@')?;
    let path = environment.get(&env::GITHUB_REPOSITORY).and_then(|name| path.strip_prefix(name)).unwrap_or(path);
    Some(path.trim_start_matches('/').to_owned())
}

/// Which run this is. On a laptop: this machine, which nobody but its owner has reason to trust.
pub(crate) fn run_info(environment: &Environment) -> RunInfo {
    let get = |variable| environment.get(variable);
    let server = get(&env::GITHUB_SERVER_URL).unwrap_or("https://github.com");
    let builder_id = match get(&env::GITHUB_WORKFLOW_REF) {
        Some(workflow) => format!("{server}/{workflow}"),
        None => format!("urn:schleuse:machine:{}", machine()),
    };
    let run = get(&env::GITHUB_REPOSITORY).zip(get(&env::GITHUB_RUN_ID));
    let attempt = get(&env::GITHUB_RUN_ATTEMPT).unwrap_or("1");
    let invocation_id = run.map(|(name, id)| format!("{server}/{name}/actions/runs/{id}/attempts/{attempt}"));
    RunInfo { builder_id, invocation_id, started_on: None, finished_on: None }
}

fn machine() -> String {
    let name = nix::unistd::gethostname().ok().and_then(|name| name.into_string().ok()).unwrap_or_default();
    let word = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-');
    if name.is_empty() || !name.chars().all(word) { "unknown".to_owned() } else { name }
}

/// What was found about an image's origin.
#[derive(Debug)]
pub(crate) enum Origin {
    /// A trusted key says it is from exactly there.
    Proven(Box<Provenance>),
    /// Trusted keys say it is from elsewhere: the first difference.
    Elsewhere(String),
    /// No trusted key says anything.
    Unknown,
}

/// What keys trusted for `build` say about where `image` comes from, against what this run would build from.
pub(crate) async fn origin(
    source: Source<'_>,
    image: &PinnedRef,
    trust: &Trust,
    want: &BuildIdentity,
) -> Result<Origin, Failure> {
    let candidates = attestation_candidates(source, image, SLSA_PROVENANCE_V1, Limits::ATTESTATIONS).await?;
    let found = attestations(image.digest(), &candidates, trust, Role::Build, SLSA_PROVENANCE_V1);
    let mut origin = Origin::Unknown;
    for statement in &found.accepted {
        // A statement of ours that is no provenance says nothing about the origin; the next one may.
        let bytes = statement.statement().predicate_bytes();
        let Ok(provenance) = json::from_untrusted::<Provenance>(bytes, ATTESTATION_LIMIT) else { continue };
        match reuse(&provenance, want) {
            Reuse::Yes => return Ok(Origin::Proven(Box::new(provenance))),
            Reuse::No(mismatch) => origin = Origin::Elsewhere(mismatch.to_string()),
        }
    }
    Ok(origin)
}

/// Attests that `image` is the build recorded in `build`. `false`: this key has said so already.
pub(crate) async fn attest(
    store: Store<'_>,
    image: &PinnedRef,
    build: &BuildManifest,
    run: RunInfo,
    signer: &dyn Signer,
    now: Timestamp,
) -> Result<bool, Failure> {
    let own = Trust::new([TrustedKey::new(signer.public_key().clone(), [Role::Build])])?;
    if let Origin::Proven(_) = origin(store.source(), image, &own, &identity(build)).await? {
        return Ok(false);
    }
    let subject = subjects::manifest(store.pull, image).await?.descriptor();
    let predicate = predicate(build, run);
    let statement = Statement::new(SLSA_PROVENANCE_V1, image.repository().to_string(), image.digest(), predicate)
        .map_err(schleuse_sign::Error::from)?;
    attach_statement(store, image, &subject, &statement, signer, now).await?;
    Ok(true)
}

/// The SLSA provenance of `build`, made by `run`, as JSON.
pub(crate) fn predicate(build: &BuildManifest, run: RunInfo) -> Vec<u8> {
    json::to_bytes(&provenance(build, run))
}

/// What `build` says it was built from.
pub(crate) fn identity(build: &BuildManifest) -> BuildIdentity {
    let BuildManifest { source, commit, workflow, .. } = build;
    BuildIdentity { repository: source.clone(), commit: commit.clone(), workflow: workflow.clone() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn environment(variables: &[(&str, &str)]) -> Environment {
        Environment::capture(variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())))
    }

    #[test]
    fn a_run_in_actions_names_its_workflow_and_its_address() {
        let github = environment(&[
            ("GITHUB_SERVER_URL", "https://github.com"),
            ("GITHUB_REPOSITORY", "acme/billing"),
            ("GITHUB_WORKFLOW_REF", "acme/billing/.github/workflows/build.yml@refs/heads/main"),
            ("GITHUB_RUN_ID", "77"),
        ]);
        assert_eq!(workflow(&github).as_deref(), Some(".github/workflows/build.yml"));
        let run = run_info(&github);
        assert_eq!(run.builder_id, "https://github.com/acme/billing/.github/workflows/build.yml@refs/heads/main");
        let address = "https://github.com/acme/billing/actions/runs/77/attempts/1";
        assert_eq!(run.invocation_id.as_deref(), Some(address));
    }

    #[test]
    fn a_laptop_names_itself() {
        let laptop = environment(&[]);
        assert_eq!(workflow(&laptop), None);
        assert!(run_info(&laptop).builder_id.starts_with("urn:schleuse:machine:"));
    }
}
