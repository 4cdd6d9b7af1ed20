//! Whether an image is signed as demanded.

use schleuse_client::Client;
use schleuse_model::PinnedRef;
use schleuse_oci::Pull as _;
use schleuse_sign::{Error, Limits, Source, VerifyError, find_signatures};

use super::Question;
use super::report::Outcome;
use crate::failure::Failure;

pub(super) async fn check(question: &Question<'_>, client: &Client, image: PinnedRef) -> Result<Outcome, Failure> {
    let source = Source { pull: client, referrers: client };
    let (demand, now) = (&question.demand, question.context.now());
    let image_ref = &image;
    let find = async |trust| find_signatures(source, image_ref, trust, demand, Limits::SIGNATURES, now).await;
    let mut found = find(&question.trust).await;
    if let Err(Error::Untrusted(refused)) = &found
        && let Some(trust) = question.on_record(&image, refused.rejected()).await?
    {
        found = find(&trust).await;
    }
    match found {
        // "Not signed" is only true of what is there.
        Err(Error::Untrusted(VerifyError::NoSignature { .. })) if client.manifest(&image).await?.is_none() => {
            Err(schleuse_oci::Error::Missing { what: image.to_string() }.into())
        }
        found => Ok(Outcome::Signed(image, found?)),
    }
}
