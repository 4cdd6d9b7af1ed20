//! `schleuse rollback`.

use std::sync::Arc;

use schleuse_model::Exit;
use schleuse_promote::RollbackRequest;
use schleuse_promote::rollback::{WayBack, way_back};

use crate::commands::promote::OutcomeReport;
use crate::context::Context;
use crate::failure::Failure;
use crate::keys;
use crate::ladder::Ladder;
use crate::project::Patience;
use crate::question::{self, Enter, NotAgreed};
use crate::settings::ConnectionArgs;
use crate::watch::{Watch, described};

/// Go back to the release before
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Examples:
  schleuse rollback                               production, or the only environment; asks first
  schleuse rollback canary --yes --reason \"wrong prices\"
  schleuse rollback production --to 44d0c9b1e6aa  a certain release that was healthy there

It skips soak, freeze and approval, never the record, and it works with the registry down.")]
pub(crate) struct Args {
    /// The environment [default: production, or the only one]
    #[arg(value_name = "ENV")]
    environment: Option<String>,
    /// The first digits of the release's digest [default: the newest that was healthy there before]
    #[arg(long, value_name = "DIGEST")]
    to: Option<String>,
    /// Why; is recorded
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
    /// Do not ask
    #[arg(long, short)]
    yes: bool,
    /// The signing key: a file, or env://NAME [default: COSIGN_PRIVATE_KEY]
    #[arg(long, value_name = "KEY")]
    key: Option<String>,
    #[command(flatten)]
    connection: ConnectionArgs,
}

pub(crate) async fn run(args: &Args, context: &Context) -> Result<Exit, Failure> {
    let ladder = Ladder::open_with(context, &args.connection, Patience::Short).await?;
    let rung = ladder.rung_or_production(args.environment.as_deref())?;
    let environment = ladder.environment(rung)?;
    let request = RollbackRequest { to: args.to.clone(), reason: args.reason.clone() };
    if !args.yes {
        // A journal that gives no answer does not stop a way back: it only cannot be described.
        let known = way_back(&environment, &request).await.ok().flatten();
        agree(context, rung.name.as_str(), known.as_ref()).await?;
    }
    let signer = Arc::new(keys::signer(context, args.key.as_deref()).await?);
    let watch = Arc::new(Watch::new(context.printer.clone(), context.clock.clone()));
    let world = ladder.world(signer, watch)?;
    let began = context.now();
    let outcome = schleuse_promote::rollback(&world, &environment, &request).await?;
    drop(world);
    let report = OutcomeReport::new(rung.name.as_str(), &outcome, context.now().since(began));
    context.printer.report(&report)?;
    Ok(outcome.exit())
}

async fn agree(context: &Context, environment: &str, known: Option<&WayBack>) -> Result<(), Failure> {
    if !context.printer.settings().interactive {
        return Err(NotAgreed::Nobody { act: "going back", hint: "say it with `--yes`" }.into());
    }
    let change = known.map(|known| {
        let leaves = known.leaves.as_ref().map_or_else(|| "nothing".to_owned(), described);
        format!("{leaves} -> {}", described(&known.returns_to))
    });
    let change = change.unwrap_or_else(|| "to the instance that was kept".to_owned());
    let yes = question::yes_no(context, &format!("{environment}: {change}. Go?"), Enter::Yes).await?;
    if yes { Ok(()) } else { Err(NotAgreed::No { undone: "not gone back" }.into()) }
}
