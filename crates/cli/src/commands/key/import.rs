//! `schleuse key import`.

use schleuse_model::Exit;
use schleuse_sign::KeyPair;

use super::pair::Destination;
use crate::context::Context;
use crate::failure::Failure;
use crate::keys::{self, KeyReference};

/// Encrypt a plain private key of another tool into cosign's file format
///
/// Reads PKCS#8 and SEC1 (`BEGIN PRIVATE KEY`, `BEGIN EC PRIVATE KEY`): ECDSA P-256 and P-384, Ed25519. RSA keys can be trusted, not
/// signed with. The plain file is left as it is: remove it when you have tried the new one.
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Example:
  schleuse key import old.pem --output-prefix keys/ci       writes keys/ci.key and keys/ci.pub")]
pub(super) struct Args {
    /// The plain key: a file, or env://NAME for a variable that holds it
    #[arg(value_name = "KEY")]
    key: String,
    #[command(flatten)]
    destination: Destination,
}

pub(super) async fn run(args: &Args, context: &Context) -> Result<Exit, Failure> {
    args.destination.must_be_free()?;
    let reference = KeyReference::parse(&args.key);
    let pair = KeyPair::import(&keys::content(context, &reference)?).map_err(|source| reference.unusable(source))?;
    args.destination.write(&pair, context).await?;
    Ok(Exit::Done)
}
