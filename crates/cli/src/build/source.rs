//! From which source this build is: commit, time, version, repository and workflow.

use schleuse_config::env;
use schleuse_image::{BuildIdentity, SourceInfo};
use schleuse_model::{Commit, Exit, Explain, ReferenceError, Release, Tag, Timestamp};

use crate::context::Context;
use crate::failure::Failure;
use crate::project::Project;
use crate::provenance;

/// What marks the version of an image whose content no commit has (as SemVer build metadata).
const DIRTY: &str = "+dirty";

/// Whether a version label says that the image was built from a changed checkout.
pub(crate) fn is_dirty(version: Option<&str>) -> bool {
    version.is_some_and(|version| version.ends_with(DIRTY))
}

/// What the command line says about the source.
#[derive(clap::Args, Debug)]
pub(crate) struct SourceArgs {
    /// The commit this is [default: the one that is checked out]
    #[arg(long, value_name = "SHA")]
    pub(crate) commit: Option<Commit>,
    /// The version to write into the image
    #[arg(long, value_name = "VERSION")]
    pub(crate) version: Option<String>,
}

/// The source of a build.
#[derive(Clone, Debug)]
pub(crate) struct SourceState {
    pub(crate) commit: Commit,
    /// Tracked files differ from the commit.
    pub(crate) dirty: bool,
    pub(crate) created: Timestamp,
    pub(crate) version: Option<String>,
    pub(crate) repository: String,
    pub(crate) workflow: Option<String>,
}

/// The source cannot be named truthfully.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SourceError {
    /// The files here are another commit's.
    #[error("the checkout is at {head}, not at {commit}")]
    OtherCommit {
        /// Asked for.
        commit: Commit,
        /// Checked out.
        head: Commit,
    },
    /// Not seconds since 1970.
    #[error("SOURCE_DATE_EPOCH is `{0}`, not a number of seconds since 1970")]
    Epoch(String),
    /// Not fit for a label.
    #[error("the version must have 1 to 128 characters, none of them control characters")]
    Version,
}

impl Explain for SourceError {
    fn exit(&self) -> Exit {
        Exit::Usage
    }

    fn hints(&self) -> Vec<String> {
        match self {
            Self::OtherCommit { commit, .. } => vec![format!("check it out first: `git checkout {commit}`")],
            _ => Vec::new(),
        }
    }
}

impl SourceState {
    /// Asks git, flags and environment.
    pub(crate) async fn find(args: &SourceArgs, project: &Project, context: &Context) -> Result<Self, Failure> {
        if args.version.as_deref().is_some_and(|version| Release::clean_version(version).is_none()) {
            return Err(SourceError::Version.into());
        }
        let git = project.git(context);
        let (commit, dirty) = match (&args.commit, git.head().await) {
            (Some(commit), Ok(head)) if *commit != head => {
                return Err(SourceError::OtherCommit { commit: commit.clone(), head }.into());
            }
            (_, Ok(head)) => (head, git.dirty().await?),
            // No checkout (an unpacked archive, an image without git): the caller's word has to do.
            (Some(commit), Err(_)) => (commit.clone(), false),
            (None, Err(error)) => return Err(error.into()),
        };
        let created = match context.environment.get(&env::SOURCE_DATE_EPOCH) {
            Some(text) => epoch(text)?,
            None => git.time(&commit).await?,
        };
        let version = match (&args.version, dirty) {
            (version, false) => version.clone(),
            (version, true) => Some(format!("{}{DIRTY}", version.as_deref().unwrap_or(commit.short()))),
        };
        let repository = project.source(context).await?;
        let workflow = provenance::workflow(&context.environment);
        Ok(Self { commit, dirty, created, version, repository, workflow })
    }

    /// `sha-<commit>`; a changed checkout's image gets a tag of its own, so that nothing takes it for the commit's.
    pub(crate) fn tag(&self) -> Result<Tag, ReferenceError> {
        format!("sha-{}{}", self.commit, if self.dirty { "-dirty" } else { "" }).parse()
    }

    /// What the image says about its source.
    pub(crate) fn info(&self) -> SourceInfo {
        SourceInfo { commit: self.commit.clone(), version: self.version.clone(), uri: self.repository.clone() }
    }

    /// What provenance must say for an image to be this source's.
    pub(crate) fn identity(&self) -> BuildIdentity {
        BuildIdentity {
            repository: self.repository.clone(),
            commit: self.commit.clone(),
            workflow: self.workflow.clone(),
        }
    }
}

/// <https://reproducible-builds.org/specs/source-date-epoch/>: ASCII digits.
fn epoch(text: &str) -> Result<Timestamp, SourceError> {
    let digits = !text.is_empty() && text.len() <= 12 && text.bytes().all(|b| b.is_ascii_digit());
    let seconds = text.parse().ok().filter(|_| digits).map(Timestamp::from_seconds);
    seconds.ok_or_else(|| SourceError::Epoch(crate::failure::one_line(text).chars().take(40).collect()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_epoch_is_digits() {
        assert_eq!(epoch("1700000000").unwrap(), Timestamp::from_seconds(1_700_000_000));
        for wrong in ["", "-1", "+1", "1e9", " 1", "9999999999999"] {
            assert!(epoch(wrong).is_err(), "{wrong}");
        }
    }
}
