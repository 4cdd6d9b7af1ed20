//! Why a Dockerfile was not built.

use std::path::PathBuf;

use schleuse_model::{Exit, Explain};
use schleuse_process::ProcessError;

use super::Tool;
use crate::archive::ArchiveError;
use crate::copy::CopyError;
use crate::listing::PickError;

/// Why a Dockerfile was not built.
#[derive(Debug, thiserror::Error)]
pub enum DockerfileError {
    /// There is none.
    #[error("the {what} {} is not there", .path.display())]
    Missing {
        /// Dockerfile or context.
        what: &'static str,
        /// Where it was looked for.
        path: PathBuf,
    },
    /// The program is not here, failed, or took too long.
    #[error("{} did not build the image", .tool.name())]
    Builder {
        /// Which program.
        tool: Tool,
        /// Why.
        source: ProcessError,
    },
    /// What it wrote is no archive of an image.
    #[error(transparent)]
    Archive(#[from] ArchiveError),
    /// It made no image, or several.
    #[error(transparent)]
    Pick(#[from] PickError),
    /// The image cannot be read.
    #[error(transparent)]
    Read(#[from] CopyError),
    /// It is for another platform: the Dockerfile names one in `FROM --platform`.
    #[error("the image is for {actual}, not for {wanted}")]
    Platform {
        /// What it is for.
        actual: String,
        /// What was asked for.
        wanted: String,
    },
}

impl From<schleuse_oci::Error> for DockerfileError {
    fn from(error: schleuse_oci::Error) -> Self {
        Self::Read(error.into())
    }
}

impl Explain for DockerfileError {
    fn exit(&self) -> Exit {
        match self {
            Self::Missing { .. } | Self::Platform { .. } => Exit::Usage,
            Self::Builder { source, .. } => source.exit(),
            // A file that is not there, or is none, is the builder's fault here, not the person's.
            Self::Archive(error) if error.exit() == Exit::Untrusted => Exit::Untrusted,
            Self::Archive(_) | Self::Pick(_) => Exit::Error,
            Self::Read(error) => error.exit(),
        }
    }

    fn hints(&self) -> Vec<String> {
        match self {
            Self::Missing { .. } => vec!["name it in [build]: `dockerfile = \"…\"`, `context = \"…\"`".to_owned()],
            Self::Builder { tool, source } => builder_hints(*tool, source),
            Self::Archive(error) => error.hints(),
            Self::Pick(error) => error.hints(),
            Self::Read(error) => error.hints(),
            Self::Platform { .. } => vec!["say in [build] for which platform: `platform = \"…\"`".to_owned()],
        }
    }
}

fn builder_hints(tool: Tool, source: &ProcessError) -> Vec<String> {
    let said = match source {
        ProcessError::Failed { last_words, .. } => last_words.as_str(),
        _ => "",
    };
    match (tool, source) {
        (Tool::Buildx, ProcessError::NotFound { .. }) => {
            vec!["install Docker with its plugin buildx: https://docs.docker.com/go/buildx/".to_owned()]
        }
        (Tool::Buildah, ProcessError::NotFound { .. }) => vec!["install it: `apt-get install buildah`".to_owned()],
        (Tool::Buildx, _) if said.contains("not a docker command") || said.contains("unknown command") => {
            vec!["this Docker has no plugin buildx: https://docs.docker.com/go/buildx/".to_owned()]
        }
        (Tool::Buildx, _) if said.contains("exporter is not supported") || said.contains("exporter feature") => {
            vec!["Docker's own builder cannot write an image into a file: `docker buildx create --use`".to_owned()]
        }
        (_, ProcessError::Deadline { stdout, stderr, .. }) => {
            let words = if stderr.text().trim().is_empty() { stdout } else { stderr };
            let last = words.last_lines(1).into_iter().map(|line| format!("it said last: {line}"));
            last.chain(["give it longer in [build]: `timeout = \"1h\"`".to_owned()]).collect()
        }
        _ => Vec::new(),
    }
}
