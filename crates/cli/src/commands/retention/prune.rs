//! `schleuse retention prune`.

use std::collections::BTreeSet;

use schleuse_model::{Digest, Exit, Tag, Timestamp};
use schleuse_promote::retention::prune::{Found, Removed, Remover, Sorted, Unpinned, sort, survey, unpin};
use schleuse_promote::retention::{Named, contents, named, pin, pinned};
use schleuse_sign::fetch::Source;
use serde::Serialize;

use super::{held, journals};
use crate::context::Context;
use crate::failure::{Failure, FailureReport};
use crate::ladder::Ladder;
use crate::output::{Page, Report};
use crate::question::{self, Enter, NotAgreed};
use crate::settings::{ConnectionArgs, Format};

/// Remove images that no journal names, beyond the newest so many
///
/// Also removes what is said about them, and takes back the pins of releases that are neither run nor a way back any more: the
/// registry's own cleanup may have those. Never removed: what any entry of any environment's journal names, with its platforms and its
/// evidence; what is pinned; what does not say when it was made; what is no image. The space is freed by the registry's own garbage
/// collection.
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Examples:
  schleuse retention prune --keep 20 --dry-run
  schleuse retention prune --keep 20 --yes        in a scheduled job")]
pub(crate) struct Args {
    /// How many of the newest images that no journal names stay; at least 1: a build may be waiting for its promotion
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    keep: u32,
    /// Only say what would go
    #[arg(long, conflicts_with = "yes")]
    dry_run: bool,
    /// Do not ask
    #[arg(long, short)]
    yes: bool,
    #[command(flatten)]
    connection: ConnectionArgs,
}

#[derive(Serialize)]
struct Answer {
    image: String,
    dry_run: bool,
    stay: Vec<Row>,
    go: Vec<Row>,
    /// Manifests removed, evidence included.
    removed: usize,
    /// Pins taken back: of releases that are neither run nor a way back any more.
    unpinned: usize,
    /// Why not everything that may go is gone.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<FailureReport>,
}

#[derive(Serialize)]
struct Row {
    digest: Digest,
    tags: Vec<Tag>,
    #[serde(skip_serializing_if = "Option::is_none")]
    created: Option<Timestamp>,
    /// Why it stays, or what became of it.
    note: String,
}

impl Row {
    fn new(found: &Found, note: impl ToString) -> Self {
        let Found { digest, tags, created, .. } = found.clone();
        Self { digest, tags, created, note: note.to_string() }
    }
}

pub(crate) async fn run(args: &Args, context: &Context) -> Result<Exit, Failure> {
    let ladder = Ladder::open(context, &args.connection).await?;
    let progress = context.progress("reading the journals and the tags");
    let (sorted, named) = look(context, &ladder, args.keep).await?;
    drop(progress);
    if !args.dry_run && !args.yes && !sorted.go.is_empty() {
        agree(context, &sorted).await?;
    }
    let mut answer = Answer {
        image: ladder.names.image.to_string(),
        dry_run: args.dry_run,
        stay: sorted.stay.iter().map(|(found, why)| Row::new(found, why)).collect(),
        go: Vec::new(),
        removed: 0,
        unpinned: 0,
        error: None,
    };
    if args.dry_run {
        answer.go = sorted.go.iter().map(|found| Row::new(found, "may go")).collect();
        context.printer.report(&answer)?;
        return Ok(Exit::Done);
    }
    let done = match remove(context, &ladder, &sorted, &named, &mut answer).await {
        Ok(()) => take_back(context, &ladder, &mut answer).await,
        failed => failed,
    };
    finish(context, answer, done.err())
}

/// What stays and what may go. Everything is read before anything is removed.
async fn look(context: &Context, ladder: &Ladder<'_>, keep: u32) -> Result<(Sorted, Named), Failure> {
    let named = all_named(ladder).await?;
    let (client, image) = (ladder.client.as_ref(), &ladder.names.image);
    let pins = pinned(client, image).await?;
    let found = survey(client, image, context.now()).await?;
    let keep = usize::try_from(keep).unwrap_or(usize::MAX);
    Ok((sort(found, &named, &pins, keep)?, named))
}

/// What the journals name, and what that consists of.
async fn all_named(ladder: &Ladder<'_>) -> Result<Named, Failure> {
    let mut named = named(&journals(ladder).await?).await?;
    named.look_into(source(ladder), &ladder.names.image).await?;
    Ok(named)
}

fn source<'a>(ladder: &'a Ladder<'_>) -> Source<'a> {
    let client = ladder.client.as_ref();
    Source { pull: client, referrers: client }
}

