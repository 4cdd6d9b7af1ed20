//! Files with logins, as `docker login` and `podman login` write them.

use std::io::ErrorKind;
use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use schleuse_model::Repository;
use schleuse_oci::{Credential, CredentialSource, Error};
use tokio::io::AsyncReadExt as _;

use crate::credentials::auth_file::{AuthFile, LIMIT, Place};
use crate::credentials::helper::Helpers;

/// Reads logins from a file: Docker's `config.json` or Podman's `auth.json`. Where a credential helper has the login, the helper is
/// asked. A file that does not exist holds no logins; one that cannot be read is [`Error::Credentials`].
#[derive(Clone, Debug)]
pub struct DockerConfig {
    path: PathBuf,
    helpers: Option<Arc<Helpers>>,
}

impl DockerConfig {
    /// The file itself, such as `~/.docker/config.json`. It is read when a login is needed, and each time: a `docker login`
    /// beside a long run takes effect.
    ///
    /// Without [`DockerConfig::helpers`] a login that a helper has is [`Error::Credentials`], not "there is none".
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into(), helpers: None }
    }

    /// How helpers are run.
    #[must_use]
    pub fn helpers(mut self, helpers: Arc<Helpers>) -> Self {
        self.helpers = Some(helpers);
        self
    }

    async fn read(&self) -> Result<Option<Vec<u8>>, String> {
        let file = match tokio::fs::File::open(&self.path).await {
            Ok(file) => file,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(format!("cannot read {}: {error}", self.path.display())),
        };
        let mut bytes = Vec::new();
        let read = file.take(LIMIT as u64 + 1).read_to_end(&mut bytes).await;
        read.map_err(|error| format!("cannot read {}: {error}", self.path.display()))?;
        Ok(Some(bytes))
    }
}

#[async_trait]
impl CredentialSource for DockerConfig {
    async fn credential(&self, repository: &Repository) -> Result<Option<Credential>, Error> {
        let host = repository.host();
        let failed = |message: String| Error::Credentials { host: host.to_owned(), message };
        let Some(bytes) = self.read().await.map_err(failed)? else { return Ok(None) };
        // The parser's message could quote a secret.
        let file = AuthFile::parse(&bytes)
            .map_err(|_| failed(format!("{} is not a file with logins", self.path.display())))?;
        let malformed = |error| failed(format!("{}: {error}", self.path.display()));
        match (file.place(repository).map_err(malformed)?, &self.helpers) {
            (Place::Nowhere, _) => Ok(None),
            (Place::Here(credential), _) => Ok(Some(credential)),
            (Place::Helper(name), Some(helpers)) => {
                helpers.ask(&name, host).await.map_err(|error| failed(error.to_string()))
            }
            (Place::Helper(_), None) => Err(failed("a credential helper keeps them, and none is run here".to_owned())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn lookup(config: &str, repository: &str) -> Result<bool, String> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("config.json");
        std::fs::write(&path, config).unwrap();
        let found = DockerConfig::new(path).credential(&repository.parse().unwrap()).await;
        found.map(|found| found.is_some()).map_err(|error| error.to_string())
    }

    #[tokio::test]
    async fn a_helper_that_is_not_asked_is_an_error_and_not_none() {
        let store = r#"{"auths":{"ghcr.io":{}},"credsStore":"desktop"}"#;
        assert!(lookup(store, "ghcr.io/a").await.unwrap_err().contains("helper"));
        let helper = r#"{"credHelpers":{"x.dkr.ecr.eu.amazonaws.com":"ecr-login"}}"#;
        assert!(lookup(helper, "x.dkr.ecr.eu.amazonaws.com/a").await.is_err());
        assert_eq!(lookup(helper, "ghcr.io/a").await, Ok(false));
    }

    #[tokio::test]
    async fn what_cannot_be_read_is_an_error_and_shows_no_secret() {
        let message = lookup(r#"{"auths":{"ghcr.io":{"auth":"hunter2"}}}"#, "ghcr.io/a").await.unwrap_err();
        assert!(message.contains("base64") && !message.contains("hunter2"), "{message}");
        let message = lookup(r#"{"auths":{"ghcr.io":"hunter2"}}"#, "ghcr.io/a").await.unwrap_err();
        assert!(!message.contains("hunter2"), "{message}");
        let missing = DockerConfig::new("/nonexistent/config.json");
        assert!(missing.credential(&"ghcr.io/a".parse().unwrap()).await.unwrap().is_none());
        let folder = tempfile::tempdir().unwrap();
        assert!(DockerConfig::new(folder.path()).credential(&"ghcr.io/a".parse().unwrap()).await.is_err());
    }
}
