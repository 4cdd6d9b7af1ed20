//! `schleuse status`.

use schleuse_journal::VerifiedEntry;
use schleuse_model::time::human;
use schleuse_model::{Exit, Timestamp};
use schleuse_promote::views::{Next, StatusRow, Verdict, status_row};
use serde::Serialize;

use crate::context::Context;
use crate::failure::Failure;
use crate::ladder::Ladder;
use crate::output::{Page, Report};
use crate::settings::ConnectionArgs;

/// Show what runs where, since when, and what is next
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Example:
  schleuse status --format json | jq '.result.environments[] | select(.verdict != \"healthy\")'")]
pub(crate) struct Args {
    #[command(flatten)]
    connection: ConnectionArgs,
}

#[derive(Serialize)]
struct Status {
    image: String,
    environments: Vec<StatusRow>,
    #[serde(skip)]
    now: Timestamp,
}

pub(crate) async fn run(args: &Args, context: &Context) -> Result<Exit, Failure> {
    let ladder = Ladder::open(context, &args.connection).await?;
    let mut rows = Vec::new();
    let mut before: Option<VerifiedEntry> = None;
    for rung in ladder.rungs() {
        let journal = ladder.journal(rung);
        let head = journal.head().await?;
        let verified_to = match &head {
            Some(head) => verify_back(&journal, head).await?,
            None => 0,
        };
        let unrecorded = match ladder.target(rung)? {
            Some(target) => target.read_intent().await?.is_some(),
            None => false,
        };
        rows.push(status_row(&rung.name, head.as_ref(), before.as_ref(), unrecorded, verified_to));
        before = head;
    }
    let image = ladder.names.image.to_string();
    let worst = rows.iter().any(|row| row.verdict == Verdict::RollbackFailed);
    context.printer.report(&Status { image, environments: rows, now: context.now() })?;
    Ok(if worst { Exit::RollbackFailed } else { Exit::Done })
}

/// Verifies from the head back to the entry that admitted what runs: everything that the row says.
async fn verify_back(journal: &schleuse_journal::Journal, head: &VerifiedEntry) -> Result<u64, Failure> {
    let pinned = head.entry().state.current.as_ref().map_or(1, |placed| placed.sequence);
    let mut entry = head.clone();
    while entry.entry().sequence > pinned
        && let Some(earlier) = journal.before(&entry).await?
    {
        entry = earlier;
    }
    Ok(entry.entry().sequence)
}

impl Report for Status {
    fn human(&self, page: &mut Page) {
        let paint = page.paint();
        let wide = |text: fn(&StatusRow) -> usize, least: usize| {
            self.environments.iter().map(text).max().unwrap_or(0).max(least)
        };
        let names = wide(|row| row.environment.as_str().len(), 11);
        let versions = wide(|row| version(row).len(), 7);
        page.line(paint.dim(format_args!(
            "{:<names$}  {:<12}  {:<versions$}  {:<6}  {:<11}  next",
            "environment", "release", "version", "since", "verdict"
        )));
        for row in &self.environments {
            let digest = row.release.as_ref().map_or("-", |release| release.digest.short());
            let since = row.since.map(|since| human(self.now.since(since))).unwrap_or_default();
            let word = format!("{:<11}", row.verdict.word());
            let word = match row.verdict {
                Verdict::Healthy => paint.good(word),
                Verdict::Empty => paint.dim(word),
                Verdict::RollingOut => paint.warn(word),
                _ => paint.bad(word),
            };
            page.line(format_args!(
                "{:<names$}  {digest:<12}  {:<versions$}  {since:<6}  {word}  {}",
                row.environment.as_str(),
                version(row),
                next(row, self.now)
            ));
            if let Some(reason) = &row.reason {
                page.line(format_args!("{:<names$}  {}", "", paint.dim(reason)));
            }
        }
        for row in self.environments.iter().filter(|row| row.head > 0) {
            let (name, head, to) = (&row.environment, row.head, row.verified_to);
            page.line(paint.dim(format_args!("{name}: journal verified from #{head} back to #{to}")));
        }
    }
}

fn version(row: &StatusRow) -> &str {
    row.release.as_ref().and_then(|release| release.version.as_deref()).unwrap_or("")
}

/// What is next, in words.
pub(crate) fn next(row: &StatusRow, now: Timestamp) -> String {
    match &row.next {
        Next::Nothing => String::new(),
        Next::Ready { release } => {
            format!("{} is ready: schleuse promote {}", shown(release), row.environment)
        }
        Next::FailedHere { release, at, .. } => {
            format!("{} failed here {} ago", shown(release), human(now.since(*at)))
        }
        Next::Resume => format!("schleuse resume {}", row.environment),
    }
}

fn shown(release: &schleuse_model::Release) -> String {
    release.version.clone().unwrap_or_else(|| release.digest.short().to_owned())
}
