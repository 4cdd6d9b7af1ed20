//! `schleuse image copy`.

use schleuse_image::copy::{CopiedEvidence, Holder, Route, copy_evidence};
use schleuse_image::select::select;
use schleuse_image::{CopyError, Place, copy};
use schleuse_model::{Digest, Exit, Tag};
use schleuse_oci::{Manifest, Pull, media_type};
use serde::Serialize;

use super::end::{self, Destination, Source};
use super::moving::{Count, Moving};
use super::size::{Bytes, counted, platform};
use crate::context::Context;
use crate::failure::Failure;
use crate::output::{Page, Report};
use crate::settings::RegistryArgs;
use crate::subjects;
use crate::usage::Usage;

/// Copy an image, or an index with all its images, byte for byte
///
/// What is there already is not sent again, so a copy that was cut short goes on where it stopped; between repositories of one
/// registry nothing is sent at all where it can mount. Tags move last. Signatures and other evidence stay behind unless
/// --referrers; tags that are not named always do.
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Examples:
  schleuse image copy ghcr.io/acme/billing:1.4.0 registry.example/acme/billing:1.4.0 --referrers
  schleuse image copy docker-archive:billing.tar ghcr.io/acme/billing:trial
  schleuse image copy ghcr.io/acme/billing@sha256:… oci-archive:billing.tar:1.4.0 --platform linux/arm64

stdout: the copy by digest, nothing else.")]
pub(super) struct Args {
    /// Where it is
    #[arg(value_name = "SOURCE")]
    source: Place,
    /// Where it goes
    #[arg(value_name = "DESTINATION")]
    destination: Place,
    /// Another tag for it there; may be repeated
    #[arg(long, value_name = "TAG")]
    tag: Vec<Tag>,
    /// Of an index, copy only the image for this platform: its digest is another one
    #[arg(long, value_name = "PLATFORM")]
    platform: Option<String>,
    /// Copy what is signed and attested about it too: referrers, and the tags .sig, .att and .sbom
    #[arg(long, conflicts_with = "platform")]
    referrers: bool,
    #[command(flatten)]
    registry: RegistryArgs,
}

#[derive(Serialize)]
struct Answer {
    source: String,
    destination: String,
    digest: Digest,
    tags: Vec<Tag>,
    moved: Count,
    #[serde(skip_serializing_if = "Option::is_none")]
    evidence: Option<Evidence>,
}

#[derive(Serialize)]
struct Evidence {
    referrers: usize,
    legacy_tags: usize,
    /// Tags that the destination has with other content.
    left_alone: Vec<Tag>,
}

impl Report for Answer {
    fn human(&self, page: &mut Page) {
        page.line(&self.destination);
    }
}

pub(super) async fn run(args: &Args, context: &Context) -> Result<Exit, Failure> {
    let wanted = args.platform.as_deref().map(platform).transpose()?;
    let project = context.project(&args.registry.flags())?;
    let work = context.work_folder()?;
    let client = end::client(&project, context, &args.destination, &[&args.source])?;
    let progress = context.progress("looking for the image");
    let mut source = end::source(&args.source, client.as_ref(), work.path()).await?;
    if let Some(wanted) = &wanted {
        source.image = source.image.repository().pin(child(&source, wanted).await?);
    }
    let tag = source.tag.as_ref();
    let destination = end::destination(&args.destination, client.as_ref(), &args.tag, tag, work.path())?;
    destination.must_take(source.image.digest())?;
    let moving = Moving::new(&progress, &context.printer);
    let route = Route {
        from: &*source.pull,
        from_repository: source.image.repository(),
        to: &*destination.push,
        to_repository: &destination.repository,
        work: &destination.work,
        progress: &moving,
    };
    let tags = destination.tags.clone();
    // Evidence before tags: who follows a tag finds what speaks for the image.
    let first = if args.referrers { &[] } else { &tags[..] };
    let copied = copy::copy(route, source.image.digest(), first).await?;
    let evidence = match args.referrers {
        true => Some(evidence(route, &copied, &source, &destination).await?),
        false => None,
    };
    if args.referrers {
        for tag in &tags {
            route.to.tag(&destination.repository.tag(tag.clone()), &copied).await?;
        }
    }
    let moved = moving.count();
    drop(progress);
    let answer = Answer {
        source: source.shown(),
        digest: copied.digest().clone(),
        destination: destination.finish(&copied).await?,
        tags,
        moved,
        evidence: evidence.map(|found| Evidence {
            referrers: found.referrers,
            legacy_tags: found.legacy,
            left_alone: found.left_alone,
        }),
    };
    say(&answer, context);
    context.printer.report(&answer)?;
    Ok(Exit::Done)
}

/// The child of an index that is meant for `wanted`; a single image is meant for it or not.
async fn child(source: &Source, wanted: &schleuse_oci::Platform) -> Result<Digest, Failure> {
    let top = subjects::manifest(&*source.pull, &source.image).await?;
    if !media_type::is_index(top.media_type()) {
        let what = format!("{} is a single image", source.shown());
        return Err(Usage::new(what, "leave --platform out").into());
    }
    let index = top.as_index().map_err(|error| CopyError::Malformed { digest: top.digest().clone(), source: error })?;
    Ok(select(&index, wanted).map_err(CopyError::from)?.digest.clone())
}

async fn evidence(
    route: Route<'_>,
    copied: &Manifest,
    source: &Source,
    destination: &Destination,
) -> Result<CopiedEvidence, Failure> {
    let (Some(from), Some(to)) = (&source.registry, &destination.registry) else {
        let what = "--referrers works between registries: folders and archives list no evidence";
        return Err(Usage::new(what, "`schleuse evidence --download FOLDER` writes it into files").into());
    };
    let pull: &dyn Pull = to;
    Ok(copy_evidence(route, copied, from, Holder { pull, referrers: to }).await?)
}

fn say(answer: &Answer, context: &Context) {
    let Count { sent, mounted, present, bytes_sent, manifests, .. } = answer.moved;
    let tags: Vec<String> = answer.tags.iter().map(|tag| format!(", tagged {tag}")).collect();
    let sent = format!("{} sent ({})", counted(sent, "blob"), Bytes(bytes_sent));
    let rest = format!("{mounted} mounted, {present} there already; {}", counted(manifests, "manifest"));
    context.printer.note(&format!("{sent}, {rest}{}", tags.concat()));
    if let Some(evidence) = &answer.evidence {
        let (referrers, legacy) = (evidence.referrers, evidence.legacy_tags);
        let (referrers, legacy) = (counted(referrers, "referrer"), counted(legacy, "legacy tag"));
        context.printer.note(&format!("evidence: {referrers}, {legacy}"));
        for tag in &evidence.left_alone {
            context
                .printer
                .warn(&format!("the destination has another `{tag}`: left as it is; `schleuse sign` adds to it"));
        }
    }
}
