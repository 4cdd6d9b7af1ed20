//! What was checked, what was found, and what that does not say.

use std::collections::BTreeMap;

use schleuse_model::predicate::PredicateSelector;
use schleuse_model::{Exit, PinnedRef, Reference, Timestamp};
use schleuse_sign::{Demand, Revocation, TrustedKey, Verified, VerifiedStatement};
use serde::Serialize;

use crate::failure::{Failure, FailureReport};
use crate::output::{Page, Report};
use crate::subjects::Subject;

/// What was found of one image.
pub(super) enum Outcome {
    /// The signatures relied on.
    Signed(PinnedRef, Vec<Verified>),
    /// The statements relied on, about the image or each image in it.
    Attested(PinnedRef, Vec<(Subject, Vec<VerifiedStatement>)>),
}

#[derive(Serialize)]
pub(super) struct Answer {
    images: Vec<ImageAnswer>,
    role: &'static str,
    /// How many signers were demanded: `any`, `all` or a number.
    required: String,
    checked: Vec<String>,
    not_checked: Vec<String>,
}

#[derive(Serialize)]
pub(super) struct ImageAnswer {
    image: String,
    trusted: bool,
    signers: Vec<Signer>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<FailureReport>,
    #[serde(skip)]
    exit: Exit,
}

/// One signature or statement that was relied on.
#[derive(Serialize)]
struct Signer {
    #[serde(skip_serializing_if = "Option::is_none")]
    platform: Option<String>,
    /// The key's fingerprint.
    signer: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    person: Option<String>,
    found: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    predicate_type: Option<String>,
    /// Since when the key is superseded: it counts because a journal had named the image before.
    #[serde(skip_serializing_if = "Option::is_none")]
    superseded: Option<Timestamp>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    annotations: BTreeMap<String, String>,
}

impl ImageAnswer {
    pub(super) fn new(asked: &Reference, outcome: Result<Outcome, Failure>) -> Self {
        let (image, signers) = match outcome {
            Ok(Outcome::Signed(image, verified)) => (image, verified.iter().map(Signer::of_signature).collect()),
            Ok(Outcome::Attested(image, found)) => {
                let statements = found.iter().flat_map(|(subject, all)| all.iter().map(move |one| (subject, one)));
                (image, statements.map(|(subject, one)| Signer::of_statement(subject, one)).collect())
            }
            Err(failure) => {
                let (image, error, exit) = (asked.to_string(), Some(failure.report()), failure.exit());
                return Self { image, trusted: false, signers: Vec::new(), error, exit };
            }
        };
        Self { image: image.to_string(), trusted: true, signers, error: None, exit: Exit::Done }
    }
}

impl Signer {
    fn new(key: &TrustedKey, found: String) -> Self {
        Self {
            platform: None,
            signer: key.identity().to_string(),
            person: key.person().map(str::to_owned),
            found,
            predicate_type: None,
            superseded: match key.revoked() {
                Some(Revocation::Superseded { since }) => Some(since),
                _ => None,
            },
            annotations: BTreeMap::new(),
        }
    }

    fn of_signature(verified: &Verified) -> Self {
        let annotations = verified.annotations().clone();
        Self { annotations, ..Self::new(verified.signer(), verified.origin().to_string()) }
    }

    fn of_statement(subject: &Subject, verified: &VerifiedStatement) -> Self {
        let predicate_type = Some(verified.statement().predicate_type().to_owned());
        let platform = subject.platform.clone();
        Self { platform, predicate_type, ..Self::new(verified.signer(), verified.origin().to_string()) }
    }

    fn line(&self) -> String {
        let mut line = self.signer.clone();
        for part in [&self.person, &self.platform, &self.predicate_type].into_iter().flatten() {
            line.push_str(&format!("  {part}"));
        }
        line.push_str(&format!("  {}", self.found));
        if let Some(since) = self.superseded {
            line.push_str(&format!("  superseded on {since}; a journal had named the image before"));
        }
        for (name, value) in &self.annotations {
            line.push_str(&format!("  {name}={value}"));
        }
        crate::failure::one_line(&line)
    }
}

impl Answer {
    pub(super) fn new(images: Vec<ImageAnswer>, demand: &Demand, kind: Option<&PredicateSelector>) -> Self {
        let required = demand.quorum.to_string();
        let signers = match required.as_str() {
            "any" => "the key is one of those trusted for `build`".to_owned(),
            "all" => "every signer trusted for `build` has signed".to_owned(),
            number => {
                format!("{number} different signers trusted for `build` have signed: people, where they are named")
            }
        };
        let said = match kind {
            None => "what is signed names this digest, and approves it rather than describing it".to_owned(),
            Some(kind) => format!("what is signed is a {kind} about this digest, with the fields that demands"),
        };
        let mut checked =
            vec!["the signature, over the exact bytes the registry gave, by this key".to_owned(), signers, said];
        if !demand.annotations.is_empty() {
            let wanted: Vec<String> =
                demand.annotations.iter().map(|(name, value)| format!("{name}={value}")).collect();
            checked.push(format!("signed with it: {}", wanted.join(" ")));
        }
        let content = match kind {
            None => "what is in the image: that is for the checks of an environment",
            Some(_) => "whether the image itself is signed, and whether what is said about it is true",
        };
        let not_checked = [
            "no transparency log was consulted: when it was signed is not proven",
            "no certificates: the key is trusted because it is listed, not because of an identity",
            content,
        ];
        let not_checked = not_checked.map(str::to_owned).to_vec();
        Self { images, role: demand.role.name(), required, checked, not_checked }
    }

    /// A "no" weighs more than no answer: it will not change by asking again.
    pub(super) fn exit(&self) -> Exit {
        let any = |exit| self.images.iter().any(|image| image.exit == exit);
        let first_bad = self.images.iter().map(|image| image.exit).find(|exit| *exit != Exit::Done);
        if any(Exit::Untrusted) { Exit::Untrusted } else { first_bad.unwrap_or(Exit::Done) }
    }
}

impl Report for Answer {
    fn human(&self, page: &mut Page) {
        let paint = page.paint();
        for image in &self.images {
            match &image.error {
                None => page.line(format_args!("{}      {}", paint.good("trusted"), image.image)),
                Some(error) => {
                    let verdict = if image.exit == Exit::Untrusted { "not trusted" } else { "no answer" };
                    page.line(format_args!("{}  {}", paint.bad(format_args!("{verdict:<11}")), image.image));
                    page.fact(11, "why", &error.message);
                    error.causes.iter().for_each(|cause| page.fact(11, "", cause));
                }
            }
            image.signers.iter().for_each(|signer| page.fact(11, "signer", signer.line()));
        }
        if self.images.iter().all(|image| !image.trusted) {
            return;
        }
        for (name, lines) in [("checked", &self.checked), ("not checked", &self.not_checked)] {
            for (at, line) in lines.iter().enumerate() {
                page.fact(11, if at == 0 { name } else { "" }, line);
            }
        }
    }
}
