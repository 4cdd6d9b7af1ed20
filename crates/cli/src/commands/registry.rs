//! `schleuse registry`.

use schleuse_model::Exit;

use crate::context::Context;
use crate::failure::Failure;

mod check;
mod files;
mod gc;
mod listen;
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
    Gc(gc::Args),
    Check(check::Args),
}

pub(crate) async fn run(args: Args, context: &Context) -> Result<Exit, Failure> {
    match args.verb {
        Verb::Serve(args) => serve::run(args, context).await,
        Verb::Gc(args) => gc::run(args, context).await,
        Verb::Check(args) => check::run(args, context).await,
    }
}
