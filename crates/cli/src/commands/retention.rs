//! `schleuse retention`.

mod list;
mod pin;
mod prune;

use schleuse_journal::Journal;
use schleuse_journal::naming::environments;
use schleuse_model::Exit;
use schleuse_promote::retention::{Item, Staying, contents, staying};
use schleuse_sign::fetch::Source;

use crate::context::Context;
use crate::failure::Failure;
use crate::ladder::Ladder;

/// Show what a registry's cleanup must leave alone, and remove what may go
///
/// What each environment runs and would go back to, with its platforms and its evidence, has tags that start with `keep-`: promotions
/// set them. Except that prefix from the registry's own cleanup rules.
#[derive(clap::Args, Debug)]
#[command(
    args_conflicts_with_subcommands = true,
    after_help = "\
Examples:
  schleuse retention                what must stay, and why
  schleuse retention --check        is all of it there, whole and pinned? (exit code 10: no)
  schleuse retention pin            pins what is not pinned
  schleuse retention prune --keep 20 --dry-run"
)]
pub(crate) struct Args {
    #[command(subcommand)]
    verb: Option<Verb>,
    #[command(flatten)]
    list: list::Listing,
}

#[derive(clap::Subcommand, Debug)]
enum Verb {
    Pin(pin::Args),
    Prune(prune::Args),
}

pub(crate) async fn run(args: &Args, context: &Context) -> Result<Exit, Failure> {
    match &args.verb {
        None => list::run(&args.list, context).await,
        Some(Verb::Pin(args)) => pin::run(args, context).await,
        Some(Verb::Prune(args)) => prune::run(args, context).await,
    }
}

/// A release that must stay, with all it consists of.
#[derive(Debug)]
struct Held {
    staying: Staying,
    items: Vec<Item>,
}

/// What must stay, as the journals say now.
async fn held(ladder: &Ladder<'_>) -> Result<Vec<Held>, Failure> {
    let mut heads = Vec::new();
    for journal in journals(ladder).await? {
        heads.extend(journal.head().await?);
    }
    let states = heads.iter().map(|head| (&head.entry().environment, &head.entry().state));
    let source = Source { pull: ladder.client.as_ref(), referrers: ladder.client.as_ref() };
    let mut held = Vec::new();
    for staying in staying(states) {
        let image = ladder.names.image.pin(staying.release.digest.clone());
        held.push(Held { items: contents(source, &image).await?, staying });
    }
    Ok(held)
}

/// The journals of the ladder, and of environments that are not in the configuration any more: what they name is named.
async fn journals(ladder: &Ladder<'_>) -> Result<Vec<Journal>, Failure> {
    let mut journals = ladder.record();
    for name in environments(ladder.client.as_ref(), &ladder.names.journal).await? {
        if !journals.iter().any(|journal| *journal.environment() == name) {
            journals.push(ladder.journal_of(name));
        }
    }
    Ok(journals)
}
