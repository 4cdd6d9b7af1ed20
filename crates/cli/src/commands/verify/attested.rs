//! Whether an image is attested as demanded. What is said about one platform is looked for at each image of an index, found through
//! the index, whose bytes its digest proves.

use schleuse_client::Client;
use schleuse_model::predicate::{self, PredicateError, PredicateSelector};
use schleuse_model::{Exit, Explain, PinnedRef};
use schleuse_sign::fetch::attestation_candidates_of;
use schleuse_sign::verify::{ATTESTATION_LIMIT, count};
use schleuse_sign::{Limits, Rejected, Source, VerifiedStatement, attestations_of};

use super::Question;
use super::report::Outcome;
use crate::failure::Failure;
use crate::subjects::{self, Subject};

/// Nobody, or too few, of the trusted say it.
#[derive(Debug, thiserror::Error)]
pub(super) enum NotAttested {
    /// Too few signers.
    #[error("{image}{} has no {kind} by {needed} trusted for `build`{}", on(platform), why(rejected))]
    TooFew { image: PinnedRef, platform: Option<String>, kind: String, needed: String, rejected: Vec<Rejected> },
    /// Well signed, and not what its type promises.
    #[error("the {kind} of {image} is signed, and not what it says it is")]
    Malformed { image: PinnedRef, kind: String, source: PredicateError },
    /// An index of nothing.
    #[error("{image} is an index without an image that can be run: there is nothing that could have a {kind}")]
    Empty { image: PinnedRef, kind: String },
}

impl Explain for NotAttested {
    fn exit(&self) -> Exit {
        Exit::Untrusted
    }

    fn hints(&self) -> Vec<String> {
        match self {
            Self::TooFew { image, .. } => {
                vec![format!("see what there is, and why it does not count: `schleuse evidence {image}`")]
            }
            Self::Malformed { source, .. } => source.hints(),
            Self::Empty { .. } => Vec::new(),
        }
    }
}

fn on(platform: &Option<String>) -> String {
    platform.as_ref().map_or_else(String::new, |platform| format!(" ({platform})"))
}

fn why(rejected: &[Rejected]) -> String {
    match Rejected::telling_first(rejected).as_slice() {
        [] => String::new(),
        [one] => format!(": {}: {}", one.origin, one.reason),
        [one, rest @ ..] => format!(": {}: {}; and {} more", one.origin, one.reason, rest.len()),
    }
}

pub(super) async fn check(
    question: &Question<'_>,
    client: &Client,
    image: PinnedRef,
    kind: &PredicateSelector,
) -> Result<Outcome, Failure> {
    let needed = question.demand.needed(&question.trust, &image).map_err(schleuse_sign::Error::from)?;
    let children = if kind.kind().is_per_platform() { subjects::runnable(client, &image).await? } else { None };
    let subjects = match children {
        Some(children) if children.is_empty() => {
            return Err(NotAttested::Empty { image, kind: kind.to_string() }.into());
        }
        Some(children) => children,
        None => vec![Subject { image: image.clone(), platform: None }],
    };
    let mut found = Vec::new();
    for subject in subjects {
        let statements = one(question, client, &image, &subject, kind, needed).await?;
        found.push((subject, statements));
    }
    Ok(Outcome::Attested(image, found))
}

async fn one(
    question: &Question<'_>,
    client: &Client,
    index: &PinnedRef,
    subject: &Subject,
    kind: &PredicateSelector,
    needed: usize,
) -> Result<Vec<VerifiedStatement>, Failure> {
    let (image, role) = (&subject.image, question.demand.role);
    let source = Source { pull: client, referrers: client };
    let wanted = |found: &str| kind.accepts(found);
    let candidates = attestation_candidates_of(source, image, wanted, Limits::ATTESTATIONS).await?;
    if candidates.is_empty() {
        // "Not attested" is only true of what is there.
        subjects::manifest(client, image).await?;
    }
    let (digest, named) = (image.digest(), kind.to_string());
    let mut found = attestations_of(digest, &candidates, &question.trust, role, &named, wanted);
    // The journal names the index, and the index names this image.
    if let Some(trust) = question.on_record(index, &found.rejected).await?
        && let Some(at) = trust.named_at(index.digest())
    {
        let trust = trust.naming(digest.clone(), at);
        found = attestations_of(digest, &candidates, &trust, role, &named, wanted);
    }
    if count(found.accepted.iter().map(VerifiedStatement::signer)) < needed {
        return Err(NotAttested::TooFew {
            image: image.clone(),
            platform: subject.platform.clone(),
            kind: kind.to_string(),
            needed: if needed == 1 { "a key".to_owned() } else { format!("{needed} signers") },
            rejected: found.rejected,
        }
        .into());
    }
    for statement in found.accepted.iter().map(VerifiedStatement::statement) {
        predicate::check(statement.predicate_type(), statement.predicate_bytes(), ATTESTATION_LIMIT)
            .map_err(|source| NotAttested::Malformed { image: image.clone(), kind: kind.to_string(), source })?;
    }
    Ok(found.accepted)
}
