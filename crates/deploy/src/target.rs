//! What every target can do.
//!
//! # Expected flow
//!
//! `claim` → `prepare` → (the receipt is journaled) → `apply` → probes of `observe`'s address → `switch` → more probes →
//! `settle`; or at any point after `prepare`: `restore`.

use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

use async_trait::async_trait;
use schleuse_journal::Admitted;
use schleuse_model::{EnvironmentName, Exit, Explain, PinnedRef, Release};
use serde::{Deserialize, Serialize};

use crate::failure::Failure;

/// Why a target did not do a step.
#[derive(Debug, thiserror::Error)]
pub enum TargetError {
    /// The target has accepted a higher sequence: another run has taken over. This one must stop, and change nothing.
    #[error("the target has accepted entry {have}; entry {got} comes too late")]
    Fenced {
        /// The highest sequence it has accepted.
        have: u64,
        /// The sequence of the call.
        got: u64,
    },
    /// Trying again changes nothing.
    #[error(transparent)]
    Terminal(Failure),
    /// Trying again may help.
    #[error("{cause}")]
    Transient {
        /// How long to wait before.
        after: Duration,
        /// What happened.
        #[source]
        cause: Failure,
    },
}

impl<F: Into<Failure>> From<F> for TargetError {
    fn from(failure: F) -> Self {
        let failure = failure.into();
        match failure.worth_retrying_after() {
            Some(after) => Self::Transient { after, cause: failure },
            None => Self::Terminal(failure),
        }
    }
}

impl Explain for TargetError {
    fn exit(&self) -> Exit {
        match self {
            Self::Fenced { .. } => Exit::LostRace,
            Self::Terminal(failure) | Self::Transient { cause: failure, .. } => failure.exit(),
        }
    }

    fn hints(&self) -> Vec<String> {
        match self {
            Self::Fenced { .. } => vec!["another run has taken over; see `schleuse status`".to_owned()],
            Self::Terminal(failure) | Self::Transient { cause: failure, .. } => failure.hints(),
        }
    }
}

/// Whether the target's lease could be had.
#[derive(Debug)]
pub enum Claimed {
    /// It is ours as long as the guard lives.
    Yes(Box<dyn Claim>),
    /// A living run has it.
    Busy,
}

/// A target's lease. Dropped, or its process dead: released.
pub trait Claim: fmt::Debug + Send + Sync {}

/// One instance of a release, running or kept to return to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Instance {
    /// Its name on the target.
    pub name: String,
    /// The release it runs.
    pub release: Release,
}

/// What [`Target::prepare`] leaves behind: everything a later run, on another machine perhaps, needs to go on or back.
///
/// It is no proof of anything: a target believes its own record, and takes a receipt only as the name of a rollout.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Receipt {
    schema: u32,
    environment: EnvironmentName,
    sequence: u64,
    image: PinnedRef,
    instance: Instance,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    previous: Option<Instance>,
    probe: SocketAddr,
    #[serde(skip_serializing_if = "std::ops::Not::not", default)]
    rollback: bool,
}

impl Receipt {
    /// The format's version.
    const SCHEMA: u32 = 1;

    /// For the adapters of targets. `probe` is where users reach the environment.
    pub fn new(
        environment: EnvironmentName,
        sequence: u64,
        image: PinnedRef,
        instance: Instance,
        previous: Option<Instance>,
        probe: SocketAddr,
    ) -> Self {
        Self { schema: Self::SCHEMA, environment, sequence, image, instance, previous, probe, rollback: false }
    }

    /// The same as that of a way back, or not.
    #[must_use]
    pub const fn of_rollback(mut self, rollback: bool) -> Self {
        self.rollback = rollback;
        self
    }

    /// Whether its rollout is a way back. Then its previous instance was left on purpose, and without the journal there is
    /// nowhere to return to.
    pub const fn is_rollback(&self) -> bool {
        self.rollback
    }

    /// The environment.
    pub const fn environment(&self) -> &EnvironmentName {
        &self.environment
    }

    /// The journal entry it acts for.
    pub const fn sequence(&self) -> u64 {
        self.sequence
    }

    /// The image.
    pub const fn image(&self) -> &PinnedRef {
        &self.image
    }

    /// The new release.
    pub const fn release(&self) -> &Release {
        &self.instance.release
    }

    /// The new instance.
    pub const fn instance(&self) -> &Instance {
        &self.instance
    }

    /// The instance that had the traffic before, to return to.
    pub const fn previous(&self) -> Option<&Instance> {
        self.previous.as_ref()
    }

    /// Its release.
    pub fn previous_release(&self) -> Option<&Release> {
        self.previous.as_ref().map(|instance| &instance.release)
    }

    /// Where users reach the environment: the front door, or the instance's own port where there is none.
    pub const fn probe(&self) -> SocketAddr {
        self.probe
    }

