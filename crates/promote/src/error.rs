//! Why no outcome was reached.

use schleuse_model::{EnvironmentName, Exit, Explain, ReferenceError, Release, Repository};

/// Why no outcome was reached.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The registry gave no answer.
    #[error("the registry gave no answer")]
    Registry(#[from] schleuse_oci::Error),
    /// The journal gave no answer, or is not trusted.
    #[error("{0}")]
    Journal(#[source] schleuse_journal::Error),
    /// The image's signature is not there or not trusted, or could not be read.
    #[error("{0}")]
    Signature(#[source] schleuse_sign::Error),
    /// A check's evidence gave no answer.
    #[error("a check gave no answer")]
    NoAnswer(#[from] schleuse_gate::NoAnswer),
    /// A check could not be run to its end.
    #[error("a check gave no answer")]
    Produce(#[from] schleuse_gate::ProduceError),
    /// The target gave no answer.
    #[error("the target of {environment} gave no answer")]
    Target {
        /// Whose.
        environment: EnvironmentName,
        /// Why.
        source: schleuse_deploy::TargetError,
    },
    /// There is nothing to promote.
    #[error("{from} runs no release that could be promoted to {to}")]
    NothingThere {
        /// The rung before.
        from: EnvironmentName,
        /// Where to.
        to: EnvironmentName,
    },
    /// The image is not in the registry.
    #[error("{image} is not in the registry")]
    NoSuchImage {
        /// What was asked for.
        image: String,
    },
    /// The image is another repository's.
    #[error("{image} is not an image of {expected}")]
    OtherRepository {
        /// What was asked for.
        image: String,
        /// The configured repository.
        expected: Repository,
    },
    /// Several releases start with these digits.
    #[error("several known releases start with `{digits}`")]
    AmbiguousDigits {
        /// The digits.
        digits: String,
    },
    /// Another promotion was faster.
    #[error("another promotion into {environment} was faster (entry #{sequence}), and this plan no longer holds")]
    LostRace {
        /// Where to.
        environment: EnvironmentName,
        /// The winner's entry.
        sequence: u64,
    },
    /// Another run works on the environment right now.
    #[error("another run is at work in {environment}")]
    Busy {
        /// Where.
        environment: EnvironmentName,
    },
    /// Another run has taken this one's rollout over.
    #[error("another run has taken over the rollout in {environment} (entry #{sequence})")]
    TakenOver {
        /// Where.
        environment: EnvironmentName,
        /// Its entry.
        sequence: u64,
    },
    /// A rollout of another release is unfinished.
    #[error("a rollout of {} in {environment} is unfinished", .release.digest.short())]
    Unfinished {
        /// Where.
        environment: EnvironmentName,
        /// Of which release.
        release: Release,
    },
    /// There is no release to go back to.
    #[error("{environment} has no release with a healthy verdict to go back to")]
    NoWayBack {
        /// Where.
        environment: EnvironmentName,
    },
    /// The intent beside the target's receipt is not trusted.
    #[error("the intent found at the target of {environment} is not trusted: {why}")]
    UntrustedIntent {
        /// Where.
        environment: EnvironmentName,
        /// Why.
        why: String,
    },
    /// This run's own key: what it signs would not be recorded.
    #[error("what this key signs could not be recorded: {why}")]
    KeyNotBelieved {
        /// Why.
        why: String,
    },
    /// A name that is made from others is no valid reference.
    #[error(transparent)]
    Reference(#[from] ReferenceError),
}

impl From<schleuse_journal::Error> for Error {
    fn from(error: schleuse_journal::Error) -> Self {
        Self::Journal(error)
    }
}

impl From<schleuse_sign::Error> for Error {
    fn from(error: schleuse_sign::Error) -> Self {
        Self::Signature(error)
    }
}

impl Explain for Error {
    fn exit(&self) -> Exit {
        match self {
            Self::Registry(error) => error.exit(),
            Self::Journal(error) => error.exit(),
            Self::Signature(error) => error.exit(),
            Self::NoAnswer(error) => error.exit(),
            Self::Produce(error) => error.exit(),
            Self::Target { source, .. } => source.exit(),
            Self::LostRace { .. } | Self::Busy { .. } | Self::TakenOver { .. } => Exit::LostRace,
            Self::UntrustedIntent { .. } | Self::KeyNotBelieved { .. } => Exit::Untrusted,
            Self::NothingThere { .. } | Self::NoWayBack { .. } => Exit::Blocked,
            Self::NoSuchImage { .. } | Self::Unfinished { .. } => Exit::Error,
            Self::Reference(_) | Self::OtherRepository { .. } | Self::AmbiguousDigits { .. } => Exit::Usage,
        }
    }

    fn hints(&self) -> Vec<String> {
        match self {
            Self::Registry(error) => error.hints(),
            Self::Journal(error) => error.hints(),
            Self::Signature(error) => error.hints(),
            Self::NoAnswer(error) => error.hints(),
            Self::Produce(error) => error.hints(),
            Self::Target { source, .. } => source.hints(),
            Self::NothingThere { from, .. } => {
                vec![format!("promote into it first: `schleuse promote {from}`"), "or name the image".to_owned()]
            }
            Self::NoSuchImage { .. } => vec!["build and push it first: `schleuse build`".to_owned()],
            Self::OtherRepository { .. } => {
                vec!["releases move by digest within `image` of schleuse.toml; copy the image there first".to_owned()]
            }
            Self::AmbiguousDigits { .. } => vec!["write more digits".to_owned()],
            Self::LostRace { environment, .. } => vec![
                "look at what won: `schleuse status`".to_owned(),
                format!("then, if it is still wanted: `schleuse promote {environment}`"),
            ],
            Self::Busy { environment } | Self::TakenOver { environment, .. } => {
                vec![format!("watch it: `schleuse status`; go on after it with `schleuse promote {environment}`")]
            }
            Self::Unfinished { environment, .. } => vec![
                format!("finish it: `schleuse resume {environment}`"),
                format!("or leave it: `schleuse rollback {environment}`"),
            ],
            Self::NoWayBack { environment } => vec![format!("what ran there: `schleuse history {environment}`")],
            Self::UntrustedIntent { .. } => {
                vec!["somebody wrote to the target's folder; look before you act".to_owned()]
            }
            Self::KeyNotBelieved { .. } => {
                vec!["go back with a key of today, or with a break-glass key: `--key breakglass.key`".to_owned()]
            }
            Self::Reference(_) => Vec::new(),
        }
    }
}
