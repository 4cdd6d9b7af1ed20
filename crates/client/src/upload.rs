//! Uploading a blob: POST, then one PUT with everything (distribution-spec, "POST then PUT").

use http::{HeaderValue, Method, StatusCode, header};
use reqwest::Url;
use schleuse_model::Digest;
use schleuse_oci::{Descriptor, Error};
use tokio::time::Instant;

use crate::address::{Endpoint, Refused};
use crate::answer::Answer;
use crate::auth::Scope;
use crate::exchange::{Call, Inner, Repeat};
use crate::payload::Payload;
use crate::retry::Failure;

/// How much of the answers to uploads is read; they have no body worth reading.
const ANSWER_LIMIT: usize = 64 << 10;

impl Inner {
    /// Uploads; every attempt starts from scratch, with a new upload.
    pub(crate) async fn upload(&self, endpoint: &Endpoint, blob: &Descriptor, payload: Payload) -> Result<(), Error> {
        let deadline = self.transfer();
        let mut tries = self.tries(deadline);
        loop {
            match self.upload_once(endpoint, blob, &payload, deadline).await {
                Ok(()) => return Ok(()),
                Err(failure) => tries.after(failure).await?,
            }
        }
    }

    async fn upload_once(
        &self,
        endpoint: &Endpoint,
        blob: &Descriptor,
        payload: &Payload,
        deadline: Instant,
    ) -> Result<(), Failure> {
        let what = format!("the upload of blob {}@{}", endpoint.repository, blob.digest);
        let scope = Scope::push(&endpoint.repository);
        let begin = Call::get(endpoint.uploads(), scope.clone(), &what).method(Method::POST, Repeat::Write);
        let begun = self.attempt(endpoint, &begin, deadline).await?.read(ANSWER_LIMIT).await?;
        if begun.status != StatusCode::ACCEPTED {
            return Err(begun.unexpected().into());
        }
        let mut url = self.location(&begin.url, &begun)?;
        url.query_pairs_mut().append_pair("digest", &blob.digest.to_string());
        let finish = Call::get(url, scope, &what)
            .method(Method::PUT, Repeat::Write)
            .header(header::CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"))
            .payload(payload.clone());
        let finished = self.attempt(endpoint, &finish, deadline).await?.read(ANSWER_LIMIT).await?;
        match finished.status {
            StatusCode::CREATED => Ok(same_digest(&finished, &blob.digest)?),
            // The upload got lost between two machines behind one name: a new one is worth a try.
            StatusCode::NOT_FOUND => Err(Failure::Again {
                error: Error::Unavailable {
                    host: finished.host.clone(),
                    what,
                    message: format!("the registry forgot the upload: {}", finished.message()),
                },
                after: None,
            }),
            _ => Err(finished.unexpected().into()),
        }
    }

    /// Where an upload goes on. It may be another host (object storage); `exchange` sends no credentials there.
    pub(crate) fn location(&self, from: &Url, answer: &Answer) -> Result<Url, Error> {
        let location = answer.headers.get(header::LOCATION).and_then(|value| value.to_str().ok());
        let Some(location) = location.filter(|location| !location.is_empty()) else {
            return Err(answer.unexpected_because("it opened an upload but does not say where (no `Location`)"));
        };
        self.addresses.follow(from, location).map_err(|refused| match refused {
            Refused::Plain(host) => Error::Insecure { host },
            Refused::Malformed => answer.unexpected_because("its upload's `Location` is no usable address"),
        })
    }
}

/// What the registry says it stored is what we sent. Digests of another algorithm cannot be compared here.
pub(crate) fn same_digest(answer: &Answer, sent: &Digest) -> Result<(), Error> {
    match answer.told_digest()? {
        Some(told) if told.algorithm() == sent.algorithm() && told != *sent => {
            Err(Error::WrongDigest { what: answer.what.clone(), expected: sent.clone(), actual: told })
        }
        _ => Ok(()),
    }
}
