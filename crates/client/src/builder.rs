//! Setting up a [`Client`].

use std::path::PathBuf;
use std::sync::Arc;

use reqwest::Certificate;
use schleuse_model::{Clock, Exit, Explain, Repository, SystemClock};
use schleuse_oci::CredentialSource;

use crate::address::Addresses;
use crate::credentials::Anonymous;
use crate::exchange::Client;
use crate::proxies::Proxies;
use crate::retry::{Jitter, RandomJitter};
use crate::settings::{Deadlines, Limits, RetryPolicy};
use crate::text::printable;
use crate::transport::Wiring;

/// What a [`Client`] is made of. Without anything set: anonymous, HTTPS (plain HTTP on this machine), the system's certificates.
#[derive(Debug)]
pub struct ClientBuilder {
    pub(crate) credentials: Arc<dyn CredentialSource>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) jitter: Arc<dyn Jitter>,
    pub(crate) deadlines: Deadlines,
    pub(crate) retry: RetryPolicy,
    pub(crate) limits: Limits,
    insecure: Vec<String>,
    tls: Vec<String>,
    authorities: Vec<Vec<u8>>,
    folders: Vec<PathBuf>,
    proxies: Proxies,
}

/// Why a [`Client`] cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// A host listed by name is none.
    #[error("`{host}` is not a registry's host")]
    Host {
        /// What was listed.
        host: String,
    },
    /// An extra certificate authority is not PEM, or holds no certificate.
    #[error("the extra certificate authority is not a PEM file with certificates")]
    Certificate,
}

impl Explain for BuildError {
    fn exit(&self) -> Exit {
        Exit::Usage
    }

    fn hints(&self) -> Vec<String> {
        match self {
            Self::Host { .. } => {
                vec!["write it as in image references: `registry.example:5000`, without `http://`".to_owned()]
            }
            Self::Certificate => vec!["it starts with `-----BEGIN CERTIFICATE-----`".to_owned()],
        }
    }
}

impl Default for ClientBuilder {
    fn default() -> Self {
        Self {
            credentials: Arc::new(Anonymous),
            clock: Arc::new(SystemClock),
            jitter: Arc::new(RandomJitter),
            deadlines: Deadlines::default(),
            retry: RetryPolicy::default(),
            limits: Limits::default(),
            insecure: Vec::new(),
            tls: Vec::new(),
            authorities: Vec::new(),
            folders: Vec::new(),
            proxies: Proxies::default(),
        }
    }
}

impl ClientBuilder {
    /// Where logins come from.
    #[must_use]
    pub fn credentials(mut self, source: Arc<dyn CredentialSource>) -> Self {
        self.credentials = source;
        self
    }

    /// Hosts (`host[:port]`, as in image references) reached by plain HTTP. This machine needs no entry.
    #[must_use]
    pub fn insecure_hosts<H: Into<String>>(mut self, hosts: impl IntoIterator<Item = H>) -> Self {
        self.insecure.extend(hosts.into_iter().map(Into::into));
        self
    }

    /// Hosts (`host[:port]`) reached by HTTPS although they are this machine.
    #[must_use]
    pub fn tls_hosts<H: Into<String>>(mut self, hosts: impl IntoIterator<Item = H>) -> Self {
        self.tls.extend(hosts.into_iter().map(Into::into));
        self
    }

    /// A certificate authority (PEM, one or more) that is trusted beside the system's.
    #[must_use]
    pub fn extra_ca(mut self, pem: impl Into<Vec<u8>>) -> Self {
        self.authorities.push(pem.into());
        self
    }

    /// Folders with certificates for single registries (`<folder>/<host[:port]>/ca.crt`, `client.cert`, `client.key`), as Docker and
    /// Podman know them; for each registry the first folder that has something. Read when the registry is first spoken to.
    #[must_use]
    pub fn certificate_folders<P: Into<PathBuf>>(mut self, folders: impl IntoIterator<Item = P>) -> Self {
        self.folders.extend(folders.into_iter().map(Into::into));
        self
    }

    /// The proxies on the way to registries and token services. None without this, whatever the environment says.
    #[must_use]
    pub fn proxies(mut self, proxies: Proxies) -> Self {
        self.proxies = proxies;
        self
    }

    /// The wall clock, for [`schleuse_oci::Pull::registry_time`] and a `Retry-After` that is a date.
    #[must_use]
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// What spreads retries out.
    #[must_use]
    pub fn jitter(mut self, jitter: Arc<dyn Jitter>) -> Self {
        self.jitter = jitter;
        self
    }

    /// How long things may take.
    #[must_use]
    pub fn deadlines(mut self, deadlines: Deadlines) -> Self {
        self.deadlines = deadlines;
        self
    }

    /// When to try again.
    #[must_use]
    pub fn retry(mut self, retry: RetryPolicy) -> Self {
        self.retry = retry;
        self
    }

    /// Bounds on what is read.
    #[must_use]
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// Makes the client. Cheap: connections, TLS and the system's certificates wait until a request needs them.
    ///
    /// # Errors
    /// [`BuildError`].
    pub fn build(mut self) -> Result<Client, BuildError> {
        for host in self.insecure.iter().chain(&self.tls) {
            let known = format!("{host}/x").parse::<Repository>();
            if known.map(|repository| repository.host() != host.as_str()).unwrap_or(true) {
                return Err(BuildError::Host { host: printable(host, 100) });
            }
        }
        let mut certificates = Vec::new();
        for pem in &self.authorities {
            let bundle = Certificate::from_pem_bundle(pem).map_err(|_| BuildError::Certificate)?;
            if bundle.is_empty() {
                return Err(BuildError::Certificate);
            }
            certificates.extend(bundle);
        }
        let addresses =
            Addresses { insecure: self.insecure.iter().cloned().collect(), tls: self.tls.iter().cloned().collect() };
        let wiring = Wiring {
            certificates,
            folders: std::mem::take(&mut self.folders),
            proxies: std::mem::take(&mut self.proxies),
            deadlines: self.deadlines,
        };
        Ok(Client::assemble(self, addresses, wiring))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_refused() {
        assert!(Client::builder().insecure_hosts(["registry.lan:5000", "10.0.0.7:80"]).build().is_ok());
        for host in ["http://registry.lan", "registry.lan/x", "", "registry lan:1"] {
            assert!(matches!(Client::builder().insecure_hosts([host]).build(), Err(BuildError::Host { .. })), "{host}");
        }
        for pem in ["", "-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n"] {
            assert!(matches!(Client::builder().extra_ca(pem).build(), Err(BuildError::Certificate)), "{pem}");
        }
    }
}
