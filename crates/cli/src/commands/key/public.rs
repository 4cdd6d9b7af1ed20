//! `schleuse key public`.

use schleuse_model::Exit;
use serde::Serialize;

use crate::context::Context;
use crate::failure::Failure;
use crate::keys::{self, KeyReference};
use crate::output::{Page, Report};

/// Print the public half of a key
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Example:
  schleuse key public schleuse.key > schleuse.pub")]
pub(super) struct Args {
    /// The key: a file, or env://NAME for a variable that holds it
    #[arg(value_name = "KEY")]
    key: String,
}

#[derive(Serialize)]
struct PublicHalf {
    pem: String,
    fingerprint: String,
}

impl Report for PublicHalf {
    fn human(&self, page: &mut Page) {
        page.raw(&self.pem);
    }
}

pub(super) async fn run(args: &Args, context: &Context) -> Result<Exit, Failure> {
    let key = keys::public(context, &KeyReference::parse(&args.key)).await?;
    context.printer.report(&PublicHalf { pem: key.to_pem(), fingerprint: key.fingerprint().to_string() })?;
    Ok(Exit::Done)
}
