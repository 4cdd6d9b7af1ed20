//! `schleuse retention [--check]`.

use schleuse_model::{Digest, Exit, Release};
use schleuse_oci::evidence::keep_tag;
use schleuse_promote::retention::{Kept, Part, check, pinned};
use serde::Serialize;

use super::{Held, held};
use crate::context::Context;
use crate::failure::Failure;
use crate::ladder::Ladder;
use crate::output::{Page, Paint, Report};
use crate::settings::ConnectionArgs;

#[derive(clap::Args, Debug)]
pub(crate) struct Listing {
    /// Look after each of them: is it there, whole and pinned? If not, the exit code is 10
    #[arg(long)]
    check: bool,
    #[command(flatten)]
    connection: ConnectionArgs,
}

#[derive(Serialize)]
struct Answer {
    image: String,
    releases: Vec<OfOne>,
    /// With `--check`: whether all of it is there, whole and pinned.
    #[serde(skip_serializing_if = "Option::is_none")]
    good: Option<bool>,
}

#[derive(Serialize)]
struct OfOne {
    release: Release,
    /// `staging`, `production (way back)`.
    needed: Vec<String>,
    /// Whether anything is said about it. It was signed when it was promoted: a cleanup that takes referrers leaves no trace of them
    /// in a registry that lists them itself.
    evidence: bool,
    manifests: Vec<Row>,
}

#[derive(Serialize)]
struct Row {
    digest: Digest,
    /// `release`, `image linux/amd64`, `evidence …`.
    part: String,
    /// The image it is about.
    of: Digest,
    /// Without `--check`: whether its tag is there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pinned: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    kept: Option<Kept>,
}

pub(crate) async fn run(args: &Listing, context: &Context) -> Result<Exit, Failure> {
    let ladder = Ladder::open(context, &args.connection).await?;
    let progress = context.progress("reading what must stay");
    let held = held(&ladder).await?;
    let (client, image) = (ladder.client.as_ref(), &ladder.names.image);
    let pins = pinned(client, image).await?;
    let mut releases = Vec::new();
    for Held { staying, items } in held {
        let mut manifests = Vec::new();
        let evidence = items.iter().any(|item| matches!(item.part, Part::Evidence(_) | Part::Legacy(_)));
        for item in items {
            let tag = keep_tag(&item.digest).map_err(schleuse_oci::Error::from)?;
            let kept = if args.check { Some(check(client, client, image, &item).await?) } else { None };
            let pinned = kept.is_none().then(|| pins.contains(&tag));
            manifests.push(Row { digest: item.digest, part: item.part.to_string(), of: item.of, pinned, kept });
        }
        releases.push(OfOne { release: staying.release, needed: staying.places, evidence, manifests });
    }
    drop(progress);
    let is_good =
        |one: &OfOne| one.evidence && one.manifests.iter().all(|row| row.kept.as_ref().is_none_or(Kept::is_good));
    let good = args.check.then(|| releases.iter().all(is_good));
    if releases.is_empty() {
        context.printer.note("no environment runs anything: nothing must stay");
    }
    context.printer.report(&Answer { image: image.to_string(), releases, good })?;
    if good == Some(false) {
        context.printer.note("`schleuse retention pin` pins what is there and not pinned");
        return Ok(Exit::Blocked);
    }
    Ok(Exit::Done)
}

impl Report for Answer {
    fn human(&self, page: &mut Page) {
        let paint = page.paint();
        for one in &self.releases {
            let version = one.release.version.as_deref().unwrap_or("");
            let needed = one.needed.join(", ");
            page.line(format_args!("{}  {version}  {}", paint.strong(one.release.digest.short()), paint.dim(needed)));
            for row in &one.manifests {
                let (digest, part) = (row.digest.short(), shown(&row.part));
                page.line(format_args!("  {digest}  {part:<60}  {}", state(row, paint)));
            }
            if !one.evidence {
                page.line(format_args!(
                    "  {}",
                    paint.bad("no evidence left: its signature is GONE (the journal has a copy)")
                ));
            }
        }
    }
}

/// Types are whatever a writer says: fit to be shown, and in their column.
fn shown(part: &str) -> String {
    part.chars().filter(|c| !c.is_control()).take(60).collect()
}

fn state(row: &Row, paint: Paint) -> String {
    let list = |digests: &[Digest]| digests.iter().map(Digest::short).collect::<Vec<_>>().join(", ");
    match (&row.kept, row.pinned) {
        (None, Some(true)) | (Some(Kept::Pinned), _) => paint.good("pinned"),
        (None, _) | (Some(Kept::Unpinned), _) => paint.warn("not pinned"),
        (Some(Kept::PinMoved { to }), _) => paint.bad(format_args!("its pin points at {}", to.short())),
        (Some(Kept::Missing), _) => paint.bad("MISSING"),
        (Some(Kept::Incomplete { missing }), _) => paint.bad(format_args!("INCOMPLETE: without {}", list(missing))),
    }
}
