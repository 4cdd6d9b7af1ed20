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
    /// The registry could not be reached, hung, or kept failing until the retry budget was used up.
    #[error("registry {host} cannot be reached for {what}: {message}")]
    Unavailable {
        /// The registry.
        host: String,
        /// What was asked for.
        what: String,
        /// The last failure.
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
    /// Whether the same call may succeed later, by itself.
    pub const fn is_transient(&self) -> bool {
        matches!(self, Self::Unavailable { .. })
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
            Self::Unavailable { host, .. } => {
                vec![format!("is {host} the right address, and can this machine reach it?")]
            }
            Self::Insecure { .. } => {
                vec!["allow it by name with `insecure_registries = [\"host:port\"]` in schleuse.toml".to_owned()]
            }
            Self::WrongDigest { .. } => vec!["do not use this content; a proxy or the registry altered it".to_owned()],
            _ => Vec::new(),
        }
    }
}
