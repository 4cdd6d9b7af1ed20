//! `config.json`, as `docker login` writes it.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::path::PathBuf;

use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use schleuse_model::{Repository, Secret, json};
use schleuse_oci::{Credential, CredentialSource, Error};
use serde::Deserialize;
use tokio::io::AsyncReadExt as _;

/// The largest configuration that is read.
const LIMIT: usize = 1 << 20;

/// Reads logins from a Docker `config.json`: those that stand in it (`auths`).
///
/// Logins kept by a credential helper (`credHelpers`, `credsStore`) are not read yet; where one would have to be asked, the
/// answer is [`Error::Credentials`], not "there is none". A file that does not exist holds no logins.
#[derive(Clone, Debug)]
pub struct DockerConfig {
    path: PathBuf,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct File {
    #[serde(default)]
    auths: BTreeMap<String, Entry>,
    #[serde(default)]
    creds_store: Option<String>,
    #[serde(default)]
    cred_helpers: BTreeMap<String, String>,
}

#[derive(Default, Deserialize)]
struct Entry {
    #[serde(default)]
    auth: Option<String>,
    #[serde(default)]
    username: Option<String>,
    #[serde(default)]
    password: Option<String>,
    #[serde(default)]
    identitytoken: Option<String>,
    #[serde(default)]
    registrytoken: Option<String>,
}

impl DockerConfig {
    /// The file itself, such as `~/.docker/config.json`. It is read when a login is needed, and each time: a `docker login`
    /// beside a long run takes effect.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into() }
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
        let file: File = json::from_untrusted(&bytes, LIMIT)
            .map_err(|_| failed(format!("{} is not a Docker configuration", self.path.display())))?;
        find(file, host).map_err(failed)
    }
}

fn find(file: File, host: &str) -> Result<Option<Credential>, String> {
    let same = |key: &str| canonical(key) == canonical(host);
    for (_, entry) in file.auths.into_iter().filter(|(key, _)| same(key)) {
        if let Some(credential) = inline(entry)? {
            return Ok(Some(credential));
        }
    }
    let helper = file.cred_helpers.into_iter().find(|(key, _)| same(key)).map(|(_, helper)| helper);
    match helper.or(file.creds_store).filter(|helper| !helper.is_empty()) {
        None => Ok(None),
        Some(helper) => {
            let helper = crate::text::printable(&helper, 60);
            Err(format!(
                "they are kept by the credential helper `{helper}`, which is not asked yet; \
                 set REGISTRY_USERNAME and REGISTRY_PASSWORD"
            ))
        }
    }
}

/// Keys are hosts, or addresses from the time of the v1 API (`https://index.docker.io/v1/` is Docker Hub's to this day).
fn canonical(key: &str) -> &str {
    let host = key.strip_prefix("https://").or_else(|| key.strip_prefix("http://")).unwrap_or(key);
    match host.split('/').next().unwrap_or(host) {
        "index.docker.io" | "registry-1.docker.io" => "docker.io",
        host => host,
    }
}

/// `None`: the entry is only a note that a helper has the login.
fn inline(entry: Entry) -> Result<Option<Credential>, String> {
    let given = |value: Option<String>| value.filter(|value| !value.is_empty()).map(Secret::new);
    if let Some(token) = given(entry.identitytoken) {
        return Ok(Some(Credential::IdentityToken(token)));
    }
    if let Some(token) = given(entry.registrytoken) {
        return Ok(Some(Credential::Bearer(token)));
    }
    if let Some(auth) = given(entry.auth) {
        let malformed = || "the entry's `auth` is not base64 of user and password".to_owned();
        let pair = Secret::new(STANDARD.decode(auth.expose()).map_err(|_| malformed())?);
        let text = std::str::from_utf8(pair.expose()).map_err(|_| malformed())?;
        let (username, password) = text.split_once(':').ok_or_else(malformed)?;
        // Docker itself once padded with NULs.
        let password = Secret::new(password.trim_end_matches('\0').to_owned());
        return Ok(Some(Credential::Basic { username: username.to_owned(), password }));
    }
    match (entry.username.filter(|name| !name.is_empty()), given(entry.password)) {
        (Some(username), Some(password)) => Ok(Some(Credential::Basic { username, password })),
        _ => Ok(None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn lookup(config: &str, repository: &str) -> Result<Option<String>, String> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("config.json");
        std::fs::write(&path, config).unwrap();
        let found = DockerConfig::new(path).credential(&repository.parse().unwrap()).await;
        found.map_err(|error| error.to_string()).map(|credential| {
            credential.map(|credential| match credential {
                Credential::Basic { username, password } => format!("{username}/{}", password.expose()),
                Credential::IdentityToken(token) => format!("identity {}", token.expose()),
                Credential::Bearer(token) => format!("bearer {}", token.expose()),
            })
        })
    }

    #[tokio::test]
    async fn inline_logins() {
        // "user:pa:ss"
        let config = r#"{"auths":{"ghcr.io":{"auth":"dXNlcjpwYTpzcw=="},"https://index.docker.io/v1/":{"username":"u",
            "password":"p"},"https://acr.example/v2/":{"auth":"AAAA","identitytoken":"refresh"},"r.io:5000":{}},
            "HttpHeaders":{"x":"y"}}"#;
        assert_eq!(lookup(config, "ghcr.io/a").await, Ok(Some("user/pa:ss".into())));
        assert_eq!(lookup(config, "node").await, Ok(Some("u/p".into())));
        assert_eq!(lookup(config, "acr.example/a").await, Ok(Some("identity refresh".into())));
        assert_eq!(lookup(config, "r.io:5000/a").await, Ok(None));
        assert_eq!(lookup(config, "evil.ghcr.io/a").await, Ok(None));
        assert_eq!(lookup(config, "ghcr.io:444/a").await, Ok(None));
    }

    #[tokio::test]
    async fn a_helper_is_an_error_and_not_none() {
        let store = r#"{"auths":{"ghcr.io":{}},"credsStore":"desktop"}"#;
        assert!(lookup(store, "ghcr.io/a").await.unwrap_err().contains("`desktop`"));
        let helper = r#"{"credHelpers":{"x.dkr.ecr.eu.amazonaws.com":"ecr-login"}}"#;
        assert!(lookup(helper, "x.dkr.ecr.eu.amazonaws.com/a").await.unwrap_err().contains("`ecr-login`"));
        assert_eq!(lookup(helper, "ghcr.io/a").await, Ok(None));
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
