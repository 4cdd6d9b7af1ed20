//! Which images the repository's tags name.

use std::collections::BTreeMap;
use std::time::Duration;

use futures_util::{StreamExt as _, TryStreamExt as _};
use schleuse_model::{Digest, Repository, Tag, Timestamp, json};
use schleuse_oci::evidence::KEEP_PREFIX;
use schleuse_oci::manifest::CONFIG_LIMIT;
use schleuse_oci::{Descriptor, Error as OciError, ImageConfig, Manifest, Pull, media_type};

use super::Found;
use crate::error::Error;

/// 1980-01-01T00:00:00Z.
const ZIP_EPOCH: i64 = 315_532_800;
/// Time zones and clocks differ.
const DAY: Duration = Duration::from_secs(24 * 60 * 60);
/// The most tags that are looked at.
const TAGS: usize = 100_000;
/// How many are read at once.
const AT_ONCE: usize = 4;
/// Where builders say when an image was made (image-spec 1.1, "Pre-Defined Annotation Keys").
const CREATED: &str = "org.opencontainers.image.created";

/// Reads the images that the tags of `repository` name. Evidence, pins and the journals' hints are none, and other artifacts are
/// not ours to judge: they are left out.
///
/// # Errors
/// No answer: what is not known is not removed.
pub async fn survey(pull: &dyn Pull, repository: &Repository, now: Timestamp) -> Result<Vec<Found>, Error> {
    let tags = pull.tags(repository, "", TAGS).await?;
    let reads: Vec<_> = tags.into_iter().filter(names_an_image).map(|tag| read(pull, repository, tag)).collect();
    let read: Vec<_> = futures_util::stream::iter(reads).buffered(AT_ONCE).try_collect().await?;
    let mut found: BTreeMap<Digest, Found> = BTreeMap::new();
    for (tag, mut one) in read.into_iter().flatten() {
        one.created = one.created.filter(|created| tells_apart(*created, now));
        found.entry(one.digest.clone()).or_insert(one).tags.push(tag);
    }
    Ok(found.into_values().collect())
}

/// Not the referrers tag schema's, cosign's, our own evidence's, a pin, or a hint. What a person named `keep-…` is one.
fn names_an_image(tag: &Tag) -> bool {
    let text = tag.as_str();
    let text = text.strip_prefix(KEEP_PREFIX).unwrap_or(text);
    !["sha256-", "sha512-", "schleuse-"].iter().any(|prefix| text.starts_with(prefix))
}

/// Whether `created` says which of two images is newer. Builders that care for reproducibility write one and the same time into
/// all of them: the epoch, or the first that a ZIP file can say (1980). A time to come is a mistake or a lie, and would take the
/// place of one of the newest.
fn tells_apart(created: Timestamp, now: Timestamp) -> bool {
    created > Timestamp::from_seconds(ZIP_EPOCH).plus(DAY * 2) && created <= now.plus(DAY)
}

/// `None`: gone since it was listed, or no image.
async fn read(pull: &dyn Pull, repository: &Repository, tag: Tag) -> Result<Option<(Tag, Found)>, Error> {
    let Some(manifest) = pull.tagged(&repository.tag(tag.clone())).await? else { return Ok(None) };
    let digest = manifest.digest().clone();
    let Some(mut about) = about(pull, repository, &manifest).await? else { return Ok(None) };
    if about.created.is_none() {
        about.created = newest(pull, repository, &about.children).await?;
    }
    let children = about.children.into_iter().map(|child| child.digest).collect();
    Ok(Some((tag, Found { digest, tags: Vec::new(), created: about.created, children })))
}

struct About {
    created: Option<Timestamp>,
    children: Vec<Descriptor>,
}

/// `None`: neither an image nor an index.
async fn about(pull: &dyn Pull, repository: &Repository, manifest: &Manifest) -> Result<Option<About>, Error> {
    // Malformed: it stays, as what cannot be dated does.
    let undated = Some(About { created: None, children: Vec::new() });
    let said = |annotations: &BTreeMap<String, String>| annotations.get(CREATED).and_then(|text| text.parse().ok());
    if media_type::is_index(manifest.media_type()) {
        let Ok(index) = manifest.as_index() else { return Ok(undated) };
        return Ok(Some(About { created: said(&index.annotations), children: index.manifests }));
    }
    let Ok(image) = manifest.as_image() else { return Ok(undated) };
    if !media_type::is_image_config(&image.config.media_type) || image.subject.is_some() {
        return Ok(None);
    }
    let created = match said(&image.annotations) {
        Some(created) => Some(created),
        None => created(pull, repository, &image.config).await?,
    };
    Ok(Some(About { created, children: Vec::new() }))
}

/// What the configuration says. One that is missing, malformed or too large says nothing.
async fn created(pull: &dyn Pull, repository: &Repository, config: &Descriptor) -> Result<Option<Timestamp>, Error> {
    match pull.blob(repository, &config.digest, CONFIG_LIMIT).await {
        Ok(bytes) => {
            Ok(bytes.and_then(|bytes| json::from_untrusted::<ImageConfig>(&bytes, CONFIG_LIMIT).ok()?.created))
        }
        Err(OciError::TooLarge { .. }) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// The newest of an index's images.
async fn newest(pull: &dyn Pull, repository: &Repository, children: &[Descriptor]) -> Result<Option<Timestamp>, Error> {
    let mut newest = None;
    for child in children.iter().filter(|child| media_type::is_image(&child.media_type)) {
        let Some(manifest) = pull.manifest(&repository.pin(child.digest.clone())).await? else { continue };
        if let Some(about) = about(pull, repository, &manifest).await? {
            newest = newest.max(about.created);
        }
    }
    Ok(newest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_that_say_nothing() {
        let now = Timestamp::from_seconds(1_800_000_000);
        let told = |seconds: i64| tells_apart(Timestamp::from_seconds(seconds), now);
        // ko and Bazel; Buildpacks; a forged one.
        for seconds in [0, -62_135_596_800, ZIP_EPOCH, ZIP_EPOCH + 1, 1_800_000_000 + 3 * 86_400] {
            assert!(!told(seconds), "{seconds}");
        }
        for seconds in [1_700_000_000, 1_800_000_000, 1_800_000_000 + 3600] {
            assert!(told(seconds), "{seconds}");
        }
    }

    #[test]
    fn a_person_s_keep_is_a_tag_like_others() {
        let stem = format!("sha256-{}", "a".repeat(64));
        let names = |text: &str| names_an_image(&text.parse().unwrap());
        assert!(names("keep-for-the-auditor") && names("1.0.0"));
        assert!(!names(&stem) && !names(&format!("keep-{stem}")) && !names(&format!("{stem}.sig")));
    }
}
