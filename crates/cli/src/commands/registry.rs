//! `schleuse registry`.

use std::net::SocketAddr;
use std::path::PathBuf;

use schleuse_config::env;
use schleuse_model::{Exit, Explain};
use schleuse_registry::Registry;
use tokio::net::TcpListener;

use crate::context::Context;
use crate::failure::Failure;
use crate::signals;
use crate::usage::Usage;

mod check;
mod gc;

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
    Serve(Serve),
    Gc(gc::Args),
    Check(check::Args),
}

/// Serve an OCI registry over HTTP until Ctrl-C or SIGTERM
///
/// With REGISTRY_USERNAME and REGISTRY_PASSWORD set, only that login is let in.
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Examples:
  schleuse registry serve --folder ./registry
  schleuse registry serve --memory --listen 127.0.0.1:0")]
struct Serve {
    /// Where to listen; port 0 takes a free one
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:5000")]
    listen: SocketAddr,
    /// Keep everything in this folder
    #[arg(long, value_name = "DIR", required_unless_present = "memory", conflicts_with = "memory")]
    folder: Option<PathBuf>,
    /// Keep everything in memory, for trials
    #[arg(long)]
    memory: bool,
}

/// The port cannot be had.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {address}")]
struct CannotListen {
    address: SocketAddr,
    source: std::io::Error,
}

impl Explain for CannotListen {
    fn hints(&self) -> Vec<String> {
        match self.source.kind() {
            std::io::ErrorKind::AddrInUse => {
                vec!["something listens there already: choose another port with --listen".to_owned()]
            }
            _ => Vec::new(),
        }
    }
}

pub(crate) async fn run(args: Args, context: &Context) -> Result<Exit, Failure> {
    match args.verb {
        Verb::Serve(args) => serve(args, context).await,
        Verb::Gc(args) => gc::run(args, context).await,
        Verb::Check(args) => check::run(args, context).await,
    }
}

async fn serve(args: Serve, context: &Context) -> Result<Exit, Failure> {
    let stop = signals::Stop::listen()?;
    let registry = match &args.folder {
        Some(folder) => Registry::disk(folder)?,
        None => Registry::memory(),
    };
    let (registry, guarded) = with_login(registry, context)?;
    let failed = |source| CannotListen { address: args.listen, source };
    let listener = TcpListener::bind(args.listen).await.map_err(failed)?;
    let address = listener.local_addr().map_err(failed)?;
    if !guarded && !address.ip().is_loopback() {
        let two = "set REGISTRY_USERNAME and REGISTRY_PASSWORD, or listen on 127.0.0.1";
        context.printer.warn(&format!("whoever reaches {address} can read and write everything: {two}"));
    }
    // What scripts wait for.
    context.printer.note(&format!("listening on http://{address}"));
    let stopped = async {
        let signal = stop.asked().await;
        context.printer.note(&format!("{signal}: finishing what is running"));
    };
    registry.serve(listener, context.clock.clone(), stopped).await?;
    Ok(Exit::Done)
}

fn with_login(registry: Registry, context: &Context) -> Result<(Registry, bool), Usage> {
    let environment = &context.environment;
    match (environment.get(&env::REGISTRY_USERNAME), environment.secret(&env::REGISTRY_PASSWORD)) {
        (Some(user), Some(password)) => Ok((registry.with_login(user, password), true)),
        (None, None) => Ok((registry, false)),
        _ => Err(Usage::new(
            "only one of REGISTRY_USERNAME and REGISTRY_PASSWORD is set",
            "set both, or none for a registry without login",
        )),
    }
}
