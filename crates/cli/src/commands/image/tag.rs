//! `schleuse image tag`.

use schleuse_image::{Layout, Place};
use schleuse_model::{Exit, Tag};
use schleuse_oci::Push;
use serde::Serialize;

use super::end;
use crate::context::Context;
use crate::failure::Failure;
use crate::output::{Page, Report};
use crate::settings::RegistryArgs;
use crate::subjects;
use crate::usage::Usage;

/// Point tags at an image that is there, without moving it
///
/// Only the manifest is written again, under the tag. For a release use `promote`: a tag decides nothing.
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Examples:
  schleuse image tag ghcr.io/acme/billing@sha256:… 1.4.0 latest
  schleuse image tag oci:build/layout:dev 1.4.0

stdout: the image by digest, nothing else.")]
pub(super) struct Args {
    /// The image, best by digest; a tag is resolved once
    #[arg(value_name = "IMAGE")]
    image: Place,
    /// The tags, in the same repository
    #[arg(value_name = "TAG", required = true)]
    tags: Vec<Tag>,
    #[command(flatten)]
    registry: RegistryArgs,
}

#[derive(Serialize)]
struct Answer {
    image: String,
    tags: Vec<Tag>,
}

impl Report for Answer {
    fn human(&self, page: &mut Page) {
        page.line(&self.image);
    }
}

pub(super) async fn run(args: &Args, context: &Context) -> Result<Exit, Failure> {
    let project = context.project(&args.registry.flags())?;
    let client = end::client(&project, context, &args.image, &[])?;
    let work = context.work_folder()?;
    let progress = context.progress("tagging");
    let push: Box<dyn Push> = match (&args.image, &client) {
        (Place::Registry(_), Some(client)) => Box::new(client.clone()),
        (Place::Layout(folder, _), _) => Box::new(Layout::open(folder)?),
        _ => return Err(Usage::new("an archive is not changed", "copy it to a registry with `--tag`").into()),
    };
    let source = end::source(&args.image, client.as_ref(), work.path()).await?;
    let manifest = subjects::manifest(&*source.pull, &source.image).await?;
    for tag in &args.tags {
        push.tag(&source.image.repository().tag(tag.clone()), &manifest).await?;
    }
    drop(progress);
    context.printer.report(&Answer { image: source.shown(), tags: args.tags.clone() })?;
    Ok(Exit::Done)
}
