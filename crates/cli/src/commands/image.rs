//! `schleuse image`.

mod copy;
mod end;
mod index;
mod inspect;
mod list;
mod moving;
mod size;
mod tag;

use schleuse_model::Exit;

use crate::context::Context;
use crate::failure::Failure;

/// Copy, tag, look at, list and join images: registries, layouts, archives
///
/// A place is written as skopeo writes it: HOST/NAME[:TAG|@DIGEST], oci:FOLDER[:TAG], oci-archive:FILE[:TAG],
/// docker-archive:FILE[:NAME:TAG]. Digests never change on the way.
#[derive(clap::Args, Debug)]
#[command(
    subcommand_required = true,
    after_help = "\
Examples:
  schleuse image copy ghcr.io/acme/billing@sha256:… registry.example/acme/billing:1.4.0
  schleuse image tag ghcr.io/acme/billing@sha256:… 1.4.0"
)]
pub(crate) struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(clap::Subcommand, Debug)]
enum Verb {
    Copy(copy::Args),
    Tag(tag::Args),
    Inspect(inspect::Args),
    List(list::Args),
    Index(index::Args),
}

pub(crate) async fn run(args: &Args, context: &Context) -> Result<Exit, Failure> {
    match &args.verb {
        Verb::Copy(args) => copy::run(args, context).await,
        Verb::Tag(args) => tag::run(args, context).await,
        Verb::Inspect(args) => inspect::run(args, context).await,
        Verb::List(args) => list::run(args, context).await,
        Verb::Index(args) => index::run(args, context).await,
    }
}