    /// The same rollout under a newer entry: how a run that takes over raises the target's fence against the run before. A
    /// lower sequence changes nothing.
    #[must_use]
    pub fn renewed(mut self, admitted: &Admitted) -> Self {
        self.sequence = self.sequence.max(admitted.sequence());
        self
    }

    pub(crate) fn at_sequence(mut self, sequence: u64) -> Self {
        self.sequence = sequence;
        self
    }
}

/// How an instance ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "how", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Ended {
    /// It returned this status.
    Code {
        /// The status.
        code: i32,
    },
    /// A signal ended it.
    Signal {
        /// The signal's number.
        signal: i32,
    },
    /// It never ran: its sandbox or its program could not be set up.
    NotStarted {
        /// What was being done, and why it did not work.
        step: String,
        /// The system's reason.
        why: String,
        /// Whether this system forbids the namespaces that a sandbox needs.
        forbidden: bool,
    },
    /// Nobody saw it end: what watched it was killed, or the machine restarted.
    Unseen,
}

impl fmt::Display for Ended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Code { code } => write!(f, "exited with status {code}"),
            Self::Signal { signal } => write!(f, "killed by signal {signal}"),
            Self::NotStarted { step, why, .. } => write!(f, "did not start: {step}: {why}"),
            Self::Unseen => f.write_str("gone; nobody saw it end"),
        }
    }
}

/// How the new instance is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Observation {
    /// Its process lives, and is to answer here.
    Running {
        /// The instance's own address, not the front door's.
        address: SocketAddr,
    },
    /// It ended.
    Exited {
        /// How.
        how: Ended,
    },
    /// That cannot be said at the moment.
    Unknown {
        /// Why.
        why: String,
    },
}

/// What is on a target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    /// The highest sequence it has accepted; 0: none.
    pub sequence: u64,
    /// The instance that has the traffic.
    pub active: Option<Instance>,
    /// Whether the active instance's process lives.
    pub alive: bool,
    /// The newest rollout.
    pub receipt: Option<Receipt>,
    /// Whether that rollout has the traffic and its old instance still runs: it waits for `settle` or `restore`.
    pub unsettled: bool,
    /// Where users reach the environment.
    pub address: Option<SocketAddr>,
}

/// Where releases of one environment run. The caller holds the target's [`Claim`] for everything that changes something.
#[async_trait]
pub trait Target: fmt::Debug + Send + Sync {
    /// Takes the lease. A dead run's lease is free at once.
    async fn claim(&self) -> Result<Claimed, TargetError>;

    /// What is there.
    async fn standing(&self) -> Result<Standing, TargetError>;

    /// Fetches, verifies and unpacks the release, and records what runs now. Nothing visible changes.
    async fn prepare(&self, admitted: &Admitted) -> Result<Receipt, TargetError>;

    /// Starts the new instance beside the old. Without a front door there is one port only: stops the old, starts the new. An
    /// instance that has ended by itself is not started again: see [`Target::observe`].
    async fn apply(&self, receipt: &Receipt) -> Result<(), TargetError>;

    /// Sends new traffic to the new instance, and only there.
    async fn switch(&self, receipt: &Receipt) -> Result<(), TargetError>;

    /// Looks at the new instance.
    async fn observe(&self, receipt: &Receipt) -> Result<Observation, TargetError>;

    /// Sends traffic back to the previous instance (started again if it has died; no previous one: nowhere), then stops the new
    /// one. Works without a registry, also after [`Target::settle`].
    async fn restore(&self, receipt: &Receipt) -> Result<(), TargetError>;

    /// Where the previous release answers after [`Target::restore`]. `None`: there is no previous one.
    async fn restored_address(&self, receipt: &Receipt) -> Result<Option<SocketAddr>, TargetError>;

    /// Lets the old instance finish what it has begun, and stops it. Its unpacked image stays, as a way back.
    async fn settle(&self, receipt: &Receipt) -> Result<(), TargetError>;

    /// The last `lines` lines the new instance wrote, each shortened, printable and without its secrets.
    async fn logs(&self, receipt: &Receipt, lines: usize) -> Result<Vec<String>, TargetError>;

    /// On which addresses the new instance listens.
    async fn listening(&self, receipt: &Receipt) -> Result<Vec<SocketAddr>, TargetError>;

    /// Keeps a signed note beside the receipt, durably: a way back is about to be taken that the journal does not know of yet.
    async fn write_intent(&self, bytes: &[u8]) -> Result<(), TargetError>;

    /// The note, if there is one. Not trusted before its signature was checked.
    async fn read_intent(&self) -> Result<Option<Vec<u8>>, TargetError>;

    /// Drops the note.
    async fn clear_intent(&self) -> Result<(), TargetError>;
}
