//! `schleuse sign`.

use std::path::PathBuf;

use schleuse_model::{Exit, PinnedRef, Reference};
use schleuse_sign::{KeyPair, Role, SignOptions, Signer as _, Store, TrustedKey, sign_image};
use serde::Serialize;

use crate::annotation::{self, Annotation};
use crate::build::record;
use crate::context::Context;
use crate::failure::Failure;
use crate::output::{Page, Report};
use crate::project::Project;
use crate::reference::pinned;
use crate::settings::{EvidenceFormat, RegistryArgs};
use crate::subjects::{self, Subject};
use crate::{keys, provenance};

/// Sign an image, and attest how it was built
///
/// The key comes from --key or COSIGN_PRIVATE_KEY, its password from COSIGN_PASSWORD or a prompt. Signing twice changes nothing.
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Examples:
  schleuse sign --key schleuse.key ghcr.io/acme/billing@sha256:…
  schleuse sign --build-manifest build.json ghcr.io/acme/billing@sha256:…
  schleuse sign --recursive --annotation team=billing ghcr.io/acme/billing@sha256:…

cosign and skopeo verify it: `cosign verify --key schleuse.pub --insecure-ignore-tlog IMAGE` (nothing is sent to a transparency log).")]
pub(crate) struct Args {
    /// The image, best by digest; a tag is resolved once
    #[arg(value_name = "IMAGE")]
    image: Reference,
    /// The private key: a file, or env://NAME; may be repeated [default: env://COSIGN_PRIVATE_KEY if that is set]
    #[arg(long, value_name = "KEY")]
    key: Vec<String>,
    /// Of an index, sign every image in it too
    #[arg(long)]
    recursive: bool,
    /// How to store it: `bundle` is read by cosign 3 and schleuse, `legacy` by skopeo, podman and cosign 2
    #[arg(long, value_enum, value_delimiter = ',', value_name = "FORMATS", default_values = ["bundle", "legacy"])]
    formats: Vec<EvidenceFormat>,
    /// Sign this beside the digest; may be repeated
    #[arg(long, short, value_name = "NAME=VALUE")]
    annotation: Vec<Annotation>,
    /// The name to sign under in the legacy format [default: the repository]; skopeo's default policy wants repository:tag
    #[arg(long, value_name = "NAME")]
    identity: Option<String>,
    /// Sign only what this build made (its --output), and attest its provenance too
    #[arg(long, value_name = "FILE")]
    build_manifest: Option<PathBuf>,
    #[command(flatten)]
    registry: RegistryArgs,
}

#[derive(Serialize)]
struct Answer {
    image: PinnedRef,
    signatures: Vec<Signature>,
    /// `new`, `already` or `not-wanted`.
    provenance: &'static str,
}

/// One signer's signature of one image.
#[derive(Serialize)]
struct Signature {
    image: PinnedRef,
    #[serde(skip_serializing_if = "Option::is_none")]
    platform: Option<String>,
    signer: String,
    /// `new`, `already` or `not-wanted`.
    bundle: &'static str,
    legacy: &'static str,
}

impl Answer {
    fn changed(&self) -> bool {
        let new = |one: &Signature| one.bundle == "new" || one.legacy == "new";
        self.provenance == "new" || self.signatures.iter().any(new)
    }
}

impl Report for Answer {
    fn human(&self, page: &mut Page) {
        page.line(&self.image);
    }
}

pub(crate) async fn run(args: &Args, context: &Context) -> Result<Exit, Failure> {
    let project = context.project(&args.registry.flags())?;
    let manifest = args.build_manifest.as_deref().map(record::read).transpose()?;
    let signers = keys::signers(context, &args.key).await?;
    let client = project.client(context, args.image.repository())?;
    let progress = context.progress("signing");
    let image = pinned(&client, &args.image).await?;
    if let Some(build) = &manifest {
        record::must_be(build, &image)?;
    }
    let subjects = if args.recursive {
        subjects::all(&client, &image).await?
    } else {
        vec![Subject { image: image.clone(), platform: None }]
    };
    let store = Store { pull: &client, push: &client, referrers: &client };
    let options = SignOptions {
        bundle: args.formats.contains(&EvidenceFormat::Bundle),
        legacy: args.formats.contains(&EvidenceFormat::Legacy),
        identity: args.identity.clone(),
        annotations: annotation::collect(&args.annotation),
    };
    let mut signatures = Vec::new();
    for (subject, signer) in subjects.iter().flat_map(|subject| signers.iter().map(move |signer| (subject, signer))) {
        let signed = sign_image(store, &subject.image, signer, &options, context.now()).await?;
        signatures.push(Signature {
            image: subject.image.clone(),
            platform: subject.platform.clone(),
            signer: signer.public_key().fingerprint().to_string(),
            bundle: signed.bundle.word(),
            legacy: signed.legacy.word(),
        });
    }
    let mut attested = if manifest.is_some() { "already" } else { "not-wanted" };
    for (build, signer) in manifest.iter().flat_map(|build| signers.iter().map(move |signer| (build, signer))) {
        let run = provenance::run_info(&context.environment);
        if provenance::attest(store, &image, build, run, signer, context.now()).await? {
            attested = "new";
        }
    }
    drop(progress);
    if manifest.is_none() && matches!(args.image, Reference::Tagged(_)) {
        context.printer.note(&format!("{} pointed at {} just now: that is signed", args.image, image.digest()));
    }
    warn_of_untrusted(&project, &signers, context);
    let answer = Answer { image, signatures, provenance: attested };
    let by: Vec<String> = signers.iter().map(|signer| signer.public_key().fingerprint().short()).collect();
    let (by, already) = (by.join(" and "), if answer.changed() { "" } else { "already " });
    let rest = subjects.len() - 1;
    let of = if rest == 0 { String::new() } else { format!(", with {rest} images in it") };
    context.printer.note(&format!("{already}signed by {by}{of}"));
    context.printer.report(&answer)?;
    Ok(Exit::Done)
}

/// Says so where this project would not believe what was signed. No project, no opinion.
fn warn_of_untrusted(project: &Project, signers: &[KeyPair], context: &Context) {
    let Some(trust) = project.require_file().ok().and_then(|_| project.trust(context).ok()) else { return };
    for key in signers.iter().map(KeyPair::public_key) {
        let active = |one: &&TrustedKey| one.key() == key && one.holds(Role::Build) && one.revoked().is_none();
        if !trust.keys().any(|one| active(&one)) {
            let short = key.fingerprint().short();
            context.printer.warn(&format!("{short} is no key of [trust] build here: its signature counts for whoever trusts it, not for this ladder"));
        }
    }
}
