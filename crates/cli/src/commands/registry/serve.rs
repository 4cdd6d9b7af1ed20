//! `schleuse registry serve`.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use schleuse_model::Exit;
use schleuse_model::time::parse_duration;
use schleuse_registry::{GcOptions, GcReport, Registry};
use tokio::sync::watch;

use super::files::{Files, with_login};
use super::listen::{listen, warn};
use super::reload;
use crate::context::Context;
use crate::failure::Failure;
use crate::signals;

/// Serve an OCI registry over HTTP until Ctrl-C or SIGTERM
///
/// Without a login, whoever reaches it can read and write everything. A login is either the one of REGISTRY_USERNAME and
/// REGISTRY_PASSWORD, or any of the users in --htpasswd. Over anything but this machine's loopback interface, passwords want TLS.
///
/// SIGHUP reads the file of users, the certificate and its key again, and opens the access log anew; whatever cannot be read stays
/// as it was. SIGTERM lets running requests finish for some seconds.
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Examples:
  schleuse registry serve --folder ./registry
  schleuse registry serve --memory --listen 127.0.0.1:0
  htpasswd -cB users ci
  schleuse registry serve --folder /srv/registry --listen 0.0.0.0:443 \\
      --htpasswd users --tls-cert cert.pem --tls-key key.pem --access-log -

More: docs/REGISTRY.md")]
pub(super) struct Args {
    /// Where to listen; port 0 takes a free one
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:5000")]
    listen: SocketAddr,
    /// Keep everything in this folder
    #[arg(long, value_name = "DIR", required_unless_present = "memory", conflicts_with = "memory")]
    folder: Option<PathBuf>,
    /// Keep everything in memory, for trials
    #[arg(long)]
    memory: bool,
    /// Let in the users of this file, as `htpasswd -B` writes it (bcrypt only)
    #[arg(long, value_name = "FILE")]
    pub(super) htpasswd: Option<PathBuf>,
    /// Speak TLS with this certificate (PEM, with the chain below it)
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    pub(super) tls_cert: Option<PathBuf>,
    /// The certificate's private key (PEM)
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    pub(super) tls_key: Option<PathBuf>,
    /// Refuse everything that would change something
    #[arg(long)]
    read_only: bool,
    /// Accept manifests that name content which is not here, as a mirror of some platforms has them
    #[arg(long)]
    allow_sparse: bool,
    /// Append one line of JSON a request to this file; `-` is stderr
    #[arg(long, value_name = "FILE")]
    pub(super) access_log: Option<PathBuf>,
    /// Remove what no manifest needs and no client has used for a day, so often (also at the start)
    #[arg(long, value_name = "DURATION", value_parser = parse_duration, conflicts_with = "read_only")]
    gc_every: Option<Duration>,
    /// Serve /metrics for Prometheus here, over plain HTTP and without a login
    #[arg(long, value_name = "ADDRESS:PORT")]
    metrics: Option<SocketAddr>,
}

pub(super) async fn run(args: Args, context: &Context) -> Result<Exit, Failure> {
    let stop = signals::Stop::listen()?;
    let hangups = reload::hangups()?;
    reload::outlive_file_limits()?;
    let limits = reload::limits();
    let files = Files::open(&args)?;
    let registry = match &args.folder {
        Some(folder) => Registry::disk(folder)?,
        None => Registry::memory(),
    };
    let (registry, guarded) = with_login(registry, files.users.as_ref(), context)?;
    let registry = configured(registry.with_limits(limits), &args, &files).with_clock(context.clock.clone());
    let (listener, address) = listen(args.listen, "--listen")?;
    warn(context, address, guarded, args.tls_cert.is_some());
    let metrics = args.metrics.map(|address| listen(address, "--metrics")).transpose()?;
    let scheme = if files.tls.is_some() { "https" } else { "http" };
    // What scripts wait for.
    context.printer.note(&format!("listening on {scheme}://{address}"));
    if let Some((_, address)) = &metrics {
        context.printer.note(&format!("metrics on http://{address}/metrics"));
    }
    let (stopping, stopped) = watch::channel(false);
    let asked = async {
        let signal = stop.asked().await;
        context.printer.note(&format!("{signal}: finishing what is running"));
        // Nobody waits for it where there are no metrics.
        let _ = stopping.send(true);
    };
    let beside = async {
        let watched = async {
            match metrics {
                Some((listener, _)) => registry.clone().serve_metrics(listener, ended(stopped.clone())).await,
                None => ended(stopped.clone()).await,
            }
        };
        tokio::select! {
            () = watched => {},
            () = collecting(&registry, args.gc_every, context) => {},
            () = reload::on_hangup(hangups, &files, context) => {},
        }
    };
    let (served, ()) = tokio::join!(registry.clone().serve(listener, context.clock.clone(), asked), beside);
    if let Some(log) = &files.log {
        log.close();
    }
    served?;
    Ok(Exit::Done)
}

fn configured(registry: Registry, args: &Args, files: &Files) -> Registry {
    let registry = if args.allow_sparse { registry.accepting_sparse() } else { registry };
    let registry = if args.read_only { registry.read_only() } else { registry };
    let registry = match &files.tls {
        Some(tls) => registry.with_tls(tls),
        None => registry,
    };
    match &files.log {
        Some(log) => registry.with_access_log(log),
        None => registry,
    }
}

/// Collects garbage for as long as it is polled; without `every`, only waits.
async fn collecting(registry: &Registry, every: Option<Duration>, context: &Context) {
    let Some(every) = every else { return std::future::pending().await };
    let said = |report: Result<GcReport, schleuse_registry::Error>| match report {
        Ok(report) => {
            for name in &report.skipped {
                context.printer.warn(&format!("gc: {name} is left alone, as a manifest there cannot be read"));
            }
            let (blobs, bytes) = (report.blobs_removed, report.bytes_freed);
            context.printer.detail(&format!("gc: removed {blobs} blobs ({bytes} bytes)"));
        }
        Err(error) => context.printer.warn(&format!("gc: {error}")),
    };
    registry.gc_every(every, GcOptions::default(), said).await;
}

async fn ended(mut stopped: watch::Receiver<bool>) {
    // An error means that nobody can ask any more.
    let _ = stopped.wait_for(|stopped| *stopped).await;
}
