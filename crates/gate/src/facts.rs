//! Everything a judge may look at. Gathered by `promote`; nothing here fetches anything.

use std::collections::BTreeMap;

use schleuse_model::predicate::test_result::TestResult;
use schleuse_model::{Digest, EnvironmentName, Release, Timestamp};

use crate::CheckId;

/// The facts of one promotion, at one moment.
#[derive(Clone, Debug)]
pub struct Facts {
    /// Where the release is to go.
    pub environment: EnvironmentName,
    /// The release.
    pub release: Release,
    /// Who signed it, from `sign`'s verification. `None`: no trusted signature.
    pub signature: Option<SignedBy>,
    /// The rung before. `None`: `environment` is the first rung.
    pub source: Option<Source>,
    /// Test results found or just produced, by check. Only results whose envelope was verified, or that this run produced itself,
    /// belong here.
    pub test_results: BTreeMap<CheckId, Evidence<TestResult>>,
    /// How many seconds this machine's clock is ahead of the registry's (`Date`, RFC 9110 section 6.6.1); negative: behind. `None`:
    /// the registry did not say.
    pub registry_clock_skew: Option<i64>,
}

/// Evidence that is there. (Evidence that is not there is not in the map.)
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Evidence<T> {
    /// And was read.
    Found(T),
    /// And cannot be read: why, one line.
    Unreadable(String),
}

/// A verified signature.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedBy {
    /// The image digest the signature was verified for.
    pub image: Digest,
    /// The key, as people know it: `build key 5f:1c:…`.
    pub signer: String,
}

/// The rung before, and how the release stands there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    /// Its name.
    pub environment: EnvironmentName,
    /// The release's standing there; `None`: it never was there.
    pub standing: Option<Standing>,
}

/// How a release stands in an environment, by that environment's journal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    /// The release this is about. Judges compare it: facts about another release are no facts about this one.
    pub digest: Digest,
    /// What was found there.
    pub verdict: StandingVerdict,
    /// Since when: the verdict's time, or the promotion's where there is none.
    pub since: Timestamp,
}

/// What an environment found about a release.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StandingVerdict {
    /// A rollout judged it healthy.
    Healthy,
    /// The environment has no target to roll out to: being promoted there is all there is.
    NoTarget,
    /// It is there and not judged: a rollout under way, held, or inconclusive.
    NotJudged,
    /// It failed there.
    Failed,
}
