//! `schleuse resume`.

use std::sync::Arc;

use schleuse_model::Exit;

use crate::commands::promote::OutcomeReport;
use crate::context::Context;
use crate::failure::Failure;
use crate::keys;
use crate::ladder::Ladder;
use crate::settings::ConnectionArgs;
use crate::watch::Watch;

/// Finish what a run that died has left unfinished
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Examples:
  schleuse resume               every environment
  schleuse resume canary

It takes a dead run's rollout over, tells the journal what was done while the registry was down, and moves tags to where the
journal stands. Where nothing is unfinished it changes nothing.")]
pub(crate) struct Args {
    /// The environment [default: all of them]
    #[arg(value_name = "ENV")]
    environment: Option<String>,
    /// The signing key: a file, or env://NAME [default: COSIGN_PRIVATE_KEY]
    #[arg(long, value_name = "KEY")]
    key: Option<String>,
    #[command(flatten)]
    connection: ConnectionArgs,
}

pub(crate) async fn run(args: &Args, context: &Context) -> Result<Exit, Failure> {
    let ladder = Ladder::open(context, &args.connection).await?;
    let rungs = match &args.environment {
        Some(name) => vec![ladder.rung(name)?],
        None => ladder.rungs().iter().collect(),
    };
    let signer = Arc::new(keys::signer(context, args.key.as_deref()).await?);
    let mut worst = Exit::Done;
    for rung in rungs {
        let environment = ladder.environment(rung)?;
        let watch = Arc::new(Watch::new(context.printer.clone(), context.clock.clone()));
        let world = ladder.world(signer.clone(), watch)?;
        let began = context.now();
        let outcome = schleuse_promote::resume(&world, &environment).await?;
        drop(world);
        let report = OutcomeReport::new(rung.name.as_str(), &outcome, context.now().since(began));
        context.printer.report(&report)?;
        worst = worst.max(outcome.exit());
    }
    Ok(worst)
}
