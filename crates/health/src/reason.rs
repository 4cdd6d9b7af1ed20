//! Verdicts and their named reasons. `Display` is one line, in the words an operator sees at night.

use std::fmt;
use std::time::Duration;

use schleuse_model::Timestamp;
use schleuse_model::time::human;
use serde::{Deserialize, Serialize};

use crate::{Measurement, ProbeFailure, ProcessEnd};

/// What is known about the release at some moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Not enough yet. Ask again after the next sample, and at `until` at the latest: without another sample there is a verdict
    /// then.
    Wait {
        /// The latest time to ask again.
        until: Timestamp,
    },
    /// The whole window was watched, and it ended well.
    Healthy,
    /// The release is sick: go back.
    Unhealthy(Unhealthy),
    /// It cannot be said: hold, and let the configured action or a person decide.
    Inconclusive(Inconclusive),
}

/// Why a release is sick.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Unhealthy {
    /// Its process ended.
    Exited {
        /// How.
        how: ProcessEnd,
        /// How long after the start.
        #[serde(with = "crate::millis", rename = "after_ms")]
        after: Duration,
    },
    /// Not one good answer by the end of the start-up grace.
    NeverHealthy {
        /// How long it was probed.
        #[serde(with = "crate::millis", rename = "probed_ms")]
        probed: Duration,
        /// The last failure.
        last: ProbeFailure,
    },
    /// Too many failures in a row, over too long.
    FailuresInARow {
        /// How many.
        count: u32,
        /// From the first to the last of them.
        #[serde(with = "crate::millis", rename = "span_ms")]
        span: Duration,
        /// The last failure.
        last: ProbeFailure,
    },
    /// Too many failures for a healthy release, by the sequential test.
    TooManyFailures {
        /// Failures that counted.
        failed: u32,
        /// Probes that counted.
        probes: u32,
        /// The last failure.
        last: ProbeFailure,
    },
}

/// Why it cannot be said.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Inconclusive {
    /// Nothing was seen of the release for too long.
    Blind {
        /// For how long.
        seconds: u64,
        /// Why the last measurement broke; `None` if there was none at all.
        last: Option<Measurement>,
    },
    /// Window and extension are over, and too little of the window was watched.
    TooFewProbes {
        /// Probes that said something about the release.
        got: u32,
        /// How many a whole window has.
        expected: u32,
    },
    /// Window and extension are over, and the last probes were not all good.
    NotGoodAtTheEnd {
        /// Good probes in a row at the end.
        good: u32,
        /// How many are needed.
        needed: u32,
    },
    /// Window and extension were over before anybody asked for a verdict. The samples were good; they are old news now.
    AskedTooLate,
    /// The clock went backwards. Nothing that was timed with it is believed.
    ClockWentBack {
        /// By how many seconds.
        seconds: u64,
    },
}

impl Unhealthy {
    /// A short stable name for machine output.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Exited { .. } => "exited",
            Self::NeverHealthy { .. } => "never-healthy",
            Self::FailuresInARow { .. } => "failures-in-a-row",
            Self::TooManyFailures { .. } => "too-many-failures",
        }
    }
}

impl Inconclusive {
    /// A short stable name for machine output.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Blind { .. } => "blind",
            Self::TooFewProbes { .. } => "too-few-probes",
            Self::NotGoodAtTheEnd { .. } => "not-good-at-the-end",
            Self::AskedTooLate => "asked-too-late",
            Self::ClockWentBack { .. } => "clock-went-back",
        }
    }
}

impl fmt::Display for Unhealthy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exited { how, after } => write!(f, "the process ended {} after its start: {how}", human(*after)),
            Self::NeverHealthy { probed, last } => write!(f, "not one good answer in {}: {last}", human(*probed)),
            Self::FailuresInARow { count, span, last } => {
                write!(f, "{count} failures in a row over {}: {last}", human(*span))
            }
            Self::TooManyFailures { failed, probes, last } => {
                write!(f, "{failed} of {probes} probes failed, too many for a healthy release: {last}")
            }
        }
    }
}

impl fmt::Display for Inconclusive {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Blind { seconds, last } => {
                write!(f, "nothing was seen of the release for {seconds} s: ")?;
                match last {
                    Some(last) => write!(f, "{last}"),
                    None => f.write_str("no probe reported"),
                }
            }
            Self::TooFewProbes { got, expected } => write!(f, "too few probes to judge: {got} of {expected}"),
            Self::NotGoodAtTheEnd { good, needed } => {
                write!(f, "not steady at the end of the window: {good} good in a row, {needed} needed")
            }
            Self::AskedTooLate => f.write_str("the window was over before the release was judged"),
            Self::ClockWentBack { seconds } => {
                write!(f, "the clock went back by {seconds} s while the release was watched")
            }
        }
    }
}
