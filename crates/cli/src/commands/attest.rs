//! `schleuse attest`.

use std::path::PathBuf;

use schleuse_model::predicate::{self, PredicateKind, PredicateSelector};
use schleuse_model::{Exit, Explain, PinnedRef, Reference};
use schleuse_sign::{AttestOptions, Signer as _, Statement, Store, attest};
use serde::Serialize;

use crate::build::record;
use crate::context::Context;
use crate::failure::Failure;
use crate::output::{Page, Report};
use crate::reference::pinned;
use crate::settings::{EvidenceFormat, RegistryArgs};
use crate::subjects::{self, Subject};
use crate::{files, keys, provenance};

/// Say something about an image, signed: its origin, its SBOM, a scan, test results
///
/// TYPE is slsaprovenance (SLSA v1), spdx, cyclonedx, vuln, test-result, vsa, or the URI of another predicate type. The predicate is
/// checked against its type. SBOMs and scans are about one platform: of an index, about the image for --platform.
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Examples:
  schleuse attest IMAGE --type spdx --predicate sbom.spdx.json
  schleuse attest IMAGE --type slsaprovenance --build-manifest build.json      filled from the build and the CI run
  syft IMAGE -o cyclonedx-json | schleuse attest IMAGE --type cyclonedx --predicate -

An attestation describes an image; it does not sign it. See what there is: `schleuse evidence IMAGE`.")]
pub(crate) struct Args {
    /// The image, best by digest; a tag is resolved once
    #[arg(value_name = "IMAGE")]
    image: Reference,
    /// What is said
    #[arg(long = "type", value_name = "TYPE")]
    kind: PredicateSelector,
    /// The predicate: a JSON file, or - for stdin
    #[arg(long, value_name = "FILE", required_unless_present = "build_manifest", conflicts_with = "build_manifest")]
    predicate: Option<PathBuf>,
    /// Fill a slsaprovenance from what this build made (its --output)
    #[arg(long, value_name = "FILE")]
    build_manifest: Option<PathBuf>,
    /// Of an index: the image for this platform, such as linux/amd64
    #[arg(long, value_name = "PLATFORM")]
    platform: Option<String>,
    /// The private key: a file, or env://NAME; may be repeated [default: env://COSIGN_PRIVATE_KEY if that is set]
    #[arg(long, value_name = "KEY")]
    key: Vec<String>,
    /// How to store it: `bundle` is read by cosign 3 and schleuse, `legacy` by cosign 2
    #[arg(long, value_enum, value_delimiter = ',', value_name = "FORMATS", default_values = ["bundle"])]
    formats: Vec<EvidenceFormat>,
    #[command(flatten)]
    registry: RegistryArgs,
}

/// The largest predicate that is signed, in bytes: 40 MiB. In base64, inside an envelope, that is just below what is read again.
const PREDICATE_LIMIT: usize = 40 << 20;

/// Not something that this command says.
#[derive(Debug, thiserror::Error)]
enum NotAttested {
    #[error("a signature is not an attestation")]
    Signature,
    #[error("{0} is written by the verb it belongs to, and by nothing else")]
    Ours(String),
    #[error("--build-manifest fills a slsaprovenance, not a {0}")]
    NotFilled(String),
}

impl Explain for NotAttested {
    fn exit(&self) -> Exit {
        Exit::Usage
    }

    fn hints(&self) -> Vec<String> {
        match self {
            Self::Signature => vec!["sign the image: `schleuse sign IMAGE`".to_owned()],
            Self::Ours(_) => Vec::new(),
            Self::NotFilled(_) => vec!["give the predicate itself: `--predicate FILE`".to_owned()],
        }
    }
}

#[derive(Serialize)]
struct Answer {
    image: PinnedRef,
    #[serde(skip_serializing_if = "Option::is_none")]
    platform: Option<String>,
    predicate_type: String,
    attestations: Vec<Attestation>,
}

#[derive(Serialize)]
struct Attestation {
    signer: String,
    /// `new`, `already` or `not-wanted`.
    bundle: &'static str,
    legacy: &'static str,
}

impl Report for Answer {
    fn human(&self, page: &mut Page) {
        page.line(&self.image);
    }
}

pub(crate) async fn run(args: &Args, context: &Context) -> Result<Exit, Failure> {
    let kind = args.kind.kind();
    may_be_said(kind, args.build_manifest.is_some())?;
    let project = context.project(&args.registry.flags())?;
    let build = args.build_manifest.as_deref().map(record::read).transpose()?;
    // Read and checked before anybody is asked for a password.
    let predicate = match (&build, &args.predicate) {
        (Some(build), _) => provenance::predicate(build, provenance::run_info(&context.environment)),
        (None, Some(path)) => files::read_or_stdin(path, PREDICATE_LIMIT)?,
        (None, None) => Vec::new(),
    };
    let predicate_type = args.kind.written_as(&predicate)?;
    predicate::check(&predicate_type, &predicate, PREDICATE_LIMIT)?;
    let signers = keys::signers(context, &args.key).await?;
    let client = project.client(context, args.image.repository())?;
    let progress = context.progress("attesting");
    let image = pinned(&client, &args.image).await?;
    if let Some(build) = &build {
        record::must_be(build, &image)?;
    }
    let Subject { image, platform } = if kind.is_per_platform() || args.platform.is_some() {
        subjects::of_platform(&client, &image, args.platform.as_deref(), kind.short_name()).await?
    } else {
        Subject { image, platform: None }
    };
    let statement = Statement::new(&predicate_type, image.repository().to_string(), image.digest(), predicate)
        .map_err(schleuse_sign::Error::from)?;
    let store = Store { pull: &client, push: &client, referrers: &client };
    let options = AttestOptions {
        bundle: args.formats.contains(&EvidenceFormat::Bundle),
        legacy: args.formats.contains(&EvidenceFormat::Legacy),
    };
    let mut attestations = Vec::new();
    for signer in &signers {
        let done = attest(store, &image, &statement, signer, options, context.now()).await?;
        let signer = signer.public_key().fingerprint();
        context.printer.note(&format!("attested by {}", signer.short()));
        let (bundle, legacy) = (done.bundle.word(), done.legacy.word());
        attestations.push(Attestation { signer: signer.to_string(), bundle, legacy });
    }
    drop(progress);
    context.printer.report(&Answer { image, platform, predicate_type, attestations })?;
    Ok(Exit::Done)
}

fn may_be_said(kind: &PredicateKind, filled: bool) -> Result<(), NotAttested> {
    match kind {
        PredicateKind::Signature => Err(NotAttested::Signature),
        PredicateKind::Other(uri) if predicate::is_own(uri) => Err(NotAttested::Ours(uri.clone())),
        PredicateKind::Provenance => Ok(()),
        other if filled => Err(NotAttested::NotFilled(other.short_name().to_owned())),
        _ => Ok(()),
    }
}
