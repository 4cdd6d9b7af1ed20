//! What a prober reports.

use std::fmt;
use std::time::Duration;

use schleuse_model::Timestamp;
use serde::{Deserialize, Serialize};

/// One probe.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sample {
    /// When the probe was *started*. Probes are started one interval apart, so that slow answers do not thin them out.
    pub at: Timestamp,
    /// What came of it.
    pub outcome: Outcome,
}

/// What came of a probe.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The expected status and, where reported, the expected version or digest, in time.
    Good {
        /// From the request's first byte to the answer's last.
        latency: Duration,
    },
    /// The release answered badly or not at all.
    Failed(ProbeFailure),
    /// The measurement failed. Says nothing about the release.
    Broken(Measurement),
}

/// How a release failed a probe.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ProbeFailure {
    /// Another HTTP status than the expected one.
    Status(u16),
    /// No whole answer in time.
    Timeout,
    /// Nobody listens there.
    Refused,
    /// The connection was closed or reset before the answer was whole.
    ConnectionLost,
    /// What answered is not HTTP, or too large to be an answer.
    NotUnderstood,
    /// Another version than the one rolled out: the old release, or somebody else's.
    WrongVersion {
        /// What should answer.
        expected: String,
        /// What answered. Untrusted: shown shortened and cleaned.
        reported: String,
    },
}

/// Why a measurement is none. Reserved for what cannot be the release's doing: when in doubt it is a
/// [`ProbeFailure`], because a release that could make its own prober look broken would never be rolled back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Measurement {
    /// The name in the health URL could not be resolved.
    NameNotResolved,
    /// This machine has no socket, memory or network left.
    LocalResources,
    /// The tunnel or the proxy to the target is down.
    PathDown,
    /// The prober itself failed or was not scheduled.
    Prober,
}

/// How the released process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ProcessEnd {
    /// Exit code. Code 0 is an end too: a service has no reason to be done.
    Code(i32),
    /// The number of the signal that ended it.
    Signal(i32),
    /// It is gone, and nobody saw how.
    Gone,
}

impl fmt::Display for ProbeFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Status(status) => write!(f, "HTTP {status}"),
            Self::Timeout => f.write_str("no answer in time"),
            Self::Refused => f.write_str("connection refused"),
            Self::ConnectionLost => f.write_str("connection lost"),
            Self::NotUnderstood => f.write_str("the answer is not understood"),
            Self::WrongVersion { expected, reported } => {
                write!(f, "`{}` answers instead of `{}`", shown(reported), shown(expected))
            }
        }
    }
}

impl fmt::Display for Measurement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NameNotResolved => "the name in the health URL is not resolved",
            Self::LocalResources => "this machine is out of sockets or memory",
            Self::PathDown => "the way to the target is down",
            Self::Prober => "the prober failed",
        })
    }
}

impl fmt::Display for ProcessEnd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Code(code) => write!(f, "exit code {code}"),
            Self::Signal(signal) => write!(f, "killed by signal {signal}"),
            Self::Gone => f.write_str("nobody saw how"),
        }
    }
}

/// Untrusted text on one line of a terminal.
fn shown(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).take(80).collect()
}
