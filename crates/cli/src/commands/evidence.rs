//! `schleuse evidence`.

mod download;

use std::path::PathBuf;

use schleuse_model::predicate::{PredicateKind, PredicateSelector};
use schleuse_model::{Exit, PinnedRef, Reference, Timestamp};
use schleuse_sign::{Evidence, Limits, Source, Trust, evidence};
use serde::Serialize;

use crate::context::Context;
use crate::failure::{Failure, FailureReport};
use crate::output::{Page, Report};
use crate::project::Project;
use crate::reference::pinned;
use crate::settings::{Format, RegistryArgs};
use crate::subjects::{self, Subject};
use crate::trusted::trusted;
use download::Downloaded;

/// List what is signed and attested about an image, and download it
///
/// Of an index, also what is said about each image in it. Listing decides nothing: `schleuse verify` does.
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Examples:
  schleuse evidence ghcr.io/acme/billing:1.4.0
  schleuse evidence --type spdx --download sboms/ ghcr.io/acme/billing@sha256:…

Each file is what was signed, byte for byte: NAME.predicate.json is what it says, NAME.json the signed bundle or envelope.")]
pub(crate) struct Args {
    /// The image, by tag or digest; a tag is resolved once
    #[arg(value_name = "IMAGE")]
    image: Reference,
    /// Only evidence of this type (see `schleuse attest --help`)
    #[arg(long = "type", value_name = "TYPE")]
    kind: Option<PredicateSelector>,
    /// Trust this public key instead of [trust] in schleuse.toml; may be repeated
    #[arg(long, value_name = "PUB")]
    key: Vec<String>,
    /// Write what is verified into this folder
    #[arg(long, value_name = "FOLDER")]
    download: Option<PathBuf>,
    /// Download also what is not verified, as unverified-NAME: anybody could have put it there
    #[arg(long, requires = "download")]
    unverified: bool,
    #[command(flatten)]
    registry: RegistryArgs,
}

#[derive(Serialize)]
struct Answer {
    image: PinnedRef,
    evidence: Vec<Item>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    downloaded: Vec<String>,
    /// Why not everything is downloaded.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<FailureReport>,
}

#[derive(Serialize)]
struct Item {
    image: PinnedRef,
    #[serde(skip_serializing_if = "Option::is_none")]
    platform: Option<String>,
    /// The short name of the type, or the type.
    #[serde(rename = "type")]
    kind: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    predicate_type: Option<String>,
    found: String,
    /// As its writer says; unsigned.
    #[serde(skip_serializing_if = "Option::is_none")]
    created: Option<Timestamp>,
    /// Bytes.
    size: usize,
    verified: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    signer: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    role: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    person: Option<String>,
    /// Why it is not believed.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    #[serde(skip)]
    short_signer: String,
}

impl Item {
    fn new(subject: &Subject, one: &Evidence) -> Self {
        let kind = one.predicate_type.as_deref().map(PredicateKind::of);
        let believed = one.verdict.as_ref().ok();
        Self {
            image: subject.image.clone(),
            platform: subject.platform.clone(),
            kind: kind.map_or_else(|| "unknown".to_owned(), |kind| kind.to_string()),
            predicate_type: one.predicate_type.clone(),
            found: one.origin.to_string(),
            created: one.created,
            size: one.size,
            verified: believed.is_some(),
            signer: believed.map(|believed| believed.signer.identity().to_string()),
            role: believed.map(|believed| believed.role.name()),
            person: believed.and_then(|believed| believed.signer.person().map(str::to_owned)),
            reason: one.verdict.as_ref().err().map(ToString::to_string),
            short_signer: believed.map_or_else(|| "-".to_owned(), |believed| believed.signer.short()),
        }
    }
}

impl Report for Answer {
    fn human(&self, page: &mut Page) {
        let paint = page.paint();
        for item in &self.evidence {
            let kind = item.platform.as_ref().map_or_else(|| item.kind.clone(), |on| format!("{} {on}", item.kind));
            let made = item.created.map_or_else(|| "-".to_owned(), |at| at.to_string());
            let verdict = match (&item.reason, item.role) {
                (Some(reason), _) => format!("{} {reason}", paint.bad("not verified:")),
                (None, role) => format!("{} ({})", paint.good("verified"), role.unwrap_or_default()),
            };
            let (signer, size, found) = (&item.short_signer, item.size, &item.found);
            page.line(format_args!("{kind:<28}  {signer:<13}  {made:<20}  {size:>8}  {found:<20}  {verdict}"));
        }
        for path in &self.downloaded {
            page.line(path);
        }
    }
}

pub(crate) async fn run(args: &Args, context: &Context) -> Result<Exit, Failure> {
    args.download.as_deref().map(download::can_be_folder).transpose()?;
    let project = context.project(&args.registry.flags())?;
    let trust = if args.key.is_empty() { own(&project, context) } else { trusted(&args.key, context)? };
    let client = project.client(context, args.image.repository())?;
    let progress = context.progress("looking for evidence");
    let image = pinned(&client, &args.image).await?;
    let mut subjects = vec![Subject { image: image.clone(), platform: None }];
    subjects.extend(subjects::runnable(&client, &image).await?.unwrap_or_default());
    let source = Source { pull: &client, referrers: &client };
    let (mut items, mut found) = (Vec::new(), Vec::new());
    for subject in &subjects {
        for one in evidence(source, &subject.image, &trust, Limits::ATTESTATIONS).await? {
            let wanted = |kind: &PredicateSelector| one.predicate_type.as_deref().is_some_and(|of| kind.accepts(of));
            if args.kind.as_ref().is_none_or(wanted) {
                items.push(Item::new(subject, &one));
                found.push(one);
            }
        }
    }
    drop(progress);
    let Downloaded { files, problem } = match &args.download {
        Some(folder) => download::write(folder, &found, args.unverified),
        None => Downloaded::default(),
    };
    if items.is_empty() {
        context.printer.note(&format!("the registry has nothing of the kind about {image}"));
    }
    let mut answer = Answer { image, evidence: items, downloaded: files, error: None };
    match problem {
        // A machine format is one document: the error stands in it, beside what was written in spite of it.
        Some(failure) if context.printer.settings().format == Format::Json => {
            answer.error = Some(failure.report());
            context.printer.report(&answer)?;
            Ok(failure.exit())
        }
        problem => {
            context.printer.report(&answer)?;
            problem.map_or(Ok(Exit::Done), Err)
        }
    }
}

/// The project's trust. Without one there is still something to list: nothing of it is verified then.
fn own(project: &Project, context: &Context) -> Trust {
    match project.trust(context) {
        Ok(trust) => trust,
        Err(failure) => {
            let why = failure.report().message;
            context.printer.note(&format!("nothing can be verified: {why}; name a key that you trust with --key"));
            Trust::default()
        }
    }
}
