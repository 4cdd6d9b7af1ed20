//! One request on the wire: connections, TLS, proxies, and how long the answer's head may take.

mod certificates;

use std::collections::HashMap;
use std::error::Error as StdError;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

use reqwest::{Certificate, Request, Response, Url};
use rustls::crypto::ring;
use schleuse_oci::Error;
use tokio::time::{Instant, timeout_at};

use crate::address::authority;
use crate::payload::Progress;
use crate::proxies::{Proxies, Proxy};
use crate::settings::Deadlines;
use crate::text::printable;
use certificates::HostCertificates;

/// Registries whose certificates are remembered. More than any command speaks to.
const HOSTS: usize = 64;

/// Sets of connections. The one for plain HTTP never loads the system's certificates, which takes longer than a whole command
/// against a registry on this machine. A registry with certificates of its own has its own set.
#[derive(Debug)]
pub(crate) struct Transport {
    plain: OnceLock<reqwest::Client>,
    tls: OnceLock<reqwest::Client>,
    /// By `host[:port]`; `None`: it has nothing of its own.
    own: tokio::sync::Mutex<HashMap<String, Option<reqwest::Client>>>,
    settings: Wiring,
}

/// What connections are made with.
#[derive(Debug)]
pub(crate) struct Wiring {
    /// Authorities trusted beside the system's.
    pub(crate) certificates: Vec<Certificate>,
    /// Where certificates for single registries are.
    pub(crate) folders: Vec<PathBuf>,
    pub(crate) proxies: Proxies,
    pub(crate) deadlines: Deadlines,
}

/// Why no answer came.
#[derive(Debug)]
pub(crate) struct SendError {
    /// What happened, without addresses (a query can carry secrets).
    pub(crate) message: String,
    /// Whether the request surely did not arrive.
    pub(crate) unsent: bool,
    /// Whether another attempt is pointless: the certificate is not trusted, TLS cannot be set up, the content cannot be read.
    pub(crate) hopeless: bool,
    /// Whether it is about certificates, theirs or ours.
    pub(crate) certificate: bool,
    /// Whether a proxy wants a login.
    pub(crate) proxy_login: bool,
}

impl SendError {
    fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), unsent: false, hopeless: false, certificate: false, proxy_login: false }
    }

    /// Says that it happened on the way through `proxy`.
    fn through(mut self, proxy: Option<&Proxy>) -> Self {
        if let Some(proxy) = proxy {
            // hyper-util keeps the type of this error to itself. Asking again would not help, and may lock an account.
            self.proxy_login = self.message.contains("proxy auth");
            self.hopeless |= self.proxy_login;
            self.message = format!("{} (through the proxy {proxy:?})", self.message);
        }
        self
    }

    /// The error for who asked `host` for `what`.
    pub(crate) fn error(self, host: String, what: String) -> Error {
        match (self.proxy_login, self.certificate) {
            (true, _) => Error::ProxyLogin { host, what },
            (false, true) => Error::Certificate { host, what, message: self.message },
            (false, false) => Error::Unavailable { host, what, message: self.message },
        }
    }
}

impl Transport {
    pub(crate) fn new(settings: Wiring) -> Self {
        Self { plain: OnceLock::new(), tls: OnceLock::new(), own: tokio::sync::Mutex::default(), settings }
    }

    /// Sends `request` and waits for the answer's head: at most [`Deadlines::answer`] after the last piece of the body was
    /// taken, and never beyond `deadline`.
    pub(crate) async fn send(
        &self,
        request: Request,
        progress: &Progress,
        deadline: Instant,
    ) -> Result<Response, SendError> {
        // The deadline is evaluated before anything that can fail (DESIGN, law 10).
        if Instant::now() >= deadline {
            return Err(stalled("the deadline has passed"));
        }
        let client = self.client_for(request.url()).await?;
        let through = self.settings.proxies.on_the_way_to(request.url());
        let mut sending = std::pin::pin!(client.execute(request));
        loop {
            let seen = progress.seen();
            let until = deadline.min(Instant::now() + self.settings.deadlines.answer);
            match timeout_at(until, &mut sending).await {
                Ok(Ok(response)) => return Ok(response),
                Ok(Err(error)) => return Err(describe(error).through(through)),
                Err(_) if Instant::now() < deadline && progress.seen() != seen => {}
                Err(_) => return Err(stalled("no answer in time").through(through)),
            }
        }
    }

    async fn client_for(&self, url: &Url) -> Result<reqwest::Client, SendError> {
        if url.scheme() != "https" {
            return shared(&self.plain, || self.without_tls());
        }
        if !self.settings.folders.is_empty()
            && let Some(own) = self.own_client(&name(url)).await?
        {
            return Ok(own);
        }
        shared(&self.tls, || self.with_tls(HostCertificates::default()))
    }

    /// The connections of a registry that has certificates of its own.
    async fn own_client(&self, host: &str) -> Result<Option<reqwest::Client>, SendError> {
        let mut own = self.own.lock().await;
        if let Some(known) = own.get(host) {
            return Ok(known.clone());
        }
        let found = certificates::of(&self.settings.folders, host).await.map_err(|message| SendError {
            unsent: true,
            hopeless: true,
            certificate: true,
            ..SendError::new(message)
        })?;
        let client = found.map(|found| self.with_tls(found)).transpose()?;
        // Hosts come from answers too: what is not worth keeping is looked up again.
        if own.len() < HOSTS {
            own.insert(host.to_owned(), client.clone());
        }
        Ok(client)
    }

