//! One request on the wire: connections, TLS, and how long the answer's head may take.

use std::error::Error as StdError;
use std::sync::{Arc, OnceLock};

use reqwest::{Certificate, Request, Response, Url};
use rustls::crypto::ring;
use schleuse_oci::Error;
use tokio::time::{Instant, timeout_at};

use crate::payload::Progress;
use crate::settings::Deadlines;
use crate::text::printable;

/// Two sets of connections. The one for plain HTTP never loads the system's certificates, which takes longer than a whole
/// command against a registry on this machine.
#[derive(Debug)]
pub(crate) struct Transport {
    plain: OnceLock<reqwest::Client>,
    tls: OnceLock<reqwest::Client>,
    certificates: Vec<Certificate>,
    deadlines: Deadlines,
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
}

impl SendError {
    fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), unsent: false, hopeless: false, certificate: false }
    }

    /// The error for who asked `host` for `what`.
    pub(crate) fn error(self, host: String, what: String) -> Error {
        match self.certificate {
            true => Error::Certificate { host, what, message: self.message },
            false => Error::Unavailable { host, what, message: self.message },
        }
    }
}

impl Transport {
    pub(crate) fn new(certificates: Vec<Certificate>, deadlines: Deadlines) -> Self {
        Self { plain: OnceLock::new(), tls: OnceLock::new(), certificates, deadlines }
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
        let client = self.client_for(request.url())?;
        let mut sending = std::pin::pin!(client.execute(request));
        loop {
            let seen = progress.seen();
            let until = deadline.min(Instant::now() + self.deadlines.answer);
            match timeout_at(until, &mut sending).await {
                Ok(Ok(response)) => return Ok(response),
                Ok(Err(error)) => return Err(describe(error)),
                Err(_) if Instant::now() < deadline && progress.seen() != seen => {}
                Err(_) => return Err(stalled("no answer in time")),
            }
        }
    }

    fn client_for(&self, url: &Url) -> Result<&reqwest::Client, SendError> {
        let tls = url.scheme() == "https";
        let cell = if tls { &self.tls } else { &self.plain };
        if let Some(client) = cell.get() {
            return Ok(client);
        }
        let built = if tls { self.with_tls()? } else { self.without_tls()? };
        Ok(cell.get_or_init(|| built))
    }

    fn with_tls(&self) -> Result<reqwest::Client, SendError> {
        // reqwest takes the process's provider; an earlier one is as good.
        let _ = ring::default_provider().install_default();
        self.common().https_only(true).tls_certs_merge(self.certificates.clone()).build().map_err(unusable)
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
        reqwest::Client::builder()
            .user_agent(concat!("schleuse/", env!("CARGO_PKG_VERSION")))
            // Redirects are ours: they drop credentials. So are retries: they have a budget.
            .redirect(reqwest::redirect::Policy::none())
            .retry(reqwest::retry::never())
            .no_proxy()
            .connect_timeout(self.deadlines.connect)
            // Shorter than the usual servers' own limits: a request on a connection that is just being closed is lost, and a
            // create-once write that got lost cannot be repeated blindly.
            .pool_idle_timeout(std::time::Duration::from_secs(15))
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
    SendError { message: printable(&message, 200), unsent, hopeless, certificate }
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
