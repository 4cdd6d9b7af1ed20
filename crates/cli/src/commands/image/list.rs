//! `schleuse image list`.

use futures_util::{StreamExt as _, TryStreamExt as _};
use schleuse_client::Client;
use schleuse_image::listing::Listed;
use schleuse_image::{Archive, Layout, Limits, Place};
use schleuse_model::{Digest, Exit, Repository};
use schleuse_oci::Pull as _;
use serde::Serialize;

use super::end;
use crate::context::Context;
use crate::failure::{Failure, one_line};
use crate::output::{Page, Report};
use crate::settings::RegistryArgs;
use crate::usage::Usage;

/// How many tags are asked for their digest at once.
const CONCURRENT: usize = 8;

/// List the tags of a repository, or the images of a layout or an archive
///
/// A registry names its tags in one answer and tells the digest of each in another: --digests asks for them.
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Examples:
  schleuse image list ghcr.io/acme/billing
  schleuse image list --digests --prefix 1. ghcr.io/acme/billing
  schleuse image list docker-archive:billing.tar")]
pub(super) struct Args {
    /// The repository, oci:FOLDER, oci-archive:FILE or docker-archive:FILE
    #[arg(value_name = "PLACE")]
    place: Place,
    /// Say what each tag points at now
    #[arg(long)]
    digests: bool,
    /// Only names that start so
    #[arg(long, value_name = "TEXT", default_value = "")]
    prefix: String,
    /// The most names; more are an error, not a short list
    #[arg(long, value_name = "NUMBER", default_value_t = 1000)]
    limit: usize,
    #[command(flatten)]
    registry: RegistryArgs,
}

#[derive(Serialize)]
struct Answer {
    place: String,
    images: Vec<Item>,
}

#[derive(Serialize)]
struct Item {
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    digest: Option<Digest>,
}

impl Report for Answer {
    fn human(&self, page: &mut Page) {
        let width = self.images.iter().filter_map(|item| item.name.as_ref()).map(|name| name.chars().count()).max();
        let width = width.unwrap_or(1).min(60);
        for item in &self.images {
            let name = item.name.as_deref().map_or_else(|| "-".to_owned(), one_line);
            match &item.digest {
                Some(digest) => page.line(format_args!("{name:<width$}  {digest}")),
                None => page.line(name),
            }
        }
    }
}

pub(super) async fn run(args: &Args, context: &Context) -> Result<Exit, Failure> {
    let project = context.project(&args.registry.flags())?;
    let client = end::client(&project, context, &args.place, &[])?;
    let progress = context.progress("listing");
    let images = match (&args.place, &client) {
        (Place::Registry(reference), Some(client)) => tags(client, reference.repository(), args).await?,
        (Place::Layout(folder, _), _) => listed(&Layout::open(folder)?.listed()?, args)?,
        (Place::OciArchive(file, _) | Place::DockerArchive(file, _), _) => {
            let work = context.work_folder()?;
            listed(Archive::open(file, work.path(), &Limits::default()).await?.listed(), args)?
        }
        (Place::Registry(_), None) => Vec::new(),
    };
    drop(progress);
    let place = match &args.place {
        Place::Registry(reference) => reference.repository().to_string(),
        place => place.to_string(),
    };
    if images.is_empty() {
        context.printer.note(&format!("{place} has no such images"));
    }
    context.printer.report(&Answer { place, images })?;
    Ok(Exit::Done)
}

async fn tags(client: &Client, repository: &Repository, args: &Args) -> Result<Vec<Item>, Failure> {
    let tags = client.tags(repository, &args.prefix, args.limit).await?;
    let item = |tag: schleuse_model::Tag| async move {
        let digest = match args.digests {
            // One that was deleted meanwhile has none.
            true => client.resolve(&repository.tag(tag.clone())).await?.map(|image| image.digest().clone()),
            false => None,
        };
        Ok::<_, Failure>(Item { name: Some(tag.to_string()), digest })
    };
    futures_util::stream::iter(tags.into_iter().map(item)).buffered(CONCURRENT).try_collect().await
}

fn listed(listed: &[Listed], args: &Args) -> Result<Vec<Item>, Failure> {
    let mut items = Vec::new();
    for one in listed {
        let digest = Some(one.image.digest.clone());
        let names = one.names.iter().filter(|name| name.starts_with(&args.prefix));
        items.extend(names.map(|name| Item { name: Some(name.clone()), digest: digest.clone() }));
        if one.names.is_empty() && args.prefix.is_empty() {
            items.push(Item { name: None, digest });
        }
    }
    match items.len() > args.limit {
        true => Err(Usage::new(format!("there are more than {} names", args.limit), "raise --limit").into()),
        false => Ok(items),
    }
}
