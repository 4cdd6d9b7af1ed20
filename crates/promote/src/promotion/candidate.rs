//! Which release is meant.

use schleuse_journal::{Placed, State, VerifiedEntry};
use schleuse_model::json;
use schleuse_model::{Digest, PinnedRef, Reference, Release, Repository, Timestamp};
use schleuse_oci::manifest::CONFIG_LIMIT;
use schleuse_oci::{ImageConfig, Manifest};

use super::{ImageChoice, PromotionRequest};
use crate::error::Error;
use crate::world::{Environment, World};

/// The label that names the source commit.
const REVISION: &str = "org.opencontainers.image.revision";
/// The label that names the version.
const VERSION: &str = "org.opencontainers.image.version";

/// A release, and how it stands in the rung it comes from.
#[derive(Clone, Debug)]
pub(super) struct Candidate {
    pub(super) release: Release,
    /// In the rung before; none: it is not known there, or this is the first rung.
    pub(super) standing: Option<InSource>,
}

/// How a release stands in the rung it comes from.
#[derive(Clone, Debug)]
pub(super) struct InSource {
    pub(super) healthy: bool,
    pub(super) since: Timestamp,
}

pub(super) async fn find(
    world: &World,
    to: &Environment,
    request: &PromotionRequest,
    head: Option<&VerifiedEntry>,
) -> Result<Candidate, Error> {
    let source = match &request.from {
        Some(from) => from.journal.head().await?.map(|head| head.entry().state.clone()),
        None => None,
    };
    let states: Vec<&State> = source.iter().chain(head.map(|head| &head.entry().state)).collect();
    let repository = &to.journal.names().image;
    let release = match &request.image {
        None => from_source(to, request, source.as_ref())?,
        Some(ImageChoice::Digits(digits)) => match whole(digits) {
            Some(digest) => by_digest(world, &repository.pin(digest), &states).await?,
            None => by_digits(digits, &states, repository)?,
        },
        Some(ImageChoice::Reference(reference)) => {
            let image = resolve(world, reference, repository).await?;
            by_digest(world, &image, &states).await?
        }
    };
    let standing = source.as_ref().and_then(|state| standing(state, &release));
    Ok(Candidate { release, standing })
}

fn from_source(to: &Environment, request: &PromotionRequest, source: Option<&State>) -> Result<Release, Error> {
    let from = request.from.as_ref().map_or_else(|| to.name().clone(), |from| from.name().clone());
    let current = source.and_then(|state| state.current.as_ref());
    let nothing = || Error::NothingThere { from, to: to.name().clone() };
    current.map(|placed| placed.release.clone()).ok_or_else(nothing)
}

async fn resolve(world: &World, reference: &Reference, expected: &Repository) -> Result<PinnedRef, Error> {
    let absent = || Error::NoSuchImage { image: reference.to_string() };
    if reference.repository() != expected {
        return Err(Error::OtherRepository { image: reference.to_string(), expected: expected.clone() });
    }
    match reference {
        Reference::Pinned(pinned) => Ok(pinned.clone()),
        Reference::Tagged(tagged) => world.pull.resolve(tagged).await?.ok_or_else(absent),
    }
}

/// The digest, if the digits are all of one: then it need not be known to the ladder.
fn whole(digits: &str) -> Option<Digest> {
    format!("sha256:{digits}").parse().ok()
}

/// The release of that digest: as the ladder knows it, else as the image describes itself.
async fn by_digest(world: &World, image: &PinnedRef, states: &[&State]) -> Result<Release, Error> {
    match known(states).find(|release| release.digest == *image.digest()) {
        Some(release) => Ok(release.clone()),
        None => described(world, image).await,
    }
}

fn by_digits(digits: &str, states: &[&State], repository: &Repository) -> Result<Release, Error> {
    let mut matching = known(states).filter(|release| release.digest.hex().starts_with(digits));
    let image = format!("{repository}@sha256:{digits}…");
    let Some(first) = matching.next() else { return Err(Error::NoSuchImage { image }) };
    if matching.any(|other| other.digest != first.digest) {
        return Err(Error::AmbiguousDigits { digits: digits.to_owned() });
    }
    Ok(first.clone())
}

/// Every release that the states know.
fn known<'a>(states: &'a [&'a State]) -> impl Iterator<Item = &'a Release> {
    let placed = states.iter().flat_map(|state| state.current.iter().chain(&state.good));
    let failed = states.iter().flat_map(|state| state.failed.iter().map(|mark| &mark.release));
    placed.map(|placed: &Placed| &placed.release).chain(failed)
}

fn standing(state: &State, release: &Release) -> Option<InSource> {
    let here =
        state.current.iter().chain(state.good.iter().rev()).find(|placed| placed.release.digest == release.digest)?;
    Some(InSource { healthy: here.is_healthy(), since: here.since })
}

/// Reads commit and version from the image's labels. An index, or an image without labels, has none.
async fn described(world: &World, image: &PinnedRef) -> Result<Release, Error> {
    let manifest = world.pull.manifest(image).await?;
    let manifest = manifest.ok_or_else(|| Error::NoSuchImage { image: image.to_string() })?;
    let labels = match labels(world, image, &manifest).await? {
        Some(config) => config.config.labels,
        None => Default::default(),
    };
    Ok(Release {
        digest: image.digest().clone(),
        commit: labels.get(REVISION).and_then(|label| label.parse().ok()),
        version: labels.get(VERSION).and_then(|label| Release::clean_version(label)),
    })
}

async fn labels(world: &World, image: &PinnedRef, manifest: &Manifest) -> Result<Option<ImageConfig>, Error> {
    if !schleuse_oci::media_type::is_image(manifest.media_type()) {
        return Ok(None);
    }
    let malformed = |source| schleuse_oci::Error::Malformed { what: image.to_string(), source };
    let config = manifest.as_image().map_err(malformed)?.config;
    let bytes = world.pull.blob(image.repository(), &config.digest, CONFIG_LIMIT).await?;
    let bytes = bytes.ok_or_else(|| schleuse_oci::Error::Missing { what: format!("the configuration of {image}") })?;
    // An artifact that is no container image has a configuration of its own kind: it has no labels.
    Ok(json::from_untrusted(&bytes, CONFIG_LIMIT).ok())
}
