//! What an image consists of: itself, and where it is an index, what it lists. Read through the index, whose bytes its digest proves.

use schleuse_model::{Exit, Explain, PinnedRef};
use schleuse_oci::{Manifest, Pull, media_type};

use crate::failure::Failure;

/// The most images of one index: more platforms than there are, and what builders list beside each.
const LIMIT: usize = 256;
/// How deep indexes may lie in each other. Nobody nests them; the limit ends a loop of time, not of digests.
const DEPTH: usize = 4;

/// One image of an index, or the image itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Subject {
    /// The image.
    pub(crate) image: PinnedRef,
    /// Its platform, as the index says: `linux/amd64`.
    pub(crate) platform: Option<String>,
}

/// What an image consists of does not fit what is asked for.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SubjectError {
    /// More than anybody lists, or nested deeper.
    #[error("{image} lists more than {LIMIT} images, or indexes in indexes deeper than {DEPTH}")]
    TooMuch {
        /// The image.
        image: PinnedRef,
    },
    /// Which of them?
    #[error("{image} is an index of {}; {what} is about one of them", platforms.join(", "))]
    WhichPlatform {
        /// The index.
        image: PinnedRef,
        /// What is to be said.
        what: String,
        /// The platforms there are.
        platforms: Vec<String>,
    },
    /// Not one of them.
    #[error("{image} has no image for {platform}")]
    NoSuchPlatform {
        /// The index, or the image.
        image: PinnedRef,
        /// What was asked for.
        platform: String,
        /// The platforms there are.
        platforms: Vec<String>,
    },
}

impl Explain for SubjectError {
    fn exit(&self) -> Exit {
        match self {
            Self::TooMuch { .. } => Exit::Error,
            Self::WhichPlatform { .. } | Self::NoSuchPlatform { .. } => Exit::Usage,
        }
    }

    fn hints(&self) -> Vec<String> {
        match self {
            Self::TooMuch { .. } => Vec::new(),
            Self::WhichPlatform { platforms, .. } => {
                platforms.iter().map(|platform| format!("`--platform {platform}`")).take(4).collect()
            }
            Self::NoSuchPlatform { platforms, .. } if platforms.is_empty() => {
                vec!["it is a single image: leave --platform out".to_owned()]
            }
            Self::NoSuchPlatform { platforms, .. } => vec![format!("it has: {}", platforms.join(", "))],
        }
    }
}

/// The manifest of `image`, or that the registry has none.
pub(crate) async fn manifest(pull: &dyn Pull, image: &PinnedRef) -> Result<Manifest, Failure> {
    let missing = || schleuse_oci::Error::Missing { what: image.to_string() };
    Ok(pull.manifest(image).await?.ok_or_else(missing)?)
}

/// `image`, and everything that it lists.
pub(crate) async fn all(pull: &dyn Pull, image: &PinnedRef) -> Result<Vec<Subject>, Failure> {
    let too_much = || SubjectError::TooMuch { image: image.clone() };
    let mut found = vec![Subject { image: image.clone(), platform: None }];
    let mut indexes = vec![(image.clone(), 0)];
    while let Some((parent, depth)) = indexes.pop() {
        let manifest = manifest(pull, &parent).await?;
        if !media_type::is_index(manifest.media_type()) {
            continue;
        }
        if depth == DEPTH {
            return Err(too_much().into());
        }
        let index = manifest.as_index().map_err(|source| malformed(&parent, source))?;
        for child in index.manifests {
            let (pinned, platform) = (parent.repository().pin(child.digest), child.platform);
            if found.iter().any(|known| known.image == pinned) {
                continue;
            }
            if found.len() == LIMIT {
                return Err(too_much().into());
            }
            if media_type::is_index(&child.media_type) {
                indexes.push((pinned.clone(), depth + 1));
            }
            found.push(Subject { image: pinned, platform: platform.map(|platform| platform.to_string()) });
        }
    }
    Ok(found)
}

/// The images of the index `image` that can be run. `None`: it is a single image.
pub(crate) async fn runnable(pull: &dyn Pull, image: &PinnedRef) -> Result<Option<Vec<Subject>>, Failure> {
    let manifest = manifest(pull, image).await?;
    if !media_type::is_index(manifest.media_type()) {
        return Ok(None);
    }
    let index = manifest.as_index().map_err(|source| malformed(image, source))?;
    if index.manifests.len() > LIMIT {
        return Err(SubjectError::TooMuch { image: image.clone() }.into());
    }
    let subject = |(child, platform): (&schleuse_oci::Descriptor, &schleuse_oci::Platform)| Subject {
        image: image.repository().pin(child.digest.clone()),
        platform: Some(platform.to_string()),
    };
    Ok(Some(index.runnable().map(subject).collect()))
}

/// The one image that a statement about a single platform is about: `image` itself, or the one in its index for `platform`. `what`
/// names the statement.
pub(crate) async fn of_platform(
    pull: &dyn Pull,
    image: &PinnedRef,
    platform: Option<&str>,
    what: &str,
) -> Result<Subject, Failure> {
    let children = runnable(pull, image).await?;
    let platforms = |children: &[Subject]| children.iter().filter_map(|child| child.platform.clone()).collect();
    match (children, platform) {
        (None, None) => Ok(Subject { image: image.clone(), platform: None }),
        (Some(mut children), None) if children.len() == 1 => Ok(children.remove(0)),
        (Some(children), None) => {
            let platforms = platforms(&children);
            Err(SubjectError::WhichPlatform { image: image.clone(), what: what.to_owned(), platforms }.into())
        }
        (children, Some(platform)) => {
            let children = children.unwrap_or_default();
            let found = children.iter().find(|child| child.platform.as_deref() == Some(platform));
            Ok(found.cloned().ok_or_else(|| SubjectError::NoSuchPlatform {
                image: image.clone(),
                platform: platform.to_owned(),
                platforms: platforms(&children),
            })?)
        }
    }
}

fn malformed(image: &PinnedRef, source: schleuse_model::json::JsonError) -> schleuse_oci::Error {
    schleuse_oci::Error::Malformed { what: image.to_string(), source }
}
