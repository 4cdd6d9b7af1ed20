//! Fetching a token (`distribution`'s token and OAuth2 specifications).

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderValue, Method, StatusCode, header};
use reqwest::{Request, Url};
use schleuse_model::{Secret, json};
use schleuse_oci::{Credential, Error};
use serde::Deserialize;
use tokio::time::Instant;

use crate::address::authority;
use crate::answer::{Answer, MESSAGE_LIMIT};
use crate::auth::Wire;
use crate::auth::scope::Scope;
use crate::body::Incoming;
use crate::payload::Progress;
use crate::retry::{Failure, retry_after};

/// The largest token answer that is read. Real ones have up to 4 KiB.
const TOKEN_LIMIT: usize = 256 << 10;
/// How long a token is good if the service does not say (the specification's own figure).
const DEFAULT_LIFE: u64 = 60;
/// Not used any more that long before it expires: it has to survive the way to the registry.
const MARGIN: Duration = Duration::from_secs(5);
/// What we call ourselves towards OAuth2 token services.
const CLIENT_ID: &str = "schleuse";

/// An access token.
#[derive(Clone, Debug)]
pub(crate) struct Token {
    /// The header that presents it.
    pub(crate) header: HeaderValue,
    /// Until when it is presented.
    pub(crate) until: Instant,
}

#[derive(Deserialize)]
struct Response {
    #[serde(default)]
    token: Option<String>,
    #[serde(default)]
    access_token: Option<String>,
    #[serde(default)]
    expires_in: Option<u64>,
}

/// What a token is asked for with.
#[derive(Debug)]
pub(crate) struct TokenRequest<'a> {
    /// The token service.
    pub(crate) realm: Url,
    /// For whom.
    pub(crate) service: Option<&'a str>,
    /// What for.
    pub(crate) scope: &'a Scope,
    /// By whom; `None`: anonymously.
    pub(crate) credential: Option<&'a Credential>,
    /// The registry, for messages.
    pub(crate) registry: &'a str,
}

impl TokenRequest<'_> {
    /// Fetches the token, once.
    pub(crate) async fn fetch(self, wire: Wire<'_>) -> Result<Token, Failure> {
        let host = authority(&self.realm);
        let what = format!("a token for {}", self.scope);
        let asked = Instant::now();
        let response = match wire.transport.send(self.request()?, &Progress::default(), wire.deadline).await {
            Ok(response) => response,
            Err(error) if error.hopeless => return Err(error.error(host, what).into()),
            Err(error) => return Err(Failure::Again { error: error.error(host, what), after: None }),
        };
        let (status, headers) = (response.status(), response.headers().clone());
        let (idle, deadline) = (wire.deadlines.idle, wire.deadline);
        let incoming = Incoming { response, host: host.clone(), what: what.clone(), idle, deadline };
        let body = if status.is_success() {
            incoming.whole(TOKEN_LIMIT).await.map_err(|error| match error {
                error @ Error::Interrupted { .. } => Failure::Again { error, after: None },
                error => error.into(),
            })?
        } else {
            incoming.start(MESSAGE_LIMIT).await
        };
        let answer = Answer { host: host.clone(), what: what.clone(), status, headers, body, foreign: false };
        match status {
            StatusCode::OK => {}
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
                return Err(Error::Unauthorized { host: self.registry.to_owned(), what }.into());
            }
            status if status == StatusCode::TOO_MANY_REQUESTS || status.is_server_error() => {
                let message = answer.message();
                return Err(Failure::Again {
                    error: Error::Failing { host, what, status: status.as_u16(), message },
                    after: retry_after(&answer.headers, wire.now),
                });
            }
            _ => return Err(answer.unexpected().into()),
        }
        // The parser's message would quote the document, and the document is a token.
        let Ok(parsed) = json::from_untrusted::<Response>(&answer.body, TOKEN_LIMIT) else {
            return Err(answer.unexpected_because("not a token service's answer").into());
        };
        let life = Duration::from_secs(parsed.expires_in.unwrap_or(DEFAULT_LIFE).min(86_400));
        let text = parsed.token.or(parsed.access_token).filter(|token| !token.is_empty()).map(Secret::new);
        match text.as_ref().and_then(|token| sensitive(&format!("Bearer {}", token.expose()))) {
            Some(header) => Ok(Token { header, until: asked + life.saturating_sub(MARGIN) }),
            None => Err(answer.unexpected_because("it holds no token").into()),
        }
    }

    /// GET with user and password or anonymously; POST with a refresh token, which must not stand in an address.
    fn request(&self) -> Result<Request, Error> {
        if let Some(Credential::IdentityToken(refresh)) = self.credential {
            let mut form = Url::parse("form:").map_err(|_| self.unusable())?;
            form.query_pairs_mut()
                .append_pair("grant_type", "refresh_token")
                .append_pair("client_id", CLIENT_ID)
                .append_pair("scope", &self.scope.to_string())
                .append_pair("service", self.service.unwrap_or(""))
                .append_pair("refresh_token", refresh.expose());
            let mut request = Request::new(Method::POST, self.realm.clone());
            let kind = HeaderValue::from_static("application/x-www-form-urlencoded");
            request.headers_mut().insert(header::CONTENT_TYPE, kind);
            *request.body_mut() = Some(form.query().unwrap_or("").to_owned().into());
            return Ok(request);
        }
        let mut url = self.realm.clone();
        {
            let mut query = url.query_pairs_mut();
            if let Some(service) = self.service {
                query.append_pair("service", service);
            }
            for part in self.scope.parts() {
                query.append_pair("scope", &part);
            }
        }
        let mut request = Request::new(Method::GET, url);
        if let Some(credential @ Credential::Basic { .. }) = self.credential {
            let header = basic(credential).ok_or_else(|| self.unusable())?;
            request.headers_mut().insert(header::AUTHORIZATION, header);
        }
        Ok(request)
    }

    fn unusable(&self) -> Error {
        Error::Credentials { host: self.registry.to_owned(), message: "they do not fit in a header".to_owned() }
    }
}

/// The header for user and password; `None` for other credentials or if it cannot be a header.
pub(crate) fn basic(credential: &Credential) -> Option<HeaderValue> {
    let Credential::Basic { username, password } = credential else { return None };
    // RFC 7617: the first colon ends the user's name.
    if username.contains(':') {
        return None;
    }
    let pair = Secret::new(format!("{username}:{}", password.expose()));
    sensitive(&format!("Basic {}", STANDARD.encode(pair.expose().as_bytes())))
}

/// A header that does not show in `Debug`.
pub(crate) fn sensitive(text: &str) -> Option<HeaderValue> {
    let mut value = HeaderValue::from_str(text).ok()?;
    value.set_sensitive(true);
    Some(value)
}
