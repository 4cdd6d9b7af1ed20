//! `schleuse registry serve`.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use schleuse_config::env;
use schleuse_model::time::parse_duration;
use schleuse_model::{Exit, Explain};
use schleuse_registry::{AccessLog, GcOptions, GcReport, Limits, Registry, Tls, Users};
use tokio::net::{TcpListener, TcpSocket};
use tokio::sync::watch;

use super::reload;
use crate::context::Context;
use crate::failure::Failure;
use crate::signals;
use crate::usage::Usage;

/// Connections that the kernel may hold for us while all places are taken (it cuts this to its own limit, mostly 4096).
const BACKLOG: u32 = 4096;

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
    htpasswd: Option<PathBuf>,
    /// Speak TLS with this certificate (PEM, with the chain below it)
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    tls_cert: Option<PathBuf>,
    /// The certificate's private key (PEM)
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    tls_key: Option<PathBuf>,
    /// Refuse everything that would change something
    #[arg(long)]
    read_only: bool,
    /// Accept manifests that name content which is not here, as a mirror of some platforms has them
    #[arg(long)]
    allow_sparse: bool,
    /// Append one line of JSON a request to this file; `-` is stderr
    #[arg(long, value_name = "FILE")]
    access_log: Option<PathBuf>,
    /// Remove what no manifest needs and no client has used for a day, so often (also at the start)
    #[arg(long, value_name = "DURATION", value_parser = parse_duration, conflicts_with = "read_only")]
    gc_every: Option<Duration>,
    /// Serve /metrics for Prometheus here, over plain HTTP and without a login
    #[arg(long, value_name = "ADDRESS:PORT")]
    metrics: Option<SocketAddr>,
}

/// The port cannot be had.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {address}")]
struct CannotListen {
    address: SocketAddr,
    flag: &'static str,
    source: std::io::Error,
}

impl Explain for CannotListen {
    fn hints(&self) -> Vec<String> {
        match self.source.kind() {
            std::io::ErrorKind::AddrInUse => {
                vec![format!("something listens there already: choose another port with {}", self.flag)]
            }
            _ => Vec::new(),
        }
    }
}

/// What is read from files beside the content, and read again on SIGHUP.
#[derive(Debug, Default)]
pub(super) struct Files {
    pub(super) users: Option<Users>,
    pub(super) tls: Option<Tls>,
    pub(super) log: Option<AccessLog>,
}

impl Files {
    fn open(args: &Args) -> Result<Self, Failure> {
        let tls = match (&args.tls_cert, &args.tls_key) {
            (Some(certificate), Some(key)) => Some(Tls::open(certificate, key)?),
            _ => None,
        };
        let log = match args.access_log.as_deref() {
            None => None,
            Some(path) if path == Path::new("-") => Some(AccessLog::to_stderr()),
            Some(path) => Some(AccessLog::to_file(path)?),
        };
        Ok(Self { users: args.htpasswd.as_ref().map(Users::open).transpose()?, tls, log })
    }
}

pub(super) async fn run(args: Args, context: &Context) -> Result<Exit, Failure> {
    let stop = signals::Stop::listen()?;
    let limits = Limits { connections: reload::connections(), ..Limits::DEFAULT };
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
            () = watched => Ok(()),
            () = collecting(&registry, args.gc_every, context) => Ok(()),
            failed = reload::on_hangup(&files, context) => failed,
        }
    };
    let (served, beside) = tokio::join!(registry.clone().serve(listener, context.clock.clone(), asked), beside);
    if let Some(log) = &files.log {
        log.close();
    }
    served?;
    beside?;
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

fn listen(address: SocketAddr, flag: &'static str) -> Result<(TcpListener, SocketAddr), CannotListen> {
    let bind = || {
        let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
        // Otherwise a restart would have to wait for the kernel to forget the connections of the one before.
        socket.set_reuseaddr(true)?;
        socket.bind(address)?;
        let listener = socket.listen(BACKLOG)?;
        let address = listener.local_addr()?;
        Ok((listener, address))
    };
    bind().map_err(|source| CannotListen { address, flag, source })
}

/// What is open to others than this machine's users.
fn warn(context: &Context, address: SocketAddr, guarded: bool, encrypted: bool) {
    if address.ip().is_loopback() {
        return;
    }
    if !guarded {
        let three = "give it --htpasswd, set REGISTRY_USERNAME and REGISTRY_PASSWORD, or listen on 127.0.0.1";
        context.printer.warn(&format!("whoever reaches {address} can read and write everything: {three}"));
    } else if !encrypted {
        let two = "give it --tls-cert and --tls-key, or put a proxy with TLS before it";
        context.printer.warn(&format!("passwords come to {address} in plain text: {two}"));
    }
}

fn with_login(registry: Registry, users: Option<&Users>, context: &Context) -> Result<(Registry, bool), Usage> {
    let environment = &context.environment;
    match (environment.get(&env::REGISTRY_USERNAME), environment.secret(&env::REGISTRY_PASSWORD), users) {
        (None, None, Some(users)) => Ok((registry.with_users(users), true)),
        (Some(user), Some(password), None) => Ok((registry.with_login(user, password), true)),
        (None, None, None) => Ok((registry, false)),
        (_, _, Some(_)) => Err(Usage::new(
            "--htpasswd and REGISTRY_USERNAME or REGISTRY_PASSWORD are both there",
            "put that user into the file as well, and unset the variables",
        )),
        (_, _, None) => Err(Usage::new(
            "only one of REGISTRY_USERNAME and REGISTRY_PASSWORD is set",
            "set both, or none for a registry without login",
        )),
    }
}
