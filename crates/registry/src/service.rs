//! From a request to its answer.

use http::header::{self, HeaderName, HeaderValue};
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use http::{Method, Request, StatusCode};
use hyper::body::Incoming;
use schleuse_model::{Clock, Timestamp};

use crate::answer::{self, Answer};
use crate::api;
use crate::api::body::Body;
use crate::observe::Exchange;
use crate::problem::Problem;
use crate::registry::Registry;
use crate::route::{Query, Route};
use crate::server::seats::Busy;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const API_VERSION: HeaderName = HeaderName::from_static("docker-distribution-api-version");

impl Registry {
    /// Answers one request. Never fails: a failure is an answer too.
    pub(crate) async fn answer(
        &self,
        request: Request<Incoming>,
        remote: Option<IpAddr>,
        clock: Arc<dyn Clock>,
        busy: Busy,
    ) -> Answer {
        let mut exchange = Exchange::begin(&self.observer, &request, remote, clock.clone(), busy);
        let mut answer = self.dispatch(request, &mut exchange).await.unwrap_or_else(Problem::into_answer);
        if answer.status() == StatusCode::UNAUTHORIZED {
            self.observer.metrics.refused_logins.fetch_add(1, Relaxed);
        }
        answer::set(&mut answer, REQUEST_ID, exchange.id());
        answer.headers_mut().insert(API_VERSION, HeaderValue::from_static("registry/2.0"));
        if let Some(date) = http_date(clock.now()) {
            answer::set(&mut answer, header::DATE, &date);
        }
        exchange.attach(answer)
    }

    async fn dispatch(&self, request: Request<Incoming>, exchange: &mut Exchange) -> Result<Answer, Problem> {
        exchange.caller = self.access.admit(request.headers()).await?;
        let route = Route::parse(request.uri().path())?;
        exchange.kind = route.kind();
        let query = Query::parse(request.uri().query());
        let (head, body) = request.into_parts();
        if self.read_only && !matches!(head.method, Method::GET | Method::HEAD) {
            return Err(Problem::read_only());
        }
        let body = Body::new(body, &head.headers, exchange.received.clone());
        match (route, &head.method) {
            (Route::Base, &Method::GET | &Method::HEAD) => {
                Ok(answer::whole(StatusCode::OK, "application/json", "{}".into()))
            }
            (Route::Blob(name, digest), &Method::GET | &Method::HEAD) => {
                api::blobs::read(self, name, digest, head.method == Method::HEAD, &head.headers).await
            }
            (Route::Blob(name, digest), &Method::DELETE) => api::blobs::delete(self, name, digest).await,
            (Route::Uploads(name), &Method::POST) => api::uploads::start(self, name, &query, body).await,
            (Route::Upload(name, id), &Method::GET) => api::uploads::status(self, &name, &id),
            (Route::Upload(name, id), &Method::PATCH) => {
                api::uploads::append(self, &name, &id, &head.headers, body).await
            }
            (Route::Upload(name, id), &Method::PUT) => {
                api::uploads::finish(self, &name, &id, &query, &head.headers, body).await
            }
            (Route::Upload(name, id), &Method::DELETE) => api::uploads::cancel(self, &name, &id).await,
            (Route::Manifest(name, selector), &Method::GET | &Method::HEAD) => {
                api::manifests::read(self, name, selector, &head.headers).await
            }
            (Route::Manifest(name, selector), &Method::PUT) => {
                api::manifests::put(self, name, selector, &query, &head.headers, body).await
            }
            (Route::Manifest(name, selector), &Method::DELETE) => {
                api::manifests::delete(self, name, selector, &head.headers).await
            }
            (Route::TagList(name), &Method::GET | &Method::HEAD) => api::tags::list(self, name, &query).await,
            (Route::Referrers(name, subject), &Method::GET | &Method::HEAD) => {
                api::referrers::list(self, name, subject, &query).await
            }
            _ => Err(Problem::method()),
        }
    }
}

/// RFC 9110, section 5.6.7. Clients compare their clock against this one, so it comes from the clock that was passed in.
fn http_date(now: Timestamp) -> Option<String> {
    let now = jiff::Timestamp::from_second(now.as_seconds()).ok()?;
    jiff::fmt::rfc2822::DateTimePrinter::new().timestamp_to_rfc9110_string(&now).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_as_http_writes_them() {
        assert_eq!(http_date(Timestamp::from_seconds(784_111_777)).unwrap(), "Sun, 06 Nov 1994 08:49:37 GMT");
    }
}
