//! `schleuse registry`.

use schleuse_model::Exit;

use crate::context::Context;
use crate::failure::Failure;

mod reload;
mod serve;

/// Run the embedded registry
#[derive(clap::Args, Debug)]
#[command(
    subcommand_required = true,
    after_help = "\
Example:
  schleuse registry serve --folder /srv/registry"
)]
pub(crate) struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(clap::Subcommand, Debug)]
enum Verb {
    Serve(serve::Args),
}

pub(crate) async fn run(args: Args, context: &Context) -> Result<Exit, Failure> {
    match args.verb {
        Verb::Serve(args) => serve::run(args, context).await,
    }
}
