//! `schleuse image index`.

use schleuse_image::copy::Route;
use schleuse_image::index::{Part, assemble};
use schleuse_image::select::show;
use schleuse_image::{Place, copy};
use schleuse_model::{Digest, Exit, Tag};
use serde::Serialize;

use super::end;
use super::moving::{Count, Moving};
use crate::context::Context;
use crate::failure::Failure;
use crate::output::{Page, Report};
use crate::settings::RegistryArgs;

/// Join images of several platforms into one index
///
/// For images that were built one platform at a time. The same images give the same digest, in whatever order they are named.
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Example:
  schleuse image index ghcr.io/acme/billing:1.4.0 ghcr.io/acme/billing@sha256:… oci:build/arm64

stdout: the index by digest, nothing else.")]
pub(super) struct Args {
    /// Where the index goes
    #[arg(value_name = "DESTINATION")]
    destination: Place,
    /// The images; of an index, all its images
    #[arg(value_name = "IMAGE", required = true)]
    images: Vec<Place>,
    /// Another tag for it there; may be repeated
    #[arg(long, value_name = "TAG")]
    tag: Vec<Tag>,
    #[command(flatten)]
    registry: RegistryArgs,
}

#[derive(Serialize)]
struct Answer {
    index: String,
    digest: Digest,
    tags: Vec<Tag>,
    images: Vec<Joined>,
    moved: Count,
}

#[derive(Serialize)]
struct Joined {
    platform: String,
    digest: Digest,
}

impl Report for Answer {
    fn human(&self, page: &mut Page) {
        page.line(&self.index);
    }
}

pub(super) async fn run(args: &Args, context: &Context) -> Result<Exit, Failure> {
    let project = context.project(&args.registry.flags())?;
    let work = context.work_folder()?;
    let places: Vec<&Place> = args.images.iter().collect();
    let client = end::client(&project, context, &args.destination, &places)?;
    let progress = context.progress("reading the images");
    let mut sources = Vec::new();
    for place in places {
        sources.push(end::source(place, client.as_ref(), work.path()).await?);
    }
    let parts: Vec<Part<'_>> =
        sources.iter().map(|source| Part { pull: &*source.pull, image: &source.image }).collect();
    let (index, members) = assemble(&parts).await?;
    let destination = end::destination(&args.destination, client.as_ref(), &args.tag, None, work.path())?;
    destination.must_take(index.digest())?;
    let moving = Moving::new(&progress, &context.printer);
    for member in &members {
        let source = &sources[member.part];
        let route = Route {
            from: &*source.pull,
            from_repository: source.image.repository(),
            to: &*destination.push,
            to_repository: &destination.repository,
            work: &destination.work,
            progress: &moving,
        };
        copy::copy(route, &member.listed.digest, &[]).await?;
    }
    destination.push.push_manifest(&destination.repository, &index).await?;
    for tag in &destination.tags {
        destination.push.tag(&destination.repository.tag(tag.clone()), &index).await?;
    }
    let moved = moving.count();
    drop(progress);
    let images = members.into_iter().map(|member| Joined {
        platform: member.listed.platform.as_ref().map(show).unwrap_or_default(),
        digest: member.listed.digest,
    });
    let answer = Answer {
        digest: index.digest().clone(),
        tags: destination.tags.clone(),
        images: images.collect(),
        moved,
        index: destination.finish(&index).await?,
    };
    let platforms: Vec<&str> = answer.images.iter().map(|one| one.platform.as_str()).collect();
    context.printer.note(&format!("an index of {}", platforms.join(", ")));
    context.printer.report(&answer)?;
    Ok(Exit::Done)
}
