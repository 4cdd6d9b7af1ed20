//! One attempt of a call: at most one login, some redirects, and the answers that mean the same everywhere sorted out.

use std::sync::PoisonError;

use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use reqwest::{Request, Response, Url};
use schleuse_model::time::human;
use schleuse_oci::Error;
use schleuse_oci::access::RegistryTime;
use tokio::time::{Instant, timeout_at};

use crate::address::{Endpoint, Refused, authority, same_origin};
use crate::answer::MESSAGE_LIMIT;
use crate::auth::Wire;
use crate::body::Incoming;
use crate::exchange::{Call, Head, Inner, Repeat};
use crate::payload::Progress;
use crate::retry::{Failure, http_date, retry_after};

impl Inner {
    /// One attempt, with at most one login and some redirects.
    pub(crate) async fn attempt(&self, endpoint: &Endpoint, call: &Call, deadline: Instant) -> Result<Head, Failure> {
        let mut url = call.url.clone();
        let mut hops = 0;
        let mut logged_in = false;
        let wire = Wire {
            transport: &self.transport,
            addresses: &self.addresses,
            deadlines: self.deadlines,
            deadline,
            now: self.clock.now(),
        };
        loop {
            // Credentials are for the registry itself: not for where a redirect or an upload's `Location` leads.
            let home = same_origin(&url, &endpoint.base);
            let login = if home { self.login(endpoint, call, wire).await? } else { None };
            if logged_in && home && login.is_none() {
                return Err(unauthorized(endpoint, call).into());
            }
            let response = self.send(endpoint, call, &url, login.as_ref(), deadline).await?;
            if home {
                self.note_time(response.headers());
            }
            let status = response.status();
            if status == StatusCode::UNAUTHORIZED && home && !logged_in {
                logged_in = true;
                if !self.auth.learn(endpoint, response.headers(), login.as_ref()).await {
                    return Err(unauthorized(endpoint, call).into());
                }
                self.head(endpoint, call, response, &url, deadline).body.start(MESSAGE_LIMIT).await;
                continue;
            }
            let redirect = matches!(status.as_u16(), 301 | 302 | 303 | 307 | 308);
            if redirect && call.redirects && hops < self.limits.redirects {
                hops += 1;
                let next = self.redirected(endpoint, &url, response.headers())?;
                if let Some(next) = next {
                    self.head(endpoint, call, response, &url, deadline).body.start(MESSAGE_LIMIT).await;
                    url = next;
                    continue;
                }
            }
            return self.judged(endpoint, call, self.head(endpoint, call, response, &url, deadline)).await;
        }
    }

    /// What to present. Another call may just be fetching the same token: waiting for it has a deadline too.
    async fn login(&self, endpoint: &Endpoint, call: &Call, wire: Wire<'_>) -> Result<Option<HeaderValue>, Failure> {
        let header = self.auth.header(endpoint, &call.scope, wire);
        timeout_at(wire.deadline, header).await.unwrap_or_else(|_| {
            Err(Failure::Final(Error::Unavailable {
                host: endpoint.host().to_owned(),
                what: call.what.clone(),
                message: "no login in time".to_owned(),
            }))
        })
    }

    async fn send(
        &self,
        endpoint: &Endpoint,
        call: &Call,
        url: &Url,
        login: Option<&HeaderValue>,
        deadline: Instant,
    ) -> Result<Response, Failure> {
        let mut request = Request::new(call.method.clone(), url.clone());
        *request.headers_mut() = call.headers.clone();
        if let Some(login) = login {
            request.headers_mut().insert(header::AUTHORIZATION, login.clone());
        }
        let progress = Progress::default();
        *request.body_mut() = call.payload.open(&progress).await?;
        // Registries on object storage refuse bodies of unannounced length.
        if let Some(length) = call.payload.length() {
            request.headers_mut().insert(header::CONTENT_LENGTH, length.into());
        } else if call.method == Method::POST {
            request.headers_mut().insert(header::CONTENT_LENGTH, HeaderValue::from_static("0"));
        }
        self.transport.send(request, &progress, deadline).await.map_err(|failed| {
            let last = failed.hopeless || (call.repeat == Repeat::Once && !failed.unsent);
            let error = failed.error(endpoint.host().to_owned(), call.what.clone());
            if last { Failure::Final(error) } else { Failure::Again { error, after: None } }
        })
    }

    fn head(&self, endpoint: &Endpoint, call: &Call, response: Response, url: &Url, deadline: Instant) -> Head {
        let foreign = !same_origin(url, &endpoint.base);
        let host = if foreign { authority(url) } else { endpoint.host().to_owned() };
        let body = Incoming { response, host, what: call.what.clone(), idle: self.deadlines.idle, deadline };
        Head { body, foreign, bodyless: call.method == Method::HEAD }
    }

    /// Sorts out the answers that mean the same everywhere.
    async fn judged(&self, endpoint: &Endpoint, call: &Call, head: Head) -> Result<Head, Failure> {
        let status = head.status();
        if !matches!(status.as_u16(), 401 | 403 | 407 | 429 | 500..=599) {
            return Ok(head);
        }
        let after = retry_after(head.body.response.headers(), self.clock.now());
        let answer = head.read(MESSAGE_LIMIT).await?;
        let failing = || Error::Failing {
            host: answer.host.clone(),
            what: answer.what.clone(),
            status: status.as_u16(),
            message: match after {
                Some(wait) if !wait.is_zero() => format!("{} (it asks to wait {})", answer.message(), human(wait)),
                _ => answer.message(),
            },
        };
        Err(match (status.as_u16(), call.repeat) {
            (401, _) if !answer.foreign => unauthorized(endpoint, call).into(),
            (403, _) if !answer.foreign => Failure::Final(Error::Denied {
                host: answer.host.clone(),
                what: answer.what.clone(),
                message: answer.message(),
            }),
            (407, _) => Failure::Final(Error::ProxyLogin { host: answer.host.clone(), what: answer.what.clone() }),
            (429, _) | (502..=504, Repeat::Read | Repeat::Write) | (500, Repeat::Read) => {
                Failure::Again { error: failing(), after }
            }
            (500 | 502..=504, _) => Failure::Final(failing()),
            _ => Failure::Final(answer.unexpected()),
        })
    }

    /// Where a redirect leads; `None`: it says nowhere.
    fn redirected(&self, endpoint: &Endpoint, from: &Url, headers: &HeaderMap) -> Result<Option<Url>, Error> {
        let Some(location) = headers.get(header::LOCATION).and_then(|value| value.to_str().ok()) else {
            return Ok(None);
        };
        match self.addresses.follow(from, location) {
            Ok(url) => Ok(Some(url)),
            Err(Refused::Plain(host)) => Err(Error::Insecure { host }),
            Err(Refused::Malformed) => Err(Error::Unexpected {
                host: endpoint.host().to_owned(),
                what: "a redirect".to_owned(),
                status: 307,
                message: "it leads to no usable address".to_owned(),
            }),
        }
    }

    fn note_time(&self, headers: &HeaderMap) {
        let said = headers.get(header::DATE).and_then(|value| value.to_str().ok()).and_then(http_date);
        if let Some(registry) = said {
            let time = RegistryTime { registry, local: self.clock.now() };
            *self.time.lock().unwrap_or_else(PoisonError::into_inner) = Some(time);
        }
    }
}

fn unauthorized(endpoint: &Endpoint, call: &Call) -> Error {
    Error::Unauthorized { host: endpoint.host().to_owned(), what: call.what.clone() }
}
