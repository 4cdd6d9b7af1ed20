//! `schleuse registry gc`.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use schleuse_model::Exit;
use schleuse_model::time::parse_duration;
use schleuse_registry::{FolderVolume, GcOptions, GcReport, Registry};

use crate::context::Context;
use crate::failure::Failure;
use crate::output::{Page, Report};

/// Remove what no manifest needs from a folder that nobody serves
///
/// Goes: blobs that no manifest of their repository names and no client has used for the grace period. Manifests stay, tagged or not.
/// A registry that is being served collects by itself with `serve --gc-every`.
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Examples:
  schleuse registry gc --folder /srv/registry --dry-run
  schleuse registry gc --folder /srv/registry --grace 2h")]
pub(super) struct Args {
    /// The registry's folder
    #[arg(long, value_name = "DIR")]
    folder: PathBuf,
    /// Only say what would go
    #[arg(long)]
    dry_run: bool,
    /// Keep what a client has pushed, mounted or asked for so recently
    #[arg(long, value_name = "DURATION", default_value = "24h", value_parser = parse_duration)]
    grace: Duration,
}

pub(super) async fn run(args: Args, context: &Context) -> Result<Exit, Failure> {
    let volume = FolderVolume::open(&args.folder)?;
    let options = GcOptions { grace: args.grace, dry_run: args.dry_run };
    let progress = context.progress("looking for what nobody needs");
    let registry = Registry::on(Arc::new(volume))?.with_clock(context.clock.clone());
    let report = registry.gc(options).await?;
    drop(progress);
    for name in &report.skipped {
        context.printer.warn(&format!(
            "{name}: nothing collected, as a manifest there cannot be read: run `schleuse registry check`"
        ));
    }
    context.printer.report(&report)?;
    Ok(Exit::Done)
}

impl Report for GcReport {
    fn human(&self, page: &mut Page) {
        let verb = if self.dry_run { "would remove" } else { "removed" };
        page.line(format_args!(
            "{verb} {} blobs ({} bytes) and {} links; {} links were used recently",
            self.blobs_removed, self.bytes_freed, self.links_removed, self.links_recent
        ));
        page.line(page.paint().dim(format_args!(
            "{} repositories, {} manifests; {} half-written files of an earlier process cleared",
            self.repositories, self.manifests, self.uploads_cleared
        )));
    }
}
