//! `schleuse verify`.

mod attested;
mod report;
mod signed;

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::str::FromStr;

use futures_util::{StreamExt as _, stream};
use schleuse_client::Client;
use schleuse_journal::Journal;
use schleuse_model::predicate::PredicateSelector;
use schleuse_model::{Exit, PinnedRef, Reference, Repository};
use schleuse_promote::record::knowing;
use schleuse_sign::{Demand, Quorum, Rejected, Role, Trust};

use crate::annotation::{self, Annotation};
use crate::context::Context;
use crate::failure::Failure;
use crate::ladder::Ladder;
use crate::project::{Patience, Project};
use crate::reference::pinned;
use crate::settings::RegistryArgs;
use crate::trusted::trusted;
use report::{Answer, ImageAnswer, Outcome};

/// Check that images are signed, or attested, by keys you trust
///
/// Without --key the keys of [trust] build in schleuse.toml count. Nothing but the registry is asked; only
/// where one of them is superseded, also the project's journals: what they named before still holds.
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Examples:
  schleuse verify ghcr.io/acme/billing:sha-1f3a…        by the keys of [trust] build
  schleuse verify --key schleuse.pub ghcr.io/acme/billing@sha256:…
  schleuse verify --key ci.pub --key release.pub --require all IMAGE
  schleuse verify --type spdx IMAGE                     an SBOM by a trusted key; of an index, one for each platform

Exit codes: 0 all are, 11 one is not, 1 the registry gave no answer.")]
pub(crate) struct Args {
    /// The images, by tag or digest; a tag is resolved once
    #[arg(value_name = "IMAGE", required = true)]
    images: Vec<Reference>,
    /// Trust this public key instead of [trust] in schleuse.toml; may be repeated
    #[arg(long, value_name = "PUB")]
    key: Vec<String>,
    /// How many of the trusted keys must have signed: any, all, or a number; two keys of one person count once
    #[arg(long, value_name = "HOW-MANY", default_value = "any")]
    require: Require,
    /// Demand this annotation, signed; may be repeated
    #[arg(long, short, value_name = "NAME=VALUE", conflicts_with = "kind")]
    annotation: Vec<Annotation>,
    /// Check an attestation of this type instead of the signature (see `schleuse attest --help`)
    #[arg(long = "type", value_name = "TYPE")]
    kind: Option<PredicateSelector>,
    #[command(flatten)]
    registry: RegistryArgs,
}

/// `--require`.
#[derive(Clone, Copy, Debug)]
struct Require(Quorum);

impl FromStr for Require {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, &'static str> {
        match text {
            "any" => Ok(Self(Quorum::Any)),
            "all" => Ok(Self(Quorum::All)),
            number => number
                .parse::<NonZeroUsize>()
                .map(|count| Self(Quorum::AtLeast(count)))
                .map_err(|_| "write any, all, or a number from 1"),
        }
    }
}

/// Images looked at at a time.
const CONCURRENT: usize = 16;
/// Attestations may be large: fewer images at a time.
const CONCURRENT_ATTESTED: usize = 2;

/// What all images are held against.
struct Question<'a> {
    context: &'a Context,
    trust: Trust,
    demand: Demand,
    kind: Option<&'a PredicateSelector>,
    /// Only where a key was superseded.
    record: Option<Record>,
}

/// The journals that may have named an image before a key was superseded: those of the project, for the project's image.
struct Record {
    image: Repository,
    journals: Vec<Journal>,
}

impl Record {
    async fn of(context: &Context, project: Project) -> Result<Self, Failure> {
        let ladder = Ladder::of(context, project, Patience::Usual).await?;
        Ok(Self { journals: ladder.record(), image: ladder.names.image })
    }
}

pub(crate) async fn run(args: &Args, context: &Context) -> Result<Exit, Failure> {
    let project = context.project(&args.registry.flags())?;
    let trust = if args.key.is_empty() { project.trust(context)? } else { trusted(&args.key, context)? };
    let annotations = annotation::collect(&args.annotation);
    let demand = Demand { role: Role::Build, quorum: args.require.0, annotations };
    let clients = clients(&args.images, &project, context)?;
    let record = if trust.has_superseded() { Some(Record::of(context, project).await?) } else { None };
    let question = Question { context, trust, demand, kind: args.kind.as_ref(), record };
    let progress = context.progress("looking for signatures");
    let mut outcomes = stream::iter(&args.images)
        .map(|image| {
            let (question, client) = (&question, clients.get(image.repository().host()));
            async move { (image, question.ask(client, image).await) }
        })
        .buffered(if args.kind.is_some() { CONCURRENT_ATTESTED } else { CONCURRENT });
    let mut answers = Vec::new();
    while let Some((image, outcome)) = outcomes.next().await {
        // One image that is not: an error as any other. Among several: a line of the answer.
        let outcome = if args.images.len() == 1 { Ok(outcome?) } else { outcome };
        answers.push(ImageAnswer::new(image, outcome));
    }
    drop(outcomes);
    drop(progress);
    let answer = Answer::new(answers, &question.demand, args.kind.as_ref());
    let exit = answer.exit();
    context.printer.report(&answer)?;
    Ok(exit)
}

impl Question<'_> {
    /// The trust, knowing what the journals say about `image`, if superseded keys are among the reasons of a refusal.
    async fn on_record(&self, image: &PinnedRef, refused: &[Rejected]) -> Result<Option<Trust>, Failure> {
        let since = Rejected::superseded(refused);
        match &self.record {
            Some(record) if record.image == *image.repository() => {
                Ok(knowing(&self.trust, &record.journals, image.digest(), &since).await?)
            }
            _ => Ok(None),
        }
    }

    async fn ask(&self, client: Option<&Client>, image: &Reference) -> Result<Outcome, Failure> {
        // Each image's registry has one: `clients` saw to that.
        let client = client.ok_or_else(|| schleuse_oci::Error::Missing { what: image.to_string() })?;
        let image = pinned(client, image).await?;
        match self.kind {
            Some(kind) => attested::check(self, client, image, kind).await,
            None => signed::check(self, client, image).await,
        }
    }
}

/// One client for each registry, logged in for its first image.
fn clients<'a>(
    images: &'a [Reference],
    project: &Project,
    context: &Context,
) -> Result<BTreeMap<&'a str, Client>, Failure> {
    let mut clients = BTreeMap::new();
    for image in images {
        let repository = image.repository();
        if !clients.contains_key(repository.host()) {
            clients.insert(repository.host(), project.client(context, repository)?);
        }
    }
    Ok(clients)
}
