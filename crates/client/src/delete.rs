//! Taking away.

use async_trait::async_trait;
use http::{Method, StatusCode};
use schleuse_model::{PinnedRef, TagRef};
use schleuse_oci::{Delete, Error};

use crate::address::Endpoint;
use crate::answer::MESSAGE_LIMIT;
use crate::auth::Scope;
use crate::exchange::{Call, Client, Inner, Repeat};

#[async_trait]
impl Delete for Client {
    async fn delete_manifest(&self, image: &PinnedRef) -> Result<bool, Error> {
        let endpoint = self.0.addresses.endpoint(image.repository())?;
        let what = format!("manifest {image}");
        self.0.delete(&endpoint, &image.digest().to_string(), what, false).await
    }

    async fn delete_tag(&self, tag: &TagRef) -> Result<bool, Error> {
        let endpoint = self.0.addresses.endpoint(tag.repository())?;
        self.0.delete(&endpoint, tag.tag().as_str(), format!("tag {tag}"), true).await
    }
}

impl Inner {
    async fn delete(&self, endpoint: &Endpoint, reference: &str, what: String, by_tag: bool) -> Result<bool, Error> {
        let scope = Scope::delete(&endpoint.repository);
        let call = Call::get(endpoint.manifest(reference), scope, what).method(Method::DELETE, Repeat::Write);
        let answer = self.fetch(endpoint, &call, MESSAGE_LIMIT, self.operation()).await?;
        match answer.status {
            // Not 200, which a portal answers to anything.
            StatusCode::ACCEPTED | StatusCode::NO_CONTENT => Ok(true),
            _ if answer.says_undeletable(by_tag) => {
                Err(Error::Undeletable { host: answer.host.clone(), what: call.what, message: answer.message() })
            }
            _ if answer.says_absent() => Ok(false),
            _ => Err(answer.unexpected()),
        }
    }
}
