//! Where logins come from.

mod auth_file;
mod docker;
mod helper;

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use schleuse_model::Repository;
use schleuse_oci::{Credential, CredentialSource, Error};

pub use docker::DockerConfig;
pub use helper::{HELPER_DEADLINE, Helpers};

/// No logins at all.
#[derive(Clone, Copy, Debug, Default)]
pub struct Anonymous;

#[async_trait]
impl CredentialSource for Anonymous {
    async fn credential(&self, _: &Repository) -> Result<Option<Credential>, Error> {
        Ok(None)
    }
}

/// Logins given one by one, each for one registry host.
#[derive(Clone, Debug, Default)]
pub struct StaticCredentials(BTreeMap<String, Credential>);

impl StaticCredentials {
    /// None yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// And `credential` for the registry `host` (with its port, as it stands in image references).
    #[must_use]
    pub fn with(mut self, host: impl Into<String>, credential: Credential) -> Self {
        self.0.insert(host.into(), credential);
        self
    }
}

#[async_trait]
impl CredentialSource for StaticCredentials {
    async fn credential(&self, repository: &Repository) -> Result<Option<Credential>, Error> {
        Ok(self.0.get(repository.host()).cloned())
    }
}

/// The first source that has a login decides. A source that fails ends the search: "don't know" is not "none".
#[derive(Clone, Debug)]
pub struct FirstOf(pub Vec<Arc<dyn CredentialSource>>);

#[async_trait]
impl CredentialSource for FirstOf {
    async fn credential(&self, repository: &Repository) -> Result<Option<Credential>, Error> {
        for source in &self.0 {
            if let Some(credential) = source.credential(repository).await? {
                return Ok(Some(credential));
            }
        }
        Ok(None)
    }
}
