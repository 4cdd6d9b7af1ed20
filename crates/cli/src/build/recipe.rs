//! From `[build]` to what the builder takes.

use std::collections::BTreeMap;
use std::path::PathBuf;

use schleuse_config::settings;
use schleuse_image::layers::{self, Base};
use schleuse_image::{Built, ImagePath, ImageSpec, LayerSpec, Layout, Port, Runtime, Source};
use schleuse_model::{Exit, Explain, PinnedRef, Reference, Repository};
use schleuse_oci::{Platform, Pull};

use super::SourceState;
use crate::context::Context;
use crate::failure::Failure;
use crate::project::Project;
use crate::reference::pinned;

/// A recipe, ready.
#[derive(Debug)]
pub(crate) struct Recipe {
    spec: ImageSpec,
    base: Option<(Box<dyn Pull>, PinnedRef)>,
}

/// The recipe cannot be followed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RecipeError {
    /// None is written.
    #[error("schleuse.toml has no [build]: nothing says what goes into the image")]
    None,
    /// A path that no image has.
    #[error("[build] names a path that an image cannot have")]
    Path(#[from] schleuse_image::path::ImagePathError),
    /// A layout without an image, or with several.
    #[error("the base {} holds {found} images, not one", folder.display())]
    Layout {
        /// Its folder.
        folder: PathBuf,
        /// How many.
        found: usize,
    },
}

impl Explain for RecipeError {
    fn exit(&self) -> Exit {
        Exit::Usage
    }

    fn hints(&self) -> Vec<String> {
        match self {
            Self::None => vec![
                "for a program that stands alone: `[build]`, `copy = [{ from = \"bin\", to = \"/app\" }]` and \
                 `entrypoint = [\"/app/run\"]`"
                    .to_owned(),
            ],
            _ => Vec::new(),
        }
    }
}

impl Recipe {
    /// `[build]`, if there is one: known before any registry is asked.
    pub(crate) fn written(project: &Project) -> Result<&settings::Build, RecipeError> {
        project.config.build.as_ref().ok_or(RecipeError::None)
    }

    /// Reads `[build]` and finds the base. Which digest a base's tag means is decided here, once, and said.
    pub(crate) async fn read<P: Pull + Clone + 'static>(
        project: &Project,
        source: &SourceState,
        registry: &P,
        context: &Context,
    ) -> Result<Self, Failure> {
        let build = Self::written(project)?;
        let base: Option<(Box<dyn Pull>, PinnedRef)> = match &build.base {
            settings::Base::Scratch => None,
            settings::Base::Layout(folder) => Some(layout(project.root.join(folder))?),
            settings::Base::Image(reference) => {
                let image = pinned(registry, reference).await?;
                if matches!(reference, Reference::Tagged(_)) {
                    context
                        .printer
                        .warn(&format!("the base {reference} moves; today it is {image}: pin it in [build]"));
                }
                Some((Box::new(registry.clone()), image))
            }
        };
        Ok(Self { spec: spec(project, build, source)?, base })
    }

    /// Builds into `work`.
    pub(crate) async fn build(&self, work: &std::path::Path) -> Result<Built, schleuse_image::BuildError> {
        layers::build(&self.spec, self.base.as_ref().map(|(pull, image)| Base { pull: &**pull, image }), work).await
    }

    /// Where the base's layers are.
    pub(crate) fn base(&self) -> Option<&dyn Pull> {
        self.base.as_ref().map(|(pull, _)| &**pull)
    }
}

fn layout(folder: PathBuf) -> Result<(Box<dyn Pull>, PinnedRef), Failure> {
    /// What a layout's image is called in records: it has a digest, no address.
    const NAME: &str = "localhost/oci-layout";
    let layout = Layout::open(&folder)?;
    let mut entries = layout.index()?.manifests;
    match (entries.pop(), entries.is_empty()) {
        (Some(only), true) => {
            Ok((Box::new(layout), NAME.parse::<Repository>().map_err(schleuse_oci::Error::from)?.pin(only.digest)))
        }
        (last, _) => Err(RecipeError::Layout { folder, found: entries.len() + usize::from(last.is_some()) }.into()),
    }
}

fn spec(project: &Project, build: &settings::Build, source: &SourceState) -> Result<ImageSpec, RecipeError> {
    let layer = |copied: &settings::Copied| -> Result<LayerSpec, RecipeError> {
        let settings::Owner { uid, gid } = copied.owner;
        let from = project.root.join(&copied.from);
        Ok(LayerSpec { sources: vec![Source { from, to: copied.to.parse()?, uid, gid }] })
    };
    let workdir = build.workdir.as_deref().map(str::parse::<ImagePath>).transpose()?;
    let runtime = Runtime {
        entrypoint: build.entrypoint.clone(),
        cmd: build.cmd.clone(),
        env: build.env.clone(),
        user: build.user.clone(),
        workdir,
        expose: build.expose.iter().map(|number| Port { number: *number, udp: false }).collect(),
        labels: BTreeMap::new(),
        stop_signal: None,
    };
    Ok(ImageSpec {
        layers: build.copy.iter().map(layer).collect::<Result<_, _>>()?,
        runtime,
        source: source.info(),
        platform: platform(build.platform.as_ref()),
        created: source.created,
    })
}

/// The configured platform, or Linux on this machine's processor by Go's name for it.
pub(super) fn platform(configured: Option<&settings::Platform>) -> Platform {
    let here = match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    };
    match configured {
        None => Platform { architecture: here.to_owned(), os: "linux".to_owned(), variant: None },
        Some(settings::Platform { os, architecture, variant }) => {
            Platform { architecture: architecture.clone(), os: os.clone(), variant: variant.clone() }
        }
    }
}
