//! What can go wrong between us and a registry. "Not there" is not among it: that is `Ok(None)`.

use schleuse_model::json::JsonError;
use schleuse_model::{Digest, Exit, Explain, ReferenceError};

/// An answer that is not the content. Every variant means "no answer was reached", never "there is none".
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// 401, after authentication was tried.
    #[error("registry {host} wants a login for {what}")]
    Unauthorized {
        /// The registry.
        host: String,
        /// What was asked for.
        what: String,
    },
    /// 403.
    #[error("registry {host} refused {what}: {message}")]
    Denied {
        /// The registry.
        host: String,
        /// What was asked for.
        what: String,
        /// What the registry said, shortened and made printable.
        message: String,
    },
    /// Deletion is switched off, or this registry does not know it, or not for tags.
    #[error("registry {host} cannot delete {what}: {message}")]
    Undeletable {
        /// The registry.
        host: String,
        /// What was to be deleted.
        what: String,
        /// What the registry said, shortened and made printable.
        message: String,
    },
    /// Any other answer that the specification does not foresee here, or an OCI error we cannot do anything about.
    #[error("registry {host} answered {status} to {what}: {message}")]
    Unexpected {
        /// The registry.
        host: String,
        /// What was asked for.
        what: String,
        /// The HTTP status.
        status: u16,
        /// What the registry said, shortened and made printable.
        message: String,
    },
    /// An HTML page: whatever answered, it was no registry.
    #[error("{host} answered {status} to {what} with a web page: that was not the registry")]
    WebPage {
        /// The host that answered.
        host: String,
        /// What was asked for.
        what: String,
        /// The HTTP status.
        status: u16,
    },
    /// The registry could not be reached, or hung.
    #[error("registry {host} cannot be reached for {what}: {message}")]
    Unavailable {
        /// The registry.
        host: String,
        /// What was asked for.
        what: String,
        /// The last failure.
        message: String,
    },
    /// It shows a certificate that is not trusted, or there is none of ours that it wants.
    #[error("there is no trusted connection to {host} for {what}: {message}")]
    Certificate {
        /// The registry.
        host: String,
        /// What was asked for.
        what: String,
        /// What is wrong.
        message: String,
    },
    /// The proxy on the way wants a login, or another one (407).
    #[error("the proxy on the way to {host} wants a login for {what}")]
    ProxyLogin {
        /// The registry.
        host: String,
        /// What was asked for.
        what: String,
    },
    /// The answer broke off or stalled on the way, until the retry budget was used up.
    #[error("the answer of {host} to {what} did not arrive whole: {message}")]
    Interrupted {
        /// The registry.
        host: String,
        /// What was asked for.
        what: String,
        /// The last failure.
        message: String,
    },
    /// The registry answers that it cannot now (429, 5xx), until the retry budget was used up.
    #[error("registry {host} failed at {what}: {status}: {message}")]
    Failing {
        /// The registry.
        host: String,
        /// What was asked for.
        what: String,
        /// The HTTP status.
        status: u16,
        /// What the registry said, shortened and made printable.
        message: String,
    },
    /// More bytes than the limit.
    #[error("{what} has more than {limit} bytes")]
    TooLarge {
        /// What was read.
        what: String,
        /// The limit in bytes.
        limit: u64,
    },
    /// The bytes are not those that were asked for.
    #[error("{what} has the digest {actual}, not {expected}: the content was changed or damaged on the way")]
    WrongDigest {
        /// What was read.
        what: String,
        /// The digest asked for.
        expected: Digest,
        /// The digest of what came.
        actual: Digest,
    },
    /// Content that must be there is not: a blob that a manifest names, an image that a plan names.
    #[error("{what} is not in the registry")]
    Missing {
        /// What was looked for.
        what: String,
    },
    /// The content is not what its media type promises.
    #[error("{what} is malformed")]
    Malformed {
        /// What was read.
        what: String,
        /// Why.
        source: JsonError,
    },
    /// A name made from another is no valid reference.
    #[error(transparent)]
    Reference(#[from] ReferenceError),
    /// Plain HTTP to a host that is not this machine.
    #[error("{host} is not this machine, and plain HTTP is not allowed to it")]
    Insecure {
        /// The registry.
        host: String,
    },
    /// A local source of content (a file, a layout) failed.
    #[error("cannot read {what}")]
    Local {
        /// What was read.
        what: String,
        /// Why.
        source: std::io::Error,
    },
    /// A local destination of content (a layout, a work folder) failed.
    #[error("cannot write {what}")]
    Store {
        /// What was written.
        what: String,
        /// Why.
        source: std::io::Error,
    },
    /// The credentials for this registry could not be had. Not the same as "there are none".
    #[error("no usable credentials for {host}: {message}")]
    Credentials {
        /// The registry.
        host: String,
        /// Why; never the secret.
        message: String,
    },
}

