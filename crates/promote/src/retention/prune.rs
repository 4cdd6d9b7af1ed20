//! What may go: images of the repository that no journal names, beyond the newest so many.
//!
//! Only images under tags are seen: the distribution-spec has no list of manifests. What a registry keeps untagged is its own
//! cleanup's business, and that is what pins are for.

mod remove;
mod survey;
mod unpin;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use schleuse_model::{Digest, ReferenceError, Tag, Timestamp};
use schleuse_oci::evidence::{KEEP_PREFIX, keep_tag};

pub use remove::{Removed, Remover};
pub use survey::survey;
pub use unpin::{Unpinned, unpin};

use crate::retention::Named;

/// An image that a tag names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// Its digest.
    pub digest: Digest,
    /// The tags that name it.
    pub tags: Vec<Tag>,
    /// When it was made, as it says; of an index, its newest image. `None`: it does not say.
    pub created: Option<Timestamp>,
    /// What its index lists; empty for a single image.
    pub children: Vec<Digest>,
}

/// Why an image stays.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stays {
    /// Journals name it.
    Named(Vec<String>),
    /// It belongs to an image that stays: its index, or what its index lists.
    Part(Digest),
    /// It is pinned, and no journal names it: a promotion may be under way, or a person gave it a tag that cleanups spare.
    Pinned,
    /// It does not say when it was made, or nothing that tells builds apart.
    Undated,
    /// It is one of the newest.
    Newest,
}

impl fmt::Display for Stays {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Named(places) => write!(f, "named by {}", places.join(", ")),
            Self::Part(of) => write!(f, "part of {}", of.short()),
            Self::Pinned => f.write_str("pinned"),
            Self::Undated => f.write_str("does not say when it was made"),
            Self::Newest => f.write_str("one of the newest"),
        }
    }
}

/// What stays and what may go, newest first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sorted {
    /// Stays, with the reason.
    pub stay: Vec<(Found, Stays)>,
    /// May go.
    pub go: Vec<Found>,
}

/// Decides. Of the images that nothing holds, the newest `keep` stay.
///
/// # Errors
/// Never for valid digests: a pin's tag is a valid one.
pub fn sort(mut found: Vec<Found>, named: &Named, pins: &BTreeSet<Tag>, keep: usize) -> Result<Sorted, ReferenceError> {
    // Those that do not say come first: they stay. Equal times are told apart by digest, so that the answer is always the same.
    found.sort_by(|a, b| match (&a.created, &b.created) {
        (Some(one), Some(other)) => other.cmp(one).then_with(|| a.digest.cmp(&b.digest)),
        (one, other) => one.is_some().cmp(&other.is_some()).then_with(|| a.digest.cmp(&b.digest)),
    });
    let held = held(&found, named, pins)?;
    let mut sorted = Sorted::default();
    let mut newest = 0;
    for one in found {
        let why = match held.get(&one.digest) {
            Some(why) => Some(why.clone()),
            None if one.created.is_none() => Some(Stays::Undated),
            None if newest < keep => {
                newest += 1;
                Some(Stays::Newest)
            }
            None => None,
        };
        match why {
            Some(why) => sorted.stay.push((one, why)),
            None => sorted.go.push(one),
        }
    }
    keep_parts(&mut sorted);
    Ok(sorted)
}

/// What is held by name or pin. A name of an index covers its images, and the reverse (DESIGN §7 says it of marks).
fn held(found: &[Found], named: &Named, pins: &BTreeSet<Tag>) -> Result<BTreeMap<Digest, Stays>, ReferenceError> {
    let mut held: BTreeMap<Digest, Stays> = BTreeMap::new();
    for (digest, places) in &named.releases {
        held.insert(digest.clone(), Stays::Named(places.clone()));
    }
    let protects = |tag: &Tag| tag.as_str().starts_with(KEEP_PREFIX);
    for one in found.iter().filter(|one| one.tags.iter().any(protects)) {
        held.entry(one.digest.clone()).or_insert(Stays::Pinned);
    }
    for digest in found.iter().flat_map(|one| std::iter::once(&one.digest).chain(&one.children)) {
        if pins.contains(&keep_tag(digest)?) {
            held.entry(digest.clone()).or_insert(Stays::Pinned);
        }
    }
    // Until nothing changes any more: indexes lie in indexes.
    loop {
        let before = held.len();
        for index in found {
            if !held.contains_key(&index.digest)
                && let Some(child) = index.children.iter().find(|child| held.contains_key(*child))
            {
                held.insert(index.digest.clone(), Stays::Part(child.clone()));
            }
        }
        if held.len() == before {
            break;
        }
    }
    // Last: that an index lists an image which belongs to a release as well is no reason for it to stay.
    for (part, release) in &named.parts {
        held.entry(part.clone()).or_insert_with(|| Stays::Part(release.clone()));
    }
    Ok(held)
}

/// An image whose index stays, stays: until nothing changes any more, since indexes lie in indexes.
fn keep_parts(sorted: &mut Sorted) {
    loop {
        let parents: BTreeMap<Digest, Digest> = sorted
            .stay
            .iter()
            .flat_map(|(one, _)| one.children.iter().map(|child| (child.clone(), one.digest.clone())))
            .collect();
        let (parts, go) = std::mem::take(&mut sorted.go).into_iter().partition(|one| parents.contains_key(&one.digest));
        sorted.go = go;
        let parts: Vec<Found> = parts;
        if parts.is_empty() {
            return;
        }
        for one in parts {
            let why = parents.get(&one.digest).cloned().map_or(Stays::Pinned, Stays::Part);
            sorted.stay.push((one, why));
        }
    }
}

#[cfg(test)]
mod tests;
