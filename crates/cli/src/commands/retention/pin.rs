//! `schleuse retention pin`.

use schleuse_model::{Digest, Exit};
use schleuse_promote::retention::{pin, set_right};
use serde::Serialize;

use super::held;
use crate::context::Context;
use crate::failure::Failure;
use crate::ladder::Ladder;
use crate::output::{Page, Report};
use crate::settings::ConnectionArgs;

/// Pin what must stay and is not pinned: releases from before there were pins, evidence that came later, pins that were moved
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Example:
  schleuse retention pin")]
pub(crate) struct Args {
    #[command(flatten)]
    connection: ConnectionArgs,
}

#[derive(Serialize)]
struct Answer {
    image: String,
    /// Newly pinned.
    pinned: Vec<Digest>,
    /// Whose pin pointed elsewhere.
    set_right: Vec<Digest>,
    /// Listed, and not in the registry.
    missing: Vec<Digest>,
}

pub(crate) async fn run(args: &Args, context: &Context) -> Result<Exit, Failure> {
    let ladder = Ladder::open(context, &args.connection).await?;
    let progress = context.progress("reading what must stay");
    let wanted: Vec<Digest> =
        held(&ladder).await?.into_iter().flat_map(|held| held.items).map(|item| item.digest).collect();
    let (client, image) = (ladder.client.as_ref(), &ladder.names.image);
    let set_right = set_right(client, client, image, &wanted).await?;
    let done = pin(client, client, image, &wanted).await?;
    drop(progress);
    if !done.missing.is_empty() {
        context.printer.warn("not everything that must stay is in the registry: see `schleuse retention --check`");
    }
    let bad = !done.missing.is_empty();
    let (pinned, missing) = (done.added, done.missing);
    context.printer.report(&Answer { image: image.to_string(), pinned, set_right, missing })?;
    Ok(if bad { Exit::Blocked } else { Exit::Done })
}

impl Report for Answer {
    fn human(&self, page: &mut Page) {
        let paint = page.paint();
        for digest in &self.pinned {
            page.line(format_args!("{}  {digest}", paint.good("pinned ")));
        }
        for digest in &self.set_right {
            page.line(format_args!("{}  {digest}", paint.good("set right")));
        }
        for digest in &self.missing {
            page.line(format_args!("{}  {digest}", paint.bad("MISSING")));
        }
        if self.pinned.is_empty() && self.set_right.is_empty() && self.missing.is_empty() {
            page.line("everything that must stay is pinned");
        }
    }
}
