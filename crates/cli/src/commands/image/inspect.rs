//! `schleuse image inspect`.

use schleuse_image::inspect::{OneImage, inspect};
use schleuse_image::select::show;
use schleuse_image::{Inspection, Place};
use schleuse_model::Exit;
use schleuse_oci::ImageConfig;
use serde::Serialize;

use super::end;
use super::size::{Bytes, counted, platform};
use crate::context::Context;
use crate::failure::{Failure, one_line};
use crate::output::{Page, Report};
use crate::settings::RegistryArgs;

/// Show what an image is without pulling it: platforms, layers, how it is run
///
/// With --format json also every digest, size and annotation. It says what the image claims; `schleuse verify` says whether to
/// believe it.
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Examples:
  schleuse image inspect ghcr.io/acme/billing:1.4.0
  schleuse image inspect docker-archive:billing.tar
  schleuse image inspect --raw ghcr.io/acme/billing:1.4.0 | sha256sum")]
pub(super) struct Args {
    /// Where it is
    #[arg(value_name = "IMAGE")]
    image: Place,
    /// Of an index, look at the image for this platform
    #[arg(long, value_name = "PLATFORM")]
    platform: Option<String>,
    /// Print the manifest's own bytes instead
    #[arg(long)]
    raw: bool,
    #[command(flatten)]
    registry: RegistryArgs,
}

#[derive(Serialize)]
struct Answer {
    image: String,
    #[serde(flatten)]
    inspection: Inspection,
}

impl Report for Answer {
    fn human(&self, page: &mut Page) {
        let found = &self.inspection;
        page.fact(8, "image", &self.image);
        page.fact(8, "type", one_line(&found.media_type));
        match found.images.as_slice() {
            [one] if one.config.is_some() => single(one, page),
            images => {
                for one in images {
                    let platform = one.platform.as_ref().map_or_else(|| "artifact".to_owned(), show);
                    let (short, layers) = (one.digest.short(), counted(one.layers.len(), "layer"));
                    let size = Bytes(one.size).to_string();
                    page.line(format_args!("  {platform:<16}  {short}  {layers:>10}  {size:>9}"));
                }
            }
        }
        if !found.others.is_empty() {
            page.fact(8, "beside", counted(found.others.len(), "builder's statement"));
        }
    }
}

fn single(one: &OneImage, page: &mut Page) {
    if let Some(platform) = &one.platform {
        page.fact(8, "platform", show(platform));
    }
    if let Some(config) = &one.config {
        facts(config, page);
    }
    page.fact(8, "layers", format_args!("{}, {} to download", one.layers.len(), Bytes(one.size)));
    for layer in &one.layers {
        let kind = layer.media_type.rsplit('.').next().unwrap_or_default();
        page.line(format_args!("  {}  {:>9}  {}", layer.digest.short(), Bytes(layer.size).to_string(), one_line(kind)));
    }
}

/// How it is run. Untrusted text, on one line each.
fn facts(config: &ImageConfig, page: &mut Page) {
    let run = &config.config;
    if let Some(created) = config.created {
        page.fact(8, "created", created);
    }
    let command: Vec<String> = run.entrypoint.iter().chain(&run.cmd).map(|word| one_line(word)).collect();
    let ports: Vec<String> = run.exposed_ports.keys().map(|port| one_line(port)).collect();
    let labels = |name: &str| run.labels.get(name).map(|value| one_line(value)).unwrap_or_default();
    for (name, value) in [
        ("runs", command.join(" ")),
        ("user", run.user.as_deref().map(one_line).unwrap_or_default()),
        ("workdir", run.working_dir.as_deref().map(one_line).unwrap_or_default()),
        ("ports", ports.join(" ")),
        ("version", labels("org.opencontainers.image.version")),
        ("commit", labels("org.opencontainers.image.revision")),
        ("source", labels("org.opencontainers.image.source")),
    ] {
        if !value.is_empty() {
            page.fact(8, name, value);
        }
    }
}

pub(super) async fn run(args: &Args, context: &Context) -> Result<Exit, Failure> {
    let wanted = args.platform.as_deref().map(platform).transpose()?;
    let project = context.project(&args.registry.flags())?;
    let client = end::client(&project, context, &args.image, &[])?;
    let work = context.work_folder()?;
    let progress = context.progress("reading the image");
    let source = end::source(&args.image, client.as_ref(), work.path()).await?;
    if args.raw && wanted.is_none() {
        let manifest = crate::subjects::manifest(&*source.pull, &source.image).await?;
        drop(progress);
        context.printer.document(manifest.bytes())?;
        return Ok(Exit::Done);
    }
    let inspection = inspect(&*source.pull, &source.image, wanted.as_ref()).await?;
    drop(progress);
    if args.raw {
        context.printer.document(inspection.manifest.bytes())?;
    } else {
        context.printer.report(&Answer { image: source.shown(), inspection })?;
    }
    Ok(Exit::Done)
}
