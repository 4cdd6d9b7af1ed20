//! `schleuse build`.

use std::path::PathBuf;

use schleuse_client::Client;
use schleuse_image::BuildManifest;
use schleuse_model::{Exit, PinnedRef, Repository, Tag};
use schleuse_sign::Trust;
use serde::Serialize;

use crate::build::{Existing, Pushing, Recipe, SourceArgs, SourceState, dockerfile, existing};
use crate::context::Context;
use crate::failure::Failure;
use crate::files;
use crate::output::{Page, Report};
use crate::project::Project;
use crate::settings::ConnectionArgs;

/// Build this commit's image and push it, tagged sha-<commit>
///
/// The recipe is [build] in schleuse.toml: folders, or a Dockerfile for buildx or buildah. The same commit gives the same digest. If the commit's image is there already and a
/// trusted key says that this workflow built it from this commit, it is reused. stdout: the image by digest, nothing else.
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Examples:
  schleuse build
  schleuse build --version 1.4.0 --output build.json && schleuse sign --build-manifest build.json …")]
pub(crate) struct Args {
    #[command(flatten)]
    source: SourceArgs,
    /// Write the build manifest, for `schleuse sign --build-manifest`
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
    #[command(flatten)]
    connection: ConnectionArgs,
}

#[derive(Serialize)]
struct Answer {
    image: PinnedRef,
    reused: bool,
    dirty: bool,
    build: BuildManifest,
}

impl Report for Answer {
    fn human(&self, page: &mut Page) {
        page.line(&self.image);
    }
}

pub(crate) async fn run(args: &Args, context: &Context) -> Result<Exit, Failure> {
    let project = context.project(&args.connection.flags())?;
    Recipe::written(&project)?;
    let source = SourceState::find(&args.source, &project, context).await?;
    let image = project.image(context).await?;
    let client = project.client(context, &image)?;
    let tag = source.tag().map_err(schleuse_oci::Error::from)?;
    if source.dirty {
        let what = "tracked files differ from the commit: the image is tagged";
        context
            .printer
            .warn(&format!("{what} `{tag}`, and its provenance cannot be signed; commit first for a release"));
    }
    let (build, reused) = match reusable(&project, &source, &image, &tag, &client, context).await? {
        Some(build) => (build, true),
        None => (built(&project, &source, &image, tag, &client, context).await?, false),
    };
    if let Some(path) = &args.output {
        files::replace(path, &build.to_bytes())?;
    }
    let pinned = image.pin(build.digest.clone());
    context.printer.report(&Answer { image: pinned, reused, dirty: source.dirty, build })?;
    Ok(Exit::Done)
}

/// The commit's image, if it is there and proven. A changed checkout is no commit's.
async fn reusable(
    project: &Project,
    source: &SourceState,
    image: &Repository,
    tag: &Tag,
    client: &Client,
    context: &Context,
) -> Result<Option<BuildManifest>, Failure> {
    if source.dirty {
        return Ok(None);
    }
    let _progress = context.progress("looking for this commit's image");
    let trust = project.trust(context).unwrap_or_else(|failure| {
        // Without keys nothing can be proven, so nothing is reused: the safe side.
        context.printer.detail(&format!("nothing is reused: {}", failure.report().message));
        Trust::default()
    });
    let tag = image.tag(tag.clone());
    let builder = dockerfile::name(Recipe::written(project)?);
    match existing(client, &tag, &trust, source, builder).await? {
        Existing::None => Ok(None),
        Existing::Ours(build) => {
            context.printer.note(&format!("{} was built before, as a trusted key says: reused", source.commit.short()));
            if source.version.is_some() && source.version != build.version {
                let version = build.version.as_deref().unwrap_or("none");
                context
                    .printer
                    .warn(&format!("the commit has one image, and its version is {version}: --version is ignored"));
            }
            Ok(Some(*build))
        }
        Existing::Unproven(image, why) => {
            context.printer.note(&format!("{} is not reused: {why}", image.digest().short()));
            Ok(None)
        }
    }
}

async fn built(
    project: &Project,
    source: &SourceState,
    image: &Repository,
    tag: Tag,
    client: &Client,
    context: &Context,
) -> Result<BuildManifest, Failure> {
    if let Some(dockerfile) = &Recipe::written(project)?.dockerfile {
        return dockerfile::build(project, dockerfile, source, (image, tag), client, context).await;
    }
    let recipe = Recipe::read(project, source, client, context).await?;
    let work = context.work_folder()?;
    let progress = context.progress("building");
    let built = recipe.build(work.path()).await?;
    let pushing = Pushing::new(&progress, &context.printer);
    built.push(client, recipe.base(), image, std::slice::from_ref(&tag), work.path(), &pushing).await?;
    drop(progress);
    context.printer.note(&format!("built {} and pushed it as {image}:{tag}", source.commit.short()));
    Ok(BuildManifest::new(&built, image.clone(), Some(tag), source.workflow.clone()))
}
