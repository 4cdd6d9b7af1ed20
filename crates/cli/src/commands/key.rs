//! `schleuse key`.

mod revoke;
mod rotate;
mod staying;

use std::path::PathBuf;

use rand_core::OsRng;
use schleuse_model::Exit;
use schleuse_sign::{KeyPair, Signer as _};
use serde::Serialize;

use crate::context::Context;
use crate::failure::Failure;
use crate::files::{self, FileError};
use crate::keys::{self, KeyReference};
use crate::output::{Page, Report};
use crate::password;

/// Make signing keys, and show their public half
#[derive(clap::Args, Debug)]
#[command(
    subcommand_required = true,
    after_help = "\
Examples:
  schleuse key generate             writes schleuse.key and schleuse.pub
  schleuse key public env://COSIGN_PRIVATE_KEY"
)]
pub(crate) struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(clap::Subcommand, Debug)]
enum Verb {
    Generate(Generate),
    Public(Public),
    Rotate(rotate::Args),
    Revoke(revoke::Args),
}

/// Make a new key pair, in cosign's file format
///
/// The password comes from COSIGN_PASSWORD, or is asked for on a terminal; never from an argument.
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Example:
  schleuse key generate --output-prefix keys/ci       writes keys/ci.key and keys/ci.pub")]
struct Generate {
    /// Write PREFIX.key (the private key, encrypted) and PREFIX.pub
    #[arg(long, value_name = "PREFIX", default_value = "schleuse")]
    output_prefix: PathBuf,
}

/// Print the public half of a key
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Example:
  schleuse key public schleuse.key > schleuse.pub")]
struct Public {
    /// The key: a file, or env://NAME for a variable that holds it
    #[arg(value_name = "KEY")]
    key: String,
}

pub(crate) async fn run(args: &Args, context: &Context) -> Result<Exit, Failure> {
    match &args.verb {
        Verb::Generate(args) => generate(args, context).await,
        Verb::Public(args) => public(args, context).await,
        Verb::Rotate(args) => rotate::run(args, context).await,
        Verb::Revoke(args) => revoke::run(args, context).await,
    }
}

#[derive(Serialize)]
struct Generated {
    private_key: PathBuf,
    public_key: PathBuf,
    fingerprint: String,
}

impl Report for Generated {
    fn human(&self, page: &mut Page) {
        page.fact(11, "private key", self.private_key.display());
        page.fact(11, "public key", self.public_key.display());
        page.fact(11, "fingerprint", &self.fingerprint);
    }
}

async fn generate(args: &Generate, context: &Context) -> Result<Exit, Failure> {
    let with = |ending: &str| {
        let mut path = args.output_prefix.clone().into_os_string();
        path.push(ending);
        PathBuf::from(path)
    };
    let (private, public) = (with(".key"), with(".pub"));
    // Before anybody is asked for a password.
    if let Some(path) = [&private, &public].into_iter().find(|path| path.symlink_metadata().is_ok()) {
        return Err(FileError::Exists { path: path.clone() }.into());
    }
    let password = password::new(context).await?;
    if password.expose().is_empty() {
        context.printer.warn("the password is empty: whoever has the file can sign; use it for trials only");
    }
    let key = KeyPair::generate(&mut OsRng)?;
    files::create_new(&private, key.encrypt(&password, &mut OsRng)?.as_bytes(), 0o600)?;
    if let Err(error) = files::create_new(&public, key.public_key().to_pem().as_bytes(), 0o644) {
        // A private key without its public half would refuse the next try.
        let _ = std::fs::remove_file(&private);
        return Err(error.into());
    }
    let fingerprint = key.public_key().fingerprint().to_string();
    let trust = format!("build = [\"{}\"]", public.display());
    context.printer.report(&Generated { private_key: private, public_key: public, fingerprint })?;
    context.printer.note(&format!("commit the public key, list it under [trust] in schleuse.toml: `{trust}`"));
    context.printer.note("keep the private key out of the repository: CI gets it as the secret COSIGN_PRIVATE_KEY");
    Ok(Exit::Done)
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

async fn public(args: &Public, context: &Context) -> Result<Exit, Failure> {
    let key = keys::public(context, &KeyReference::parse(&args.key)).await?;
    context.printer.report(&PublicHalf { pem: key.to_pem(), fingerprint: key.fingerprint().to_string() })?;
    Ok(Exit::Done)
}
