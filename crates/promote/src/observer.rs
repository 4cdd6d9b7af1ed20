//! What happens, as it happens, for whoever watches. The command line renders it; nothing depends on it.

use std::fmt::Debug;
use std::time::Duration;

use schleuse_model::{EnvironmentName, Release, TagRef, Timestamp};

/// One thing that happened.
#[derive(Clone, Debug, PartialEq)]
pub enum Note {
    /// What is promoted, and from where.
    Release {
        /// Which.
        release: Release,
        /// From which rung.
        from: Option<EnvironmentName>,
        /// Since when it is healthy there.
        since: Option<Timestamp>,
    },
    /// A check passed.
    Passed {
        /// Which.
        check: String,
        /// What it says.
        note: String,
    },
    /// The checks' programs are running: this may take a while.
    Producing,
    /// What a check's program said, or why it gave no answer.
    CheckSaid {
        /// Which.
        check: String,
        /// How long it ran.
        took: Duration,
        /// Its last lines.
        text: String,
    },
    /// The way back.
    WayBack {
        /// To which release; none for the first.
        release: Option<Release>,
    },
    /// An entry was committed.
    Journaled {
        /// Whose journal.
        environment: EnvironmentName,
        /// Its sequence.
        sequence: u64,
        /// Its event.
        event: &'static str,
    },
    /// A tag was moved.
    Tagged {
        /// Which.
        tag: TagRef,
    },
    /// What the environment rests on was pinned against cleanup.
    Pinned {
        /// Manifests that were not pinned yet.
        manifests: usize,
    },
    /// Something that should be kept cannot be.
    NotPinned {
        /// What, and why.
        why: String,
    },
    /// The hint could not be left.
    NoHint,
    /// The tag could not be moved to where the journal stands; `resume` does it.
    TagBehind {
        /// Why.
        why: String,
    },
    /// An unfinished rollout is gone on with.
    TakingOver {
        /// From which run, short.
        from: String,
    },
    /// The image is being fetched and unpacked.
    Preparing,
    /// The new instance runs beside the old one.
    Applied,
    /// A probe was made.
    Probed {
        /// Whether it was good.
        good: bool,
        /// How long it took, or what was wrong.
        detail: String,
        /// When the watched window ends.
        until: Timestamp,
    },
    /// Traffic goes to the new instance.
    Switched,
    /// Judged healthy.
    Healthy {
        /// Probes made.
        probes: u32,
        /// Of which good.
        good: u32,
    },
    /// Judged unhealthy.
    Unhealthy {
        /// Why.
        reason: String,
    },
    /// What helps to find the reason: label and text, redacted and shortened.
    Diagnosis {
        /// `last answer`, `listening`, `last lines`.
        label: &'static str,
        /// The text.
        text: String,
    },
    /// The old release answers again.
    Restored {
        /// How long after the deciding probe.
        after: Duration,
    },
    /// The journal could not be told; `resume` does it.
    Unrecorded {
        /// Why.
        why: String,
    },
}

/// Is told.
pub trait Observer: Debug + Send + Sync {
    /// Takes in one note. Must not block.
    fn note(&self, note: Note);
}

/// Ignores everything.
#[derive(Clone, Copy, Debug, Default)]
pub struct Unobserved;

impl Observer for Unobserved {
    fn note(&self, _: Note) {}
}
