//! What a place that holds several images lists, and which of them is meant.

use schleuse_model::{Digest, Exit, Explain, Reference};
use schleuse_oci::{Descriptor, Index};

use crate::layout::REF_NAME;
use crate::path::printable;
use crate::place::Pick;

/// Where containerd, and with it Docker and buildx, writes an image's whole name into a layout.
pub(crate) const CONTAINERD_NAME: &str = "io.containerd.image.name";

/// An image that a layout or an archive lists.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// Its descriptor.
    pub image: Descriptor,
    /// What it is called there: tags or whole references, untrusted.
    pub names: Vec<String>,
}

/// Why no image was picked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PickError {
    /// It holds none.
    #[error("{place} holds no image")]
    Empty {
        /// What was looked through.
        place: String,
    },
    /// Several, and nothing says which.
    #[error("{place} holds {} images: which one?", .names.len())]
    Several {
        /// What was looked through.
        place: String,
        /// What they are called, or their digests.
        names: Vec<String>,
    },
    /// None of that name.
    #[error("{place} holds no image called `{wanted}`")]
    NoneNamed {
        /// What was looked through.
        place: String,
        /// What was asked for.
        wanted: String,
        /// What there is.
        names: Vec<String>,
    },
}

impl Explain for PickError {
    fn exit(&self) -> Exit {
        Exit::Usage
    }

    fn hints(&self) -> Vec<String> {
        let (place, names) = match self {
            Self::Empty { .. } => return Vec::new(),
            Self::Several { place, names } | Self::NoneNamed { place, names, .. } => (place, names),
        };
        let behind = |name: &String| match name.contains(':') && name.starts_with("sha") {
            true => format!("`{place}@{name}`"),
            false => format!("`{place}:{name}`"),
        };
        names.iter().take(5).map(behind).collect()
    }
}

/// Reads the entries of a layout's `index.json`.
pub(crate) fn of_index(index: Index) -> Vec<Listed> {
    let mut listed: Vec<Listed> = Vec::new();
    for image in index.manifests {
        let names = [REF_NAME, CONTAINERD_NAME].iter().filter_map(|key| image.annotations.get(*key)).cloned();
        match listed.iter_mut().find(|known| known.image.digest == image.digest) {
            // One image under several names is one image.
            Some(known) => known.names.extend(names),
            None => listed.push(Listed { names: names.collect(), image }),
        }
    }
    listed
}

/// The image that is meant. `place` is how it is called in messages.
///
/// # Errors
/// [`PickError`]: two images under one name are no choice that is made for the caller.
pub fn pick(listed: &[Listed], wanted: &Pick, place: &str) -> Result<Digest, PickError> {
    let found: Vec<&Listed> = listed
        .iter()
        .filter(|one| match wanted {
            Pick::Only => true,
            Pick::Named(name) => one.names.iter().any(|known| same_name(known, name)),
            Pick::Digest(digest) => one.image.digest == *digest,
        })
        .collect();
    let place = place.to_owned();
    match (found.as_slice(), wanted) {
        ([one], _) => Ok(one.image.digest.clone()),
        // A layout is asked for any digest it may hold: a child of an index is listed nowhere.
        ([], Pick::Digest(digest)) => Ok(digest.clone()),
        ([], Pick::Only) => Err(PickError::Empty { place }),
        ([], Pick::Named(name)) => {
            Err(PickError::NoneNamed { place, wanted: printable(name.as_bytes()), names: names(listed.iter()) })
        }
        (several, _) => Err(PickError::Several { place, names: names(several.iter().copied()) }),
    }
}

fn names<'a>(listed: impl Iterator<Item = &'a Listed>) -> Vec<String> {
    let name = |one: &Listed| match one.names.last() {
        Some(name) => printable(name.as_bytes()),
        None => one.image.digest.to_string(),
    };
    listed.map(name).collect()
}

/// Whether an entry called `known` is meant by `wanted`: the same text, the same reference written otherwise (`billing:1` and
/// `docker.io/library/billing:1`), or its tag alone.
pub(crate) fn same_name(known: &str, wanted: &str) -> bool {
    if known == wanted {
        return true;
    }
    let Ok(Reference::Tagged(known)) = known.parse::<Reference>() else { return false };
    if known.tag().as_str() == wanted {
        return true;
    }
    matches!(wanted.parse::<Reference>(), Ok(Reference::Tagged(wanted)) if wanted == known)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listed(number: u8, names: &[&str]) -> Listed {
        let image = Descriptor::of(schleuse_oci::media_type::IMAGE_MANIFEST, &[number]);
        Listed { image, names: names.iter().map(|name| (*name).to_owned()).collect() }
    }

    #[test]
    fn names_are_read_as_people_write_them() {
        let all =
            [listed(1, &["1", "docker.io/library/billing:1"]), listed(2, &["ghcr.io/acme/billing:2"]), listed(3, &[])];
        let named = |name: &str| pick(&all, &Pick::Named(name.to_owned()), "x");
        for name in ["1", "billing:1", "docker.io/library/billing:1"] {
            assert_eq!(named(name).unwrap(), all[0].image.digest, "{name}");
        }
        assert_eq!(named("2").unwrap(), all[1].image.digest);
        let error = named("3").unwrap_err();
        assert_eq!(error.to_string(), "x holds no image called `3`");
        assert_eq!(error.hints()[0], "`x:docker.io/library/billing:1`");
    }

    #[test]
    fn what_is_ambiguous_is_asked_back() {
        let two = [listed(1, &["a/x:1"]), listed(2, &["b/x:1"])];
        assert!(matches!(pick(&two, &Pick::Only, "x"), Err(PickError::Several { .. })));
        assert!(matches!(pick(&two, &Pick::Named("1".to_owned()), "x"), Err(PickError::Several { .. })));
        assert_eq!(pick(&two, &Pick::Named("a/x:1".to_owned()), "x").unwrap(), two[0].image.digest);
        assert!(matches!(pick(&[], &Pick::Only, "x"), Err(PickError::Empty { .. })));
        assert_eq!(pick(&two[..1], &Pick::Only, "x").unwrap(), two[0].image.digest);
    }
}
