//! `schleuse sign`.

use std::path::{Path, PathBuf};

use schleuse_image::BuildManifest;
use schleuse_image::manifest::LIMIT;
use schleuse_model::json::JsonError;
use schleuse_model::{Exit, Explain, PinnedRef, Reference};
use schleuse_sign::{SignOptions, Signer as _, Store, sign_image};
use serde::Serialize;

use crate::context::Context;
use crate::failure::Failure;
use crate::output::{Page, Report};
use crate::reference::pinned;
use crate::settings::RegistryArgs;
use crate::{build, files, keys, provenance};

/// Sign an image, and attest how it was built
///
/// The key comes from --key or COSIGN_PRIVATE_KEY, its password from COSIGN_PASSWORD or a prompt. Signing twice changes nothing.
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Examples:
  schleuse sign --key schleuse.key ghcr.io/acme/billing@sha256:…
  schleuse sign --build-manifest build.json ghcr.io/acme/billing@sha256:…")]
pub(crate) struct Args {
    /// The image, best by digest; a tag is resolved once
    #[arg(value_name = "IMAGE")]
    image: Reference,
    /// The private key: a file, or env://NAME [default: env://COSIGN_PRIVATE_KEY if that is set]
    #[arg(long, value_name = "KEY")]
    key: Option<String>,
    /// Sign only what this build made (its --output), and attest its provenance too
    #[arg(long, value_name = "FILE")]
    build_manifest: Option<PathBuf>,
    #[command(flatten)]
    registry: RegistryArgs,
}

/// What is to be signed is not what was built.
#[derive(Debug, thiserror::Error)]
enum NotThisBuild {
    #[error("{} is not a build manifest", path.display())]
    Malformed { path: PathBuf, source: JsonError },
    #[error("{image} is not what the build made: that is {built}")]
    Other { image: PinnedRef, built: PinnedRef },
    #[error("{image} was built from a checkout with changes: no commit has what is in it")]
    Dirty { image: PinnedRef },
}

impl Explain for NotThisBuild {
    fn exit(&self) -> Exit {
        match self {
            Self::Other { .. } => Exit::Untrusted,
            Self::Malformed { .. } | Self::Dirty { .. } => Exit::Usage,
        }
    }

    fn hints(&self) -> Vec<String> {
        match self {
            Self::Malformed { .. } => vec!["write one with `schleuse build --output build.json`".to_owned()],
            Self::Other { built, .. } => vec![
                "a tag can be moved between build and signature: sign what the build printed".to_owned(),
                format!("`schleuse sign {built}`"),
            ],
            Self::Dirty { .. } => vec!["commit the changes and build again".to_owned()],
        }
    }
}

#[derive(Serialize)]
struct Answer {
    image: PinnedRef,
    signer: String,
    /// `new`, `already` or `not-wanted`.
    bundle: &'static str,
    legacy: &'static str,
    provenance: &'static str,
}

impl Report for Answer {
    fn human(&self, page: &mut Page) {
        page.line(&self.image);
    }
}

pub(crate) async fn run(args: &Args, context: &Context) -> Result<Exit, Failure> {
    let project = context.project(&args.registry.flags())?;
    let manifest = args.build_manifest.as_deref().map(read_manifest).transpose()?;
    let signer = keys::signer(context, args.key.as_deref()).await?;
    let client = project.client(context, args.image.repository())?;
    let progress = context.progress("signing");
    let image = pinned(&client, &args.image).await?;
    if let Some(build) = &manifest {
        must_be(build, &image)?;
    }
    let store = Store { pull: &client, push: &client, referrers: &client };
    let signed = sign_image(store, &image, &signer, &SignOptions::default(), context.now()).await?;
    let provenance = match &manifest {
        None => "not-wanted",
        Some(build) => {
            let run = provenance::run_info(&context.environment);
            let new = provenance::attest(store, &image, build, run, &signer, context.now()).await?;
            if new { "new" } else { "already" }
        }
    };
    drop(progress);
    let signer = signer.public_key().fingerprint();
    if manifest.is_none() && matches!(args.image, Reference::Tagged(_)) {
        context.printer.note(&format!("{} pointed at {} just now: that is signed", args.image, image.digest()));
    }
    let answer = Answer {
        image,
        signer: signer.to_string(),
        bundle: signed.bundle.word(),
        legacy: signed.legacy.word(),
        provenance,
    };
    let (key, new) = (signer.short(), [answer.bundle, answer.legacy, answer.provenance].contains(&"new"));
    context.printer.note(&if new { format!("signed by {key}") } else { format!("already signed by {key}") });
    context.printer.report(&answer)?;
    Ok(Exit::Done)
}

fn read_manifest(path: &Path) -> Result<BuildManifest, Failure> {
    let bytes = files::read(path, LIMIT)?;
    Ok(BuildManifest::parse(&bytes).map_err(|source| NotThisBuild::Malformed { path: path.to_owned(), source })?)
}

/// Only the digest that the build returned is signed (DESIGN §13), and only if a commit stands for its content.
fn must_be(build: &BuildManifest, image: &PinnedRef) -> Result<(), NotThisBuild> {
    let built = build.image.pin(build.digest.clone());
    if built != *image {
        return Err(NotThisBuild::Other { image: image.clone(), built });
    }
    if build::is_dirty(build.version.as_deref()) {
        return Err(NotThisBuild::Dirty { image: image.clone() });
    }
    Ok(())
}
