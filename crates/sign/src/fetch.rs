//! Reading signatures and attestations from a registry.
//!
//! # Order, and what it costs
//! [`find_signature`] stops at the first signature it can believe:
//! 1. the referrers' list;
//! 2. bundles, one at a time, manifest then blob (two requests each): those that call themselves a signature first, then those
//!    that do not say, then the rest. The annotation decides the order and nothing else;
//! 3. only if no bundle was believed: the legacy tag's manifest, then its layers one at a time.
//!
//! An image signed by us costs the list plus two requests, however many attestations it has.
//!
//! # Errors
//! A registry that does not answer, or answers nonsense, is an error. What it lists and then cleanly does not have, what is
//! malformed and what is too large is a rejected candidate: whoever can push could otherwise block every promotion with one bad
//! referrer, and none of it can turn a "no" into a "yes". A legacy tag that holds no image manifest is an error.

mod limits;

use schleuse_model::predicate::COSIGN_SIGN_V1;
use schleuse_model::{PinnedRef, TagRef, Timestamp};
use schleuse_oci::{Descriptor, Error as OciError, ImageManifest, Manifest, Pull, Referrers, evidence, media_type};

pub use limits::Limits;

use limits::Collected;

use crate::artifact::{CREATED, PREDICATE_TYPE};
use crate::candidate::{Candidate, Origin};
use crate::error::Error;
use crate::legacy;
use crate::trust::{Role, Trust};
use crate::verify::{Check, Demand, Reason, Verified};

/// What may be read: no write access in sight.
#[derive(Clone, Copy, Debug)]
pub struct Source<'a> {
    /// Manifests, tags and blobs.
    pub pull: &'a dyn Pull,
    /// What refers to an image.
    pub referrers: &'a dyn Referrers,
}

/// Finds a signature of `image` by a key trusted for `role`. See the module for the order.
///
/// # Errors
/// [`Error::Untrusted`] if there is none; [`Error::Registry`] if that could not be found out.
pub async fn find_signature(
    source: Source<'_>,
    image: &PinnedRef,
    trust: &Trust,
    role: Role,
    limits: Limits,
    now: Timestamp,
) -> Result<Verified, Error> {
    let demand = Demand::one(role);
    let mut check = Check::new(image, trust, &demand, now)?;
    search(&mut check, source, image, limits).await?;
    Ok(check.one()?)
}

/// Finds as many signatures of `image` as are demanded, and reads no more than that takes.
///
/// # Errors
/// [`Error::Untrusted`] if they are not there; [`Error::Registry`] if that could not be found out.
pub async fn find_signatures(
    source: Source<'_>,
    image: &PinnedRef,
    trust: &Trust,
    demand: &Demand,
    limits: Limits,
    now: Timestamp,
) -> Result<Vec<Verified>, Error> {
    let mut check = Check::new(image, trust, demand, now)?;
    search(&mut check, source, image, limits).await?;
    Ok(check.verdict()?)
}

async fn search(check: &mut Check<'_>, source: Source<'_>, image: &PinnedRef, limits: Limits) -> Result<(), Error> {
    if among_bundles(check, source, image, limits).await? {
        return Ok(());
    }
    for layer in legacy_layers(source, image, legacy::SIGNATURES, limits).await? {
        if check.accept(&legacy_candidate(source, image, &layer, limits).await?) {
            break;
        }
    }
    Ok(())
}

/// As [`find_signature`], bundles only.
pub(crate) async fn find_bundle(
    source: Source<'_>,
    image: &PinnedRef,
    trust: &Trust,
    demand: &Demand,
    limits: Limits,
    now: Timestamp,
) -> Result<Verified, Error> {
    let mut check = Check::new(image, trust, demand, now)?;
    among_bundles(&mut check, source, image, limits).await?;
    Ok(check.one()?)
}

