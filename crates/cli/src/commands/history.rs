//! `schleuse history`.

use schleuse_model::Exit;
use schleuse_promote::views::{HistoryRow, history_row};
use serde::Serialize;

use crate::context::Context;
use crate::failure::Failure;
use crate::ladder::Ladder;
use crate::output::{Page, Report};
use crate::settings::ConnectionArgs;

/// Show what happened in an environment, newest first
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Examples:
  schleuse history production
  schleuse history --verify       checks every entry of every environment: signature, link, state, tag")]
pub(crate) struct Args {
    /// The environment [default: all of them]
    #[arg(value_name = "ENV")]
    environment: Option<String>,
    /// How many entries to show of each
    #[arg(long, value_name = "N", default_value_t = 20)]
    limit: usize,
    /// Verify the whole journal, not only what is shown
    #[arg(long)]
    verify: bool,
    #[command(flatten)]
    connection: ConnectionArgs,
}

#[derive(Serialize)]
struct History {
    environments: Vec<OfOne>,
}

#[derive(Serialize)]
struct OfOne {
    environment: String,
    entries: Vec<HistoryRow>,
    /// How many entries were verified; each one shown was.
    verified: usize,
    /// Whether that is all of them.
    complete: bool,
}

pub(crate) async fn run(args: &Args, context: &Context) -> Result<Exit, Failure> {
    let ladder = Ladder::open(context, &args.connection).await?;
    let rungs = match &args.environment {
        Some(name) => vec![ladder.rung(name)?],
        None => ladder.rungs().iter().collect(),
    };
    let mut environments = Vec::new();
    for rung in rungs {
        let journal = ladder.journal(rung);
        let entries = if args.verify {
            let _progress = context.progress(&format!("verifying the journal of {}", rung.name));
            journal.verify_all().await?
        } else {
            let mut entries: Vec<_> = journal.head().await?.into_iter().collect();
            while entries.len() < args.limit
                && let Some(newest) = entries.last()
                && let Some(before) = journal.before(newest).await?
            {
                entries.push(before);
            }
            entries
        };
        environments.push(OfOne {
            environment: rung.name.to_string(),
            verified: entries.len(),
            complete: entries.last().is_none_or(|oldest| oldest.entry().sequence == 1),
            entries: entries.iter().take(args.limit).map(history_row).collect(),
        });
    }
    context.printer.report(&History { environments })?;
    Ok(Exit::Done)
}

impl Report for History {
    fn human(&self, page: &mut Page) {
        let paint = page.paint();
        for one in &self.environments {
            page.line(paint.strong(&one.environment));
            for row in &one.entries {
                let version = row.release.version.as_deref().unwrap_or("");
                let at = row.at.to_string();
                page.line(format_args!(
                    "  #{:<4} {}  {:<15}  {}  {version:<10}  {}",
                    row.sequence,
                    at.get(..19).unwrap_or(&at).replace('T', " "),
                    row.event,
                    row.release.digest.short(),
                    paint.dim(row.detail.as_deref().unwrap_or(""))
                ));
            }
            let whole = if one.complete { ", the whole journal" } else { "" };
            let entries = if one.verified == 1 { "entry" } else { "entries" };
            page.line(format_args!("  {}{whole}", paint.good(format_args!("{} {entries} verified", one.verified))));
        }
    }
}
