//! `schleuse verify`.

use schleuse_journal::Journal;
use schleuse_model::{Exit, PinnedRef, Reference};
use schleuse_oci::Pull as _;
use schleuse_promote::{self as promote, find_signature_on_record};
use schleuse_sign::{Error, Role, Source, Trust, TrustedKey, Verified, VerifyError};
use serde::Serialize;

use crate::context::Context;
use crate::failure::Failure;
use crate::keys::{self, KeyReference};
use crate::ladder::Ladder;
use crate::output::{Page, Report};
use crate::project::{Patience, Project};
use crate::reference::pinned;
use crate::settings::RegistryArgs;

/// Check that an image is signed by a key you trust
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Examples:
  schleuse verify ghcr.io/acme/billing:sha-1f3a…        by the keys of [trust] build
  schleuse verify --key schleuse.pub ghcr.io/acme/billing@sha256:…

Exit codes: 0 signed, 11 not signed by a trusted key, 1 the registry gave no answer.")]
pub(crate) struct Args {
    /// The image, by tag or digest; a tag is resolved once
    #[arg(value_name = "IMAGE")]
    image: Reference,
    /// Trust this public key instead of [trust] in schleuse.toml; may be repeated
    #[arg(long, value_name = "PUB")]
    key: Vec<String>,
    #[command(flatten)]
    registry: RegistryArgs,
}

/// What was found, and what that does not say.
#[derive(Serialize)]
struct Answer {
    image: PinnedRef,
    signer: String,
    role: &'static str,
    found: String,
    checked: Vec<&'static str>,
    not_checked: Vec<&'static str>,
}

const CHECKED: [&str; 3] = [
    "the signature, over the exact bytes the registry gave, by this key",
    "the key is one of those trusted for `build`",
    "what is signed names this digest, and approves it rather than describing it",
];

const NOT_CHECKED: [&str; 3] = [
    "no transparency log was consulted: when it was signed is not proven",
    "no certificates: the key is trusted because it is listed, not because of an identity",
    "what is in the image: that is for the checks of an environment",
];

impl Report for Answer {
    fn human(&self, page: &mut Page) {
        let paint = page.paint();
        page.line(format_args!("{}      {}", paint.good("trusted"), self.image));
        page.fact(11, "signer", format_args!("{} ({})", self.signer, self.role));
        page.fact(11, "found", &self.found);
        for (name, lines) in [("checked", &self.checked), ("not checked", &self.not_checked)] {
            for (at, line) in lines.iter().enumerate() {
                page.fact(11, if at == 0 { name } else { "" }, line);
            }
        }
    }
}

pub(crate) async fn run(args: &Args, context: &Context) -> Result<Exit, Failure> {
    let project = context.project(&args.registry.flags())?;
    let trust = if args.key.is_empty() { project.trust(context)? } else { trusted(&args.key, context)? };
    let client = project.client(context, args.image.repository())?;
    let progress = context.progress("looking for a signature");
    let image = pinned(&client, &args.image).await?;
    let source = Source { pull: &client, referrers: &client };
    let record = if trust.has_superseded() { record(context, project, &image).await? } else { Vec::new() };
    let found = find_signature_on_record(source, &image, &trust, &record, context.now()).await;
    let verified = match found {
        // "Not signed" is only true of what is there.
        Err(promote::Error::Signature(Error::Untrusted(VerifyError::NoSignature { .. })))
            if client.manifest(&image).await?.is_none() =>
        {
            return Err(schleuse_oci::Error::Missing { what: image.to_string() }.into());
        }
        found => found?,
    };
    drop(progress);
    context.printer.report(&answer(verified))?;
    Ok(Exit::Done)
}

/// The journals that may have named the image before a key was superseded: those of the project, if it is the project's image.
async fn record(context: &Context, project: Project, image: &PinnedRef) -> Result<Vec<Journal>, Failure> {
    let ladder = Ladder::of(context, project, Patience::Usual).await?;
    Ok(if ladder.names.image == *image.repository() { ladder.record() } else { Vec::new() })
}

fn answer(verified: Verified) -> Answer {
    let mut checked = CHECKED.to_vec();
    if verified.signer().revoked().is_some() {
        checked[1] =
            "the key was trusted for `build` until it was superseded, and a journal had named this digest before";
    }
    Answer {
        image: verified.image().clone(),
        signer: verified.signer().fingerprint().to_string(),
        role: verified.role().name(),
        found: verified.origin().to_string(),
        checked,
        not_checked: NOT_CHECKED.to_vec(),
    }
}

fn trusted(keys: &[String], context: &Context) -> Result<Trust, Failure> {
    let key = |text: &String| -> Result<TrustedKey, Failure> {
        Ok(TrustedKey::new(keys::public_only(context, &KeyReference::parse(text))?, [Role::Build]))
    };
    Ok(Trust::new(keys.iter().map(key).collect::<Result<Vec<_>, _>>()?)?)
}
