//! Uploading a blob: POST, then one PUT with everything (distribution-spec, "POST then PUT").

mod opened;

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
pub(crate) use opened::Opened;

/// How much of the answers to uploads is read; they have no body worth reading.
const ANSWER_LIMIT: usize = 64 << 10;

impl Inner {
    /// Uploads. The first attempt goes on with the upload that a mount has opened, if there is one; every other starts from
    /// scratch, with a new upload.
    pub(crate) async fn upload(&self, endpoint: &Endpoint, blob: &Descriptor, payload: Payload) -> Result<(), Error> {
        let deadline = self.transfer();
        if let Some(location) = self.opened.take(&endpoint.repository, &blob.digest) {
            // Whatever is wrong with it, a new one is worth its own attempts.
            let finished = self.finish_upload(endpoint, blob, &payload, location, deadline).await;
            payload.is_right()?;
            match finished {
                Ok(()) => return Ok(()),
                Err(Failure::Final(error @ (Error::Local { .. } | Error::WrongDigest { .. }))) => return Err(error),
                Err(_) => {}
            }
        }
        let mut tries = self.tries(deadline);
        loop {
            let failure = match self.open_upload(endpoint, blob, deadline).await {
                Ok(location) => match self.finish_upload(endpoint, blob, &payload, location, deadline).await {
                    Ok(()) => return Ok(()),
                    Err(failure) => failure,
                },
                Err(failure) => failure,
            };
            payload.is_right()?;
            tries.after(failure).await?;
        }
    }

    async fn open_upload(&self, endpoint: &Endpoint, blob: &Descriptor, deadline: Instant) -> Result<Url, Failure> {
        let call = Call::get(endpoint.uploads(), Scope::push(&endpoint.repository), upload_of(endpoint, blob))
            .method(Method::POST, Repeat::Write);
        let begun = self.attempt(endpoint, &call, deadline).await?.read(ANSWER_LIMIT).await?;
        if begun.status != StatusCode::ACCEPTED {
            return Err(begun.unexpected().into());
        }
        Ok(self.location(&call.url, &begun)?)
    }

    async fn finish_upload(
        &self,
        endpoint: &Endpoint,
        blob: &Descriptor,
        payload: &Payload,
        mut url: Url,
        deadline: Instant,
    ) -> Result<(), Failure> {
        let what = upload_of(endpoint, blob);
        url.query_pairs_mut().append_pair("digest", &blob.digest.to_string());
        let finish = Call::get(url, Scope::push(&endpoint.repository), &what)
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

fn upload_of(endpoint: &Endpoint, blob: &Descriptor) -> String {
    format!("the upload of blob {}@{}", endpoint.repository, blob.digest)
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