impl Error {
    /// Whether the same call may succeed later, by itself. An expired certificate is an outage like another.
    pub const fn is_transient(&self) -> bool {
        matches!(
            self,
            Self::Unavailable { .. } | Self::Certificate { .. } | Self::Interrupted { .. } | Self::Failing { .. }
        )
    }
}

impl Explain for Error {
    fn exit(&self) -> Exit {
        match self {
            Self::WrongDigest { .. } => Exit::Untrusted,
            Self::Reference(_) | Self::Insecure { .. } => Exit::Usage,
            _ => Exit::Error,
        }
    }

    fn hints(&self) -> Vec<String> {
        match self {
            Self::Unauthorized { host, .. } => vec![
                format!("log in with `docker login {host}`"),
                "or set REGISTRY_USERNAME and REGISTRY_PASSWORD".to_owned(),
            ],
            Self::Denied { .. } => vec![
                "the credentials are known but may not do this: check the token's scopes".to_owned(),
                "on GitHub Actions the job needs `permissions: packages: write`".to_owned(),
            ],
            Self::Undeletable { .. } => vec![
                "many registries delete on their own page or by an API of their own only (GHCR, Docker Hub)".to_owned(),
                "docker-registry: set REGISTRY_STORAGE_DELETE_ENABLED=true; it deletes manifests, never single tags"
                    .to_owned(),
            ],
            Self::Unexpected { host, status: 404, .. } => vec![format!(
                "something answers at {host}, but not as a registry does: is the repository's name right, and its path?"
            )],
            Self::Unexpected { host, status: 300..=399, .. } => {
                vec![format!("{host} sends elsewhere: name the registry by the address that it sends to")]
            }
            Self::Unexpected { host, .. } => vec![format!(
                "{host}, or a proxy before it, does not keep to the distribution specification here: its log may say why"
            )],
            Self::WebPage { host, .. } => vec![
                format!("open https://{host}/v2/ in a browser: a network's login page or a proxy may stand in between"),
                "behind a proxy: HTTPS_PROXY and NO_PROXY decide which hosts are reached through it".to_owned(),
            ],
            Self::Unavailable { host, .. } => vec![
                format!("is {host} the right address, and can this machine reach it?"),
                "behind a proxy: set HTTPS_PROXY".to_owned(),
            ],
            Self::Certificate { host, .. } => vec![
                "an authority of your own: name its PEM file in SSL_CERT_FILE".to_owned(),
                format!(
                    "or, for this registry alone, put it (`ca.crt`), and what it knows you by (`client.cert`, `client.key`), into /etc/docker/certs.d/{host}/"
                ),
            ],
            Self::ProxyLogin { .. } => vec![
                "write it into the proxy's address: HTTPS_PROXY (or HTTP_PROXY) = http://user:password@host:port".to_owned(),
                "or list the registry in NO_PROXY, if it is reached without".to_owned(),
            ],
            Self::Interrupted { .. } => {
                vec!["try again; if it breaks off again, a proxy or firewall may cut long transfers".to_owned()]
            }
            Self::Failing { host, status: 429, .. } => vec![
                format!("{host} limits how often it may be asked: wait, and try again"),
                "logged in, the limit is often higher".to_owned(),
            ],
            Self::Failing { host, .. } => {
                vec![format!("the fault is with {host}: try again later; its log or status page says more")]
            }
            Self::Credentials { .. } => vec![
                "REGISTRY_USERNAME and REGISTRY_PASSWORD go before every file and helper; REGISTRY_URL says which registry they are for"
                    .to_owned(),
            ],
            Self::Insecure { .. } => {
                vec!["allow it by name with `insecure_registries = [\"host:port\"]` in schleuse.toml".to_owned()]
            }
            Self::WrongDigest { .. } => vec!["do not use this content; a proxy or the registry altered it".to_owned()],
            Self::Malformed { .. } => {
                vec!["whoever wrote it did not keep to its format, or it was altered on the way".to_owned()]
            }
            _ => Vec::new(),
        }
    }
}
