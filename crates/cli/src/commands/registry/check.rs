//! `schleuse registry check`.

use std::path::PathBuf;
use std::sync::Arc;

use schleuse_model::Exit;
use schleuse_registry::{CheckOptions, CheckReport, FolderVolume, Outcome, check};

use crate::context::Context;
use crate::failure::Failure;
use crate::output::{Page, Report};

/// Read a folder that nobody serves from end to end: is everything what it is called, and all that is named there?
///
/// Exit code 10: something is damaged or missing, and still is.
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Examples:
  schleuse registry check --folder /srv/registry
  schleuse registry check --folder /srv/registry --repair --format json")]
pub(super) struct Args {
    /// The registry's folder
    #[arg(long, value_name = "DIR")]
    folder: PathBuf,
    /// Rebuild links and referrers from the manifests; move what is damaged to DIR/quarantine
    #[arg(long)]
    repair: bool,
    /// Do not report content that manifests name and that is not there, as `serve --allow-sparse` admits it
    #[arg(long)]
    allow_sparse: bool,
}

pub(super) async fn run(args: Args, context: &Context) -> Result<Exit, Failure> {
    let volume = Arc::new(FolderVolume::open(&args.folder)?);
    let progress = context.progress("reading manifests and blobs");
    let (now, options) = (context.now(), CheckOptions { repair: args.repair, allow_sparse: args.allow_sparse });
    let work = tokio::task::spawn_blocking(move || {
        let said = |done, total| progress.say(format!("reading blobs: {} of {} MB", done >> 20, total >> 20));
        check(volume, options, now, &said)
    });
    let report = work.await.map_err(|_| schleuse_registry::Error::Ended)??;
    context.printer.report(&report)?;
    if report.is_whole() {
        return Ok(Exit::Done);
    }
    context.printer.note(if args.repair {
        "push what is missing again; delete or push anew a tag that points nowhere"
    } else {
        "`--repair` rebuilds links and referrers and moves what is damaged aside"
    });
    Ok(Exit::Blocked)
}

impl Report for CheckReport {
    fn human(&self, page: &mut Page) {
        let paint = page.paint();
        for finding in &self.findings {
            page.line(match finding.outcome {
                Outcome::Found | Outcome::Left => paint.bad(finding).to_string(),
                Outcome::Repaired => format!("{finding}: {}", paint.good("repaired")),
                Outcome::MovedAside => format!("{finding}: {}", paint.warn("moved to quarantine")),
            });
        }
        let what = format!(
            "{} blobs ({} bytes), {} manifests, {} repositories",
            self.blobs, self.bytes, self.manifests, self.repositories
        );
        let verdict = match (self.findings.is_empty(), self.is_whole()) {
            (true, _) => paint.good("all is well"),
            (false, true) => paint.good("repaired"),
            (false, false) => paint.bad("damaged"),
        };
        page.line(format_args!("{what}: {verdict}"));
        for path in &self.foreign {
            page.line(paint.dim(format_args!("not of a registry: {}", path.display())));
        }
    }
}