    fn with_tls(&self, host: HostCertificates) -> Result<reqwest::Client, SendError> {
        // reqwest takes the process's provider; an earlier one is as good.
        let _ = ring::default_provider().install_default();
        let authorities = self.settings.certificates.iter().cloned().chain(host.authorities);
        let builder = self.common().https_only(true).tls_certs_merge(authorities);
        host.identity.into_iter().fold(builder, reqwest::ClientBuilder::identity).build().map_err(unusable)
    }

    fn without_tls(&self) -> Result<reqwest::Client, SendError> {
        let no_roots = rustls::ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(|error| SendError { unsent: true, hopeless: true, ..SendError::new(error.to_string()) })?
            .with_root_certificates(rustls::RootCertStore::empty())
            .with_no_client_auth();
        self.common().tls_backend_preconfigured(no_roots).build().map_err(unusable)
    }

    fn common(&self) -> reqwest::ClientBuilder {
        let builder = reqwest::Client::builder()
            .user_agent(concat!("schleuse/", env!("CARGO_PKG_VERSION")))
            // Redirects are ours: they drop credentials. So are retries: they have a budget.
            .redirect(reqwest::redirect::Policy::none())
            .retry(reqwest::retry::never())
            // The environment's proxies came in as values.
            .no_proxy()
            .connect_timeout(self.settings.deadlines.connect)
            // Shorter than the usual servers' own limits: a request on a connection that is just being closed is lost, and a
            // create-once write that got lost cannot be repeated blindly.
            .pool_idle_timeout(std::time::Duration::from_secs(15));
        // One for each scheme, since each may have a login of its own.
        ["http", "https"].into_iter().fold(builder, |builder, scheme| match self.settings.proxies.of(scheme) {
            Some(proxy) => builder.proxy(self.proxy(scheme, proxy)),
            None => builder,
        })
    }

    fn proxy(&self, scheme: &'static str, proxy: &Proxy) -> reqwest::Proxy {
        let proxies = self.settings.proxies.clone();
        let chosen = reqwest::Proxy::custom(move |url| {
            proxies.on_the_way_to(url).filter(|_| url.scheme() == scheme).map(|proxy| proxy.address.clone())
        });
        proxy.login.iter().cloned().fold(chosen, reqwest::Proxy::custom_http_auth)
    }
}

fn shared(
    cell: &OnceLock<reqwest::Client>,
    make: impl FnOnce() -> Result<reqwest::Client, SendError>,
) -> Result<reqwest::Client, SendError> {
    if let Some(client) = cell.get() {
        return Ok(client.clone());
    }
    let made = make()?;
    Ok(cell.get_or_init(|| made).clone())
}

/// The registry's name, as its folder of certificates is called. Docker Hub's address is not its name.
fn name(url: &Url) -> String {
    match authority(url).as_str() {
        "registry-1.docker.io" => "docker.io".to_owned(),
        host => host.to_owned(),
    }
}

fn stalled(message: &str) -> SendError {
    SendError::new(message)
}

fn unusable(error: reqwest::Error) -> SendError {
    SendError { hopeless: true, ..describe(error) }
}

/// The innermost cause is what a person needs ("connection refused"); the outer layers only name themselves.
pub(crate) fn describe(error: reqwest::Error) -> SendError {
    let unsent = error.is_connect();
    let error = error.without_url();
    let (mut hopeless, mut certificate) = (error.is_builder(), false);
    let mut cause: &(dyn StdError + 'static) = &error;
    loop {
        if let Some(tls) = cause.downcast_ref::<rustls::Error>().or_else(|| hidden_tls(cause)) {
            hopeless = true;
            certificate |= about_certificates(tls);
        }
        match cause.source() {
            Some(next) => cause = next,
            None => break,
        }
    }
    let message = if error.is_timeout() && unsent { "no connection in time".to_owned() } else { cause.to_string() };
    SendError { unsent, hopeless, certificate, ..SendError::new(printable(&message, 200)) }
}

/// An `io::Error` hides its own content from `source()`.
fn hidden_tls<'a>(cause: &'a (dyn StdError + 'static)) -> Option<&'a rustls::Error> {
    let mut io = cause.downcast_ref::<std::io::Error>();
    while let Some(inner) = io.and_then(std::io::Error::get_ref) {
        if let Some(tls) = inner.downcast_ref::<rustls::Error>() {
            return Some(tls);
        }
        io = inner.downcast_ref::<std::io::Error>();
    }
    None
}

/// Theirs is not trusted, or they say that ours is missing or not trusted (RFC 8446 §6.2).
fn about_certificates(error: &rustls::Error) -> bool {
    use rustls::AlertDescription as Alert;
    match error {
        rustls::Error::InvalidCertificate(_) | rustls::Error::NoCertificatesPresented => true,
        rustls::Error::AlertReceived(alert) => matches!(
            alert,
            Alert::CertificateRequired
                | Alert::BadCertificate
                | Alert::UnsupportedCertificate
                | Alert::CertificateRevoked
                | Alert::CertificateExpired
                | Alert::CertificateUnknown
                | Alert::UnknownCA
        ),
        _ => false,
    }
}