async fn remove(
    context: &Context,
    ladder: &Ladder<'_>,
    sorted: &Sorted,
    named: &Named,
    answer: &mut Answer,
) -> Result<(), Failure> {
    if sorted.go.is_empty() {
        return Ok(());
    }
    let (client, repository) = (ladder.client.as_ref(), &ladder.names.image);
    let mut stay: BTreeSet<Digest> = named.releases.keys().chain(named.parts.keys()).cloned().collect();
    // With its evidence: what somebody made look like evidence of an image that goes may be that of one that stays.
    for (found, _) in sorted.stay.iter().filter(|(found, _)| !named.releases.contains_key(&found.digest)) {
        stay.extend(
            contents(source(ladder), &repository.pin(found.digest.clone())).await?.into_iter().map(|it| it.digest),
        );
        stay.extend(found.children.iter().cloned());
    }
    stay.extend(held(ladder).await?.into_iter().flat_map(|held| held.items).map(|item| item.digest));
    let journals = journals(ladder).await?;
    let remover =
        Remover { pull: client, referrers: client, delete: client, repository, journals: &journals, stay: &stay };
    for (done, found) in sorted.go.iter().enumerate() {
        let _progress = context.progress(&format!("removing {} of {}", done + 1, sorted.go.len()));
        let note = match remover.remove(found).await? {
            Removed::Gone { manifests } => {
                answer.removed += manifests;
                "removed"
            }
            Removed::Needed => "stays: it came to be needed meanwhile",
        };
        answer.go.push(Row::new(found, note));
    }
    Ok(())
}

/// Takes back the pins of releases that the journals name, and that nobody runs or would go back to. Read anew: removing took time.
async fn take_back(context: &Context, ladder: &Ladder<'_>, answer: &mut Answer) -> Result<(), Failure> {
    let _progress = context.progress("looking after the pins");
    let (client, image) = (ladder.client.as_ref(), &ladder.names.image);
    let pins = pinned(client, image).await?;
    let named = all_named(ladder).await?;
    let mut stale: BTreeSet<Digest> = named.releases.into_keys().chain(named.parts.into_keys()).collect();
    for item in held(ladder).await?.into_iter().flat_map(|held| held.items) {
        stale.remove(&item.digest);
    }
    match unpin(client, image, &pins, &stale).await? {
        Unpinned::Done(count) => answer.unpinned = count,
        Unpinned::TagsStay => context.printer.detail("this registry deletes no tags: pins of older releases stay"),
        Unpinned::TakesManifests => {
            context.printer.warn("this registry deletes an image with its tag: pins of older releases were left alone");
        }
    }
    if answer.unpinned > 0 {
        // An older release may have been promoted or gone back to since the journals were read, and found its pins still there.
        let needed = held(ladder).await?.into_iter().flat_map(|held| held.items);
        let needed: Vec<Digest> = needed.map(|item| item.digest).collect();
        pin(client, client, image, &needed).await?;
    }
    Ok(())
}

/// A machine format is one document: the error stands in it, beside what was removed in spite of it.
fn finish(context: &Context, mut answer: Answer, failed: Option<Failure>) -> Result<Exit, Failure> {
    match failed {
        Some(failure) if context.printer.settings().format == Format::Json => {
            answer.error = Some(failure.report());
            context.printer.report(&answer)?;
            Ok(failure.exit())
        }
        failed => {
            context.printer.report(&answer)?;
            failed.map_or(Ok(Exit::Done), Err)
        }
    }
}

async fn agree(context: &Context, sorted: &Sorted) -> Result<(), Failure> {
    if !context.printer.settings().interactive {
        return Err(NotAgreed::Nobody {
            act: "removing images",
            hint: "say it with `--yes`, or look first with `--dry-run`",
        }
        .into());
    }
    for found in &sorted.go {
        let tags: Vec<&str> = found.tags.iter().map(Tag::as_str).collect();
        context.printer.note(&format!("{}  {}", found.digest.short(), tags.join(", ")));
    }
    let what = format!("remove these {} images and what is said about them?", sorted.go.len());
    if question::yes_no(context, &what, Enter::No).await? {
        Ok(())
    } else {
        Err(NotAgreed::No { undone: "not removed" }.into())
    }
}

impl Report for Answer {
    fn human(&self, page: &mut Page) {
        let paint = page.paint();
        let mut row = |row: &Row, note: String| {
            let created = row.created.map_or_else(|| "-".to_owned(), |at| at.to_string());
            let tags: Vec<&str> = row.tags.iter().map(Tag::as_str).collect();
            page.line(format_args!("{}  {created:<20}  {note}  {}", row.digest.short(), paint.dim(tags.join(", "))));
        };
        for one in &self.stay {
            row(one, paint.good(format_args!("stays: {}", one.note)));
        }
        for one in &self.go {
            row(one, paint.warn(&one.note));
        }
        let removed = if self.dry_run {
            format!("{} may go", self.go.len())
        } else {
            format!("{} manifests removed", self.removed)
        };
        page.line(format_args!("{} stay, {removed}", self.stay.len()));
        if self.unpinned > 0 {
            page.line(format_args!("{} pins of older releases taken back", self.unpinned));
        }
    }
}
