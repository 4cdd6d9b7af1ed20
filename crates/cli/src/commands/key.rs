//! `schleuse key`.

mod generate;
mod import;
mod inspect;
mod pair;
mod public;
mod revoke;
mod rotate;
mod staying;

use schleuse_model::Exit;

use crate::context::Context;
use crate::failure::Failure;

/// Make, import, look at, rotate and revoke signing keys
#[derive(clap::Args, Debug)]
#[command(
    subcommand_required = true,
    after_help = "\
Examples:
  schleuse key generate             writes schleuse.key and schleuse.pub
  schleuse key import old.pem       the same from a plain key of another tool
  schleuse key public env://COSIGN_PRIVATE_KEY
  schleuse key inspect keys/ci.pub  what it is, and what it is trusted for here

A private key is kept encrypted, in cosign's file format: cosign reads ours and we read cosign's."
)]
pub(crate) struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(clap::Subcommand, Debug)]
enum Verb {
    Generate(generate::Args),
    Import(import::Args),
    Public(public::Args),
    Inspect(inspect::Args),
    Rotate(rotate::Args),
    Revoke(revoke::Args),
}

pub(crate) async fn run(args: &Args, context: &Context) -> Result<Exit, Failure> {
    match &args.verb {
        Verb::Generate(args) => generate::run(args, context).await,
        Verb::Import(args) => import::run(args, context).await,
        Verb::Public(args) => public::run(args, context).await,
        Verb::Inspect(args) => inspect::run(args, context).await,
        Verb::Rotate(args) => rotate::run(args, context).await,
        Verb::Revoke(args) => revoke::run(args, context).await,
    }
}