async fn among_bundles(
    check: &mut Check<'_>,
    source: Source<'_>,
    image: &PinnedRef,
    limits: Limits,
) -> Result<bool, Error> {
    for (read, referrer) in bundles_first(source, image, limits).await?.iter().enumerate() {
        limits.allow(read, image)?;
        if let Some(candidate) = bundle(source, image, referrer, limits).await?
            && check.accept(&candidate)
        {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Every bundle that refers to `image` whose remark is `predicate_type` or that has none, and every legacy attestation under its
/// tag. Since the remark is unsigned, whoever can push can hide an attestation from this (as by deleting it), never forge one.
///
/// # Errors
/// [`Error::Registry`].
pub async fn attestation_candidates(
    source: Source<'_>,
    image: &PinnedRef,
    predicate_type: &str,
    limits: Limits,
) -> Result<Vec<Candidate>, Error> {
    attestation_candidates_of(source, image, |remark| remark == predicate_type, limits).await
}

/// As [`attestation_candidates`], for every type that `wanted` accepts.
///
/// # Errors
/// [`Error::Registry`].
pub async fn attestation_candidates_of(
    source: Source<'_>,
    image: &PinnedRef,
    wanted: impl Fn(&str) -> bool + Send,
    limits: Limits,
) -> Result<Vec<Candidate>, Error> {
    let of_remark = move |remark: Option<&str>| remark.is_none_or(&wanted);
    candidates(source, image, of_remark, &[legacy::ATTESTATIONS], limits).await
}

/// Every bundle and every legacy signature of `image`. [`find_signature`] reads less.
///
/// # Errors
/// [`Error::Registry`].
pub async fn signature_candidates(
    source: Source<'_>,
    image: &PinnedRef,
    limits: Limits,
) -> Result<Vec<Candidate>, Error> {
    candidates(source, image, |_| true, &[legacy::SIGNATURES], limits).await
}

/// Everything that is there in any format, for listing it.
///
/// # Errors
/// [`Error::Registry`].
pub async fn all_candidates(source: Source<'_>, image: &PinnedRef, limits: Limits) -> Result<Vec<Candidate>, Error> {
    candidates(source, image, |_| true, &[legacy::SIGNATURES, legacy::ATTESTATIONS], limits).await
}

async fn candidates(
    source: Source<'_>,
    image: &PinnedRef,
    wanted: impl Fn(Option<&str>) -> bool + Send,
    legacy_tags: &[&str],
    limits: Limits,
) -> Result<Vec<Candidate>, Error> {
    let mut collected = Collected::up_to(limits);
    let mut referrers = bundles_first(source, image, limits).await?;
    referrers.retain(|referrer| wanted(referrer.annotations.get(PREDICATE_TYPE).map(String::as_str)));
    for (read, referrer) in referrers.iter().enumerate() {
        limits.allow(read, image)?;
        if let Some(candidate) = bundle(source, image, referrer, limits).await? {
            collected.add(candidate, image, limits)?;
        }
    }
    for suffix in legacy_tags {
        for layer in legacy_layers(source, image, suffix, limits).await? {
            collected.add(legacy_candidate(source, image, &layer, limits).await?, image, limits)?;
        }
    }
    Ok(collected.candidates)
}

/// The referrers, those that call themselves signatures first, silent ones next; otherwise in the registry's order.
async fn bundles_first(source: Source<'_>, image: &PinnedRef, limits: Limits) -> Result<Vec<Descriptor>, Error> {
    let mut referrers = source.referrers.referrers(image, limits.listed).await?;
    referrers.sort_by_key(|referrer| match referrer.annotations.get(PREDICATE_TYPE) {
        Some(remark) if remark == COSIGN_SIGN_V1 => 0,
        None => 1,
        Some(_) => 2,
    });
    Ok(referrers)
}

/// Reads one referrer. `None`: it is something else than a bundle (its layer says so, not the list).
async fn bundle(
    source: Source<'_>,
    image: &PinnedRef,
    referrer: &Descriptor,
    limits: Limits,
) -> Result<Option<Candidate>, Error> {
    let origin = Origin::Referrer(referrer.digest.clone());
    // Kinds of manifests that others use (ORAS' artifact manifest) would be asked for in vain; a bundle is an image manifest.
    if !media_type::MANIFESTS.contains(&referrer.media_type.as_str()) {
        return Ok(None);
    }
    let manifest = match source.pull.manifest(&image.repository().pin(referrer.digest.clone())).await {
        Ok(Some(manifest)) => manifest,
        Ok(None) => return Ok(Some(Candidate::unreadable(origin, Reason::Gone))),
        Err(OciError::TooLarge { limit, .. }) => {
            return Ok(Some(Candidate::unreadable(origin, Reason::TooLarge { size: referrer.size, limit })));
        }
        Err(error) => return Err(error.into()),
    };
    let Some((layer, created)) = bundle_layer(&manifest) else {
        return Ok(None);
    };
    let candidate = match read(source, image, &layer, limits).await? {
        Ok(bytes) => Candidate::bundle(origin, bytes),
        Err(reason) => Candidate::unreadable(origin, reason),
    };
    Ok(Some(candidate.dated(created)))
}

/// The manifest's one layer, if that is a bundle, and when it is said to have been made.
fn bundle_layer(manifest: &Manifest) -> Option<(Descriptor, Option<Timestamp>)> {
    let ImageManifest { layers, annotations, .. } = manifest.as_image().ok()?;
    let [layer] = layers.try_into().ok()?;
    let created = annotations.get(CREATED).and_then(|text| text.parse().ok());
    (layer.media_type == media_type::SIGSTORE_BUNDLE_V03).then_some((layer, created))
}

/// The layers under the legacy tag; none if the registry cleanly has no such tag.
async fn legacy_layers(
    source: Source<'_>,
    image: &PinnedRef,
    suffix: &str,
    limits: Limits,
) -> Result<Vec<Descriptor>, Error> {
    let tag = legacy_tag(image, suffix)?;
    let Some(manifest) = source.pull.tagged(&tag).await? else {
        return Ok(Vec::new());
    };
    let what = tag.to_string();
    let image = match manifest.as_image() {
        Ok(image) => image,
        Err(source) => return Err(OciError::Malformed { what, source }.into()),
    };
    if image.layers.len() > limits.count {
        return Err(
            OciError::TooLarge { what: format!("the number of layers of {what}"), limit: limits.count as u64 }.into()
        );
    }
    Ok(image.layers)
}

pub(crate) fn legacy_tag(image: &PinnedRef, suffix: &str) -> Result<TagRef, Error> {
    let tag = evidence::legacy_tag(image.digest(), suffix).map_err(OciError::from)?;
    Ok(image.repository().tag(tag))
}

async fn legacy_candidate(
    source: Source<'_>,
    image: &PinnedRef,
    layer: &Descriptor,
    limits: Limits,
) -> Result<Candidate, Error> {
    let origin = Origin::Legacy(layer.digest.clone());
    let bytes = match read(source, image, layer, limits).await? {
        Ok(bytes) => bytes,
        Err(reason) => return Ok(Candidate::unreadable(origin, reason)),
    };
    Ok(if layer.media_type == media_type::DSSE_ENVELOPE {
        Candidate::envelope(origin, bytes)
    } else {
        let signature = layer.annotations.get(legacy::SIGNATURE_ANNOTATION).cloned().unwrap_or_default();
        Candidate::simple(origin, bytes, signature)
    })
}

/// The blob of `layer`, or why it is not even read.
async fn read(
    source: Source<'_>,
    image: &PinnedRef,
    layer: &Descriptor,
    limits: Limits,
) -> Result<Result<bytes::Bytes, Reason>, Error> {
    let size = match usize::try_from(layer.size) {
        Ok(size) if size <= limits.bytes => size,
        _ => return Ok(Err(Reason::TooLarge { size: layer.size, limit: limits.bytes as u64 })),
    };
    if let Some(embedded) = layer.embedded() {
        return Ok(Ok(embedded.into()));
    }
    match source.pull.blob(image.repository(), &layer.digest, size).await {
        Ok(found) => Ok(found.ok_or(Reason::Gone)),
        // The size stands in a manifest that whoever can push has written, so the lie is theirs, not a failure of the registry's.
        Err(OciError::TooLarge { .. }) => Ok(Err(Reason::LargerThanDeclared { size: layer.size })),
        Err(error) => Err(error.into()),
    }
}
