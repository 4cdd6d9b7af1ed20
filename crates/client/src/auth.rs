//! Logging in: what to send where.
//!
//! Nothing is sent before the registry asks for it. What it asked for is remembered for its host, and tokens until they expire,
//! so that only the first call pays for the question. Headers made here go to the registry's own origin only; `exchange` sees
//! to that.

mod challenge;
mod scope;
mod token;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use http::{HeaderMap, HeaderValue};
use reqwest::Url;
use schleuse_model::{Repository, Timestamp};
use schleuse_oci::{Credential, CredentialSource, Error};
use tokio::time::Instant;

use crate::address::{Addresses, Endpoint, Refused};
use crate::retry::Failure;
use crate::settings::Deadlines;
use crate::transport::Transport;
use challenge::Challenge;
pub(crate) use scope::Scope;
pub(crate) use token::sensitive;
use token::{Token, TokenRequest, basic};

/// Tokens kept for one host. More than repositories are touched by any command.
const TOKENS: usize = 64;

/// Everything known about logging in, per host.
#[derive(Debug)]
pub(crate) struct Auth {
    source: Arc<dyn CredentialSource>,
    hosts: Mutex<HashMap<String, Arc<tokio::sync::Mutex<Host>>>>,
}

/// One host's memory. Behind an asynchronous lock, so that calls that start together fetch one token.
#[derive(Debug, Default)]
struct Host {
    challenge: Option<Challenge>,
    tokens: Vec<(Scope, Token)>,
    logins: HashMap<Repository, Option<HeaderValue>>,
}

/// What tokens are fetched with.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wire<'a> {
    pub(crate) transport: &'a Transport,
    pub(crate) addresses: &'a Addresses,
    pub(crate) deadlines: Deadlines,
    pub(crate) deadline: Instant,
    /// For a `Retry-After` that is a date.
    pub(crate) now: Timestamp,
}

impl Auth {
    pub(crate) fn new(source: Arc<dyn CredentialSource>) -> Self {
        Self { source, hosts: Mutex::default() }
    }

    fn host(&self, endpoint: &Endpoint) -> Arc<tokio::sync::Mutex<Host>> {
        let mut hosts = self.hosts.lock().unwrap_or_else(PoisonError::into_inner);
        hosts.entry(endpoint.host().to_owned()).or_default().clone()
    }

    /// Learns from a 401. `rejected` is what was presented: it is not presented again. `false`: the registry says nothing about
    /// how to log in, or in a way that we do not know.
    pub(crate) async fn learn(&self, endpoint: &Endpoint, headers: &HeaderMap, rejected: Option<&HeaderValue>) -> bool {
        let Some(challenge) = challenge::best(headers) else { return false };
        let host = self.host(endpoint);
        let mut host = host.lock().await;
        if let Some(rejected) = rejected {
            host.tokens.retain(|(_, token)| token.header != *rejected);
            host.logins.retain(|_, login| login.as_ref() != Some(rejected));
        }
        host.challenge = Some(challenge);
        true
    }

    /// What to present to the registry now; `None`: nothing.
    pub(crate) async fn header(
        &self,
        endpoint: &Endpoint,
        scope: &Scope,
        wire: Wire<'_>,
    ) -> Result<Option<HeaderValue>, Failure> {
        let host = self.host(endpoint);
        let mut host = host.lock().await;
        match host.challenge.clone() {
            None => Ok(None),
            Some(Challenge::Basic) => Ok(self.login(&mut host, &endpoint.repository).await?),
            Some(Challenge::Bearer { realm, service, scope: asked }) => {
                if let Some(header) = cached(&mut host, scope) {
                    return Ok(Some(header));
                }
                let credential = self.source.credential(&endpoint.repository).await?;
                if let Some(Credential::Bearer(token)) = &credential {
                    return Ok(Some(sensitive(&format!("Bearer {}", token.expose())).ok_or_else(|| bad(endpoint))?));
                }
                let realm = allowed_realm(endpoint, wire.addresses, &realm)?;
                let full = scope.clone().and_challenge(asked.as_deref());
                let request = TokenRequest {
                    realm,
                    service: service.as_deref(),
                    scope: &full,
                    credential: credential.as_ref(),
                    registry: endpoint.host(),
                };
                let token = request.fetch(wire).await?;
                let header = token.header.clone();
                if host.tokens.len() >= TOKENS {
                    host.tokens.remove(0);
                }
                host.tokens.push((full, token));
                Ok(Some(header))
            }
        }
    }

    /// User and password for `repository`, asked for once.
    async fn login(&self, host: &mut Host, repository: &Repository) -> Result<Option<HeaderValue>, Error> {
        if let Some(known) = host.logins.get(repository) {
            return Ok(known.clone());
        }
        let unusable =
            |message: &str| Error::Credentials { host: repository.host().to_owned(), message: message.to_owned() };
        let header = match self.source.credential(repository).await? {
            None => None,
            Some(Credential::Bearer(token)) => Some(
                sensitive(&format!("Bearer {}", token.expose()))
                    .ok_or_else(|| unusable("the token does not fit in a header"))?,
            ),
            Some(Credential::IdentityToken(_)) => {
                return Err(unusable("the registry wants user and password, there is only an identity token"));
            }
            Some(credential) => {
                Some(basic(&credential).ok_or_else(|| unusable("user and password do not fit in a header"))?)
            }
        };
        host.logins.insert(repository.clone(), header.clone());
        Ok(header)
    }
}

fn bad(endpoint: &Endpoint) -> Error {
    Error::Credentials { host: endpoint.host().to_owned(), message: "the token does not fit in a header".to_owned() }
}

/// A token that covers `scope` and has not expired.
fn cached(host: &mut Host, scope: &Scope) -> Option<HeaderValue> {
    let now = Instant::now();
    host.tokens.retain(|(_, token)| token.until > now);
    host.tokens.iter().find(|(has, _)| has.covers(scope)).map(|(_, token)| token.header.clone())
}

/// Credentials go to the realm, so a realm must be HTTPS, or as plain as the registry itself is allowed to be: a remote
/// registry must not send them to a port of this machine.
fn allowed_realm(endpoint: &Endpoint, addresses: &Addresses, realm: &str) -> Result<Url, Error> {
    addresses.follow(&endpoint.base, realm).map_err(|refused| match refused {
        Refused::Plain(host) => Error::Insecure { host },
        Refused::Malformed => Error::Unexpected {
            host: endpoint.host().to_owned(),
            what: "a login".to_owned(),
            status: 401,
            message: "its token service has no usable address".to_owned(),
        },
    })
}
