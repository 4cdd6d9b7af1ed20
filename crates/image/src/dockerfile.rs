//! The builders `buildx` and `buildah`: an image from a Dockerfile, built by others' programs and taken over byte for byte.
//!
//! # Expected flow
//! [`run`] starts the program with the recipe as arguments, has it write an OCI archive into the work folder, and opens that. What
//! comes out is copied like any image.
//!
//! # Guarantees
//! - The programs get arguments, never a shell line; their environment is what the caller hands over; they end at the deadline,
//!   with all they have started.
//! - What they made is untrusted like any archive, and must be one image, for the platform that was asked for.
//! - They are told the time (`SOURCE_DATE_EPOCH`) and to write it on the files they add. BuildKit does so only with files that are
//!   newer: those of a fresh checkout.
//!
//! # Caveats
//! What a Dockerfile runs may differ from run to run; the same bytes for the same commit are the Dockerfile's to give, not ours.
//! Statements that BuildKit would add are switched off: they name times, and provenance is signed by us.

mod argv;
mod error;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

use schleuse_model::{PinnedRef, Repository, Secret, Timestamp};
use schleuse_oci::{ImageConfig, Manifest, Platform, Pull as _};
use schleuse_process::{Finished, ProcessError, Program};

pub use error::DockerfileError;

use crate::archive::Archive;
use crate::inspect::config;
use crate::listing::pick;
use crate::place::Pick;
use crate::select::{same, show};
use crate::unpack::Limits;

/// Who builds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tool {
    /// `docker buildx`, BuildKit.
    Buildx,
    /// `buildah`, without a daemon.
    Buildah,
}

impl Tool {
    /// As the configuration and the build manifest call it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Buildx => "buildx",
            Self::Buildah => "buildah",
        }
    }
}

/// What to build.
#[derive(Clone, Debug)]
pub struct Recipe {
    /// By whom.
    pub tool: Tool,
    /// The folder that `COPY` copies from.
    pub context: PathBuf,
    /// The Dockerfile.
    pub file: PathBuf,
    /// The stage to stop at.
    pub target: Option<String>,
    /// `ARG`s. Never secrets: they stand in the image's history.
    pub args: BTreeMap<String, String>,
    /// Labels, beside the Dockerfile's own.
    pub labels: BTreeMap<String, String>,
    /// For which platform.
    pub platform: Platform,
    /// `SOURCE_DATE_EPOCH`, whole seconds.
    pub created: Timestamp,
}

/// What the program is run with.
#[derive(Clone, Debug)]
pub struct Setting {
    /// Where programs are looked for.
    pub search_path: String,
    /// Its environment, `PATH` aside.
    pub environment: BTreeMap<String, String>,
    /// How long it may take, all of it.
    pub deadline: Duration,
}

/// An image that was built, in its archive.
#[derive(Debug)]
pub struct Imported {
    /// Where it is.
    pub archive: Archive,
    /// Which it is there.
    pub image: PinnedRef,
    /// Its manifest.
    pub manifest: Manifest,
    /// Its configuration.
    pub config: ImageConfig,
    /// What the program said, for the curious: redacted, the last lines.
    pub said: Vec<String>,
}

/// How many lines of what a builder said are kept.
const LINES: usize = 400;
/// How long a program may take for what is no work: writing a finished image into a file, forgetting it.
const SMALL: Duration = Duration::from_secs(600);

/// Builds. `work` takes the archive, and must not be shared with another build.
///
/// # Errors
/// [`DockerfileError`].
pub async fn run(recipe: &Recipe, setting: &Setting, work: &Path) -> Result<Imported, DockerfileError> {
    for (what, path) in [("Dockerfile", &recipe.file), ("context", &recipe.context)] {
        if !path.exists() {
            return Err(DockerfileError::Missing { what, path: path.clone() });
        }
    }
    let archive = work.join("image.tar");
    let said = match recipe.tool {
        Tool::Buildx => vec![start(recipe, setting, argv::buildx(recipe, &archive), setting.deadline).await?],
        Tool::Buildah => buildah(recipe, setting, &archive, work).await?,
    };
    let lines =
        said.iter().flat_map(|done| done.stdout.last_lines(LINES).into_iter().chain(done.stderr.last_lines(LINES)));
    import(recipe, &archive, work, lines.collect()).await
}

/// Builds into buildah's own storage under a name of ours, writes it into the archive, and forgets the name.
async fn buildah(
    recipe: &Recipe,
    setting: &Setting,
    archive: &Path,
    work: &Path,
) -> Result<Vec<Finished>, DockerfileError> {
    let name = argv::passing_name(work);
    let built = start(recipe, setting, argv::buildah(recipe, &name), setting.deadline).await?;
    let written = start(recipe, setting, argv::buildah_push(&name, archive), SMALL).await;
    // The cache of steps stays; what is left of the name harms nobody, so a failure here is not the build's.
    let _ = start(recipe, setting, argv::buildah_forget(&name), SMALL).await;
    Ok(vec![built, written?])
}

async fn start(
    recipe: &Recipe,
    setting: &Setting,
    (program, arguments): (&'static str, Vec<OsString>),
    deadline: Duration,
) -> Result<Finished, DockerfileError> {
    let mut program = Program::new(program)
        .search_path(setting.search_path.clone())
        .args(arguments)
        .current_dir(&recipe.context)
        .deadline(deadline)
        // BuildKit takes it from its client's environment; buildah is told by a flag.
        .env("SOURCE_DATE_EPOCH", recipe.created.as_seconds().to_string());
    for (name, value) in &setting.environment {
        program = match name.to_ascii_lowercase().ends_with("_proxy") {
            // Often with a login in it.
            true => program.secret_env(name, &Secret::new(value.clone())),
            false => program.env(name, value),
        };
    }
    let failed = |source: ProcessError| DockerfileError::Builder { tool: recipe.tool, source };
    program.run().await.and_then(Finished::require_success).map_err(failed)
}

/// Opens what the program wrote.
async fn import(recipe: &Recipe, path: &Path, work: &Path, said: Vec<String>) -> Result<Imported, DockerfileError> {
    let archive = Archive::open(path, work, &Limits::default()).await?;
    let digest = pick(archive.listed(), &Pick::Only, recipe.tool.name())?;
    let repository: Repository = "localhost/built".parse().map_err(schleuse_oci::Error::from)?;
    let image = repository.pin(digest);
    let missing = || schleuse_oci::Error::Missing { what: format!("manifest {}", image.digest()) };
    let manifest = archive.manifest(&image).await?.ok_or_else(missing)?;
    let malformed = |source| schleuse_oci::Error::Malformed { what: "the built image's manifest".to_owned(), source };
    let parsed = manifest.as_image().map_err(malformed)?;
    let config = config(&archive, &image, &parsed).await?;
    if !same(&config.platform(), &recipe.platform) {
        let (actual, wanted) = (show(&config.platform()), show(&recipe.platform));
        return Err(DockerfileError::Platform { actual, wanted });
    }
    Ok(Imported { archive, image, manifest, config, said })
}
