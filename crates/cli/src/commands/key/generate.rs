//! `schleuse key generate`.

use rand_core::OsRng;
use schleuse_model::Exit;
use schleuse_sign::KeyPair;
use schleuse_sign::keys::Algorithm;

use super::pair::Destination;
use crate::context::Context;
use crate::failure::Failure;

/// Make a new key pair, in cosign's file format
///
/// The password comes from COSIGN_PASSWORD, or is asked for on a terminal; never from an argument.
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Example:
  schleuse key generate --output-prefix keys/ci       writes keys/ci.key and keys/ci.pub")]
pub(super) struct Args {
    /// Which kind: every tool of the field reads ECDSA P-256
    #[arg(long, value_enum, value_name = "ALGORITHM", default_value = "ecdsa-p256")]
    algorithm: Kind,
    #[command(flatten)]
    destination: Destination,
}

/// `--algorithm`.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum Kind {
    EcdsaP256,
    EcdsaP384,
    Ed25519,
}

pub(super) async fn run(args: &Args, context: &Context) -> Result<Exit, Failure> {
    args.destination.must_be_free()?;
    let algorithm = match args.algorithm {
        Kind::EcdsaP256 => Algorithm::EcdsaP256,
        Kind::EcdsaP384 => Algorithm::EcdsaP384,
        Kind::Ed25519 => Algorithm::Ed25519,
    };
    let pair = KeyPair::generate_as(algorithm, &mut OsRng)?;
    args.destination.write(&pair, context).await?;
    Ok(Exit::Done)
}
