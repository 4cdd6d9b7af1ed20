//! What must hold whatever happens, checked after the fact: the journal is append-only, so what it said when something was done
//! can be looked up later. `broken.rs` shows that each rule can be broken, and that this notices.

use std::collections::BTreeSet;

use schleuse_journal::{Event, VerifiedEntry};
use schleuse_model::Digest;
use schleuse_oci::evidence::keep_tag;

use crate::registry::TagWrite;
use crate::target;

/// What one environment did.
#[derive(Debug)]
pub(crate) struct Deeds<'a> {
    /// The verified journal, oldest first.
    pub(crate) journal: &'a [VerifiedEntry],
    /// Every write of the environment's tag.
    pub(crate) tags: Vec<&'a TagWrite>,
    /// Every write of any tag, oldest first.
    pub(crate) written: &'a [TagWrite],
    pub(crate) target: Option<&'a target::State>,
    /// Every digest that was signed by a trusted key.
    pub(crate) signed: &'a BTreeSet<Digest>,
}

/// Every rule that was broken.
pub(crate) fn broken(deeds: &Deeds<'_>) -> Vec<String> {
    let mut broken = tags_follow_entries(deeds);
    broken.extend(only_admitted_images(deeds));
    broken.extend(sequences_only_rise(deeds));
    broken.extend(rollbacks_stay(deeds));
    broken.extend(pins_precede_entries(deeds));
    broken
}

fn current(entry: &VerifiedEntry) -> Option<&Digest> {
    entry.entry().state.current.as_ref().map(|placed| &placed.release.digest)
}

fn tags_follow_entries(deeds: &Deeds<'_>) -> Vec<String> {
    let unannounced = deeds.tags.iter().filter(|write| {
        let before = &deeds.journal[..write.entries.min(deeds.journal.len())];
        !before.iter().any(|entry| current(entry) == Some(&write.digest))
    });
    unannounced.map(|write| format!("the tag was moved to {} without an entry", write.digest.short())).collect()
}

/// A release is pinned before an entry says that it is promoted, and what one would go back to then is pinned as well.
fn pins_precede_entries(deeds: &Deeds<'_>) -> Vec<String> {
    let mut broken = Vec::new();
    for entry in deeds.journal.iter().map(VerifiedEntry::entry) {
        if !matches!(entry.event, Event::Promoted { .. }) {
            continue;
        }
        let committed = format!("j-{}-{:010}", entry.environment, entry.sequence);
        let before = deeds.written.iter().take_while(|write| write.tag != committed);
        let pinned: BTreeSet<_> = before.map(|write| write.tag.as_str()).collect();
        let way_back = entry.state.way_back().map(|placed| &placed.release.digest);
        for digest in std::iter::once(&entry.release.digest).chain(way_back) {
            if !pinned.contains(keep_tag(digest).unwrap().as_str()) {
                broken.push(format!("entry #{} names {} before it was pinned", entry.sequence, digest.short()));
            }
        }
    }
    broken
}

fn only_admitted_images(deeds: &Deeds<'_>) -> Vec<String> {
    let mut broken = Vec::new();
    for (sequence, digest) in deeds.target.iter().flat_map(|target| &target.handed) {
        let index = usize::try_from(*sequence).unwrap() - 1;
        if deeds.journal.get(index).and_then(current) != Some(digest) {
            broken.push(format!("the target was handed {}, which entry #{sequence} does not admit", digest.short()));
        }
        if !deeds.signed.contains(digest) {
            broken.push(format!("the target was handed {}, which nobody signed", digest.short()));
        }
    }
    broken
}

fn sequences_only_rise(deeds: &Deeds<'_>) -> Vec<String> {
    let pairs = deeds.target.iter().flat_map(|target| target.accepted.windows(2));
    let falls = pairs.filter(|pair| pair[1] < pair[0]);
    falls.map(|pair| format!("the target accepted entry #{} after #{}", pair[1], pair[0])).collect()
}

/// No rollback is rolled back: neither in the journal, nor on the target.
fn rollbacks_stay(deeds: &Deeds<'_>) -> Vec<String> {
    let mut broken = Vec::new();
    for pair in deeds.journal.windows(2) {
        let is_rollback = pair[0].entry().state.rollout.as_ref().is_some_and(|rollout| rollout.rollback);
        if is_rollback && matches!(pair[1].entry().event, Event::RolledBack { .. } | Event::Aborted { .. }) {
            broken.push(format!("entry #{} takes a rollback back", pair[1].entry().sequence));
        }
    }
    for sequence in deeds.target.iter().flat_map(|target| &target.restored) {
        let index = usize::try_from(*sequence).unwrap() - 1;
        let state = &deeds.journal[index].entry().state;
        if state.rollout.as_ref().is_some_and(|rollout| rollout.rollback) {
            broken.push(format!("the rollback of entry #{sequence} was brought back on the target"));
        }
    }
    broken
}
