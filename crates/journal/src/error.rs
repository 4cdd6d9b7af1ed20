//! What can go wrong with a journal, and what to do about it.

use schleuse_model::json::JsonError;
use schleuse_model::{Digest, EnvironmentName, Exit, Explain, ReferenceError};

use crate::state::IllegalTransition;

/// Why the journal gives no answer, or none that is trusted.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The registry gave no answer.
    #[error("the journal of {environment} cannot be read or written")]
    Registry {
        /// Whose journal.
        environment: EnvironmentName,
        /// Why.
        source: schleuse_oci::Error,
    },
    /// git gave no answer.
    #[error("the journal's git ref cannot be read or written: {message}")]
    Git {
        /// What git said, shortened.
        message: String,
    },
    /// An entry is not what it must be.
    #[error("entry #{sequence} of {environment}'s journal is not trusted: {fault}")]
    Untrusted {
        /// Whose journal.
        environment: EnvironmentName,
        /// Which entry.
        sequence: u64,
        /// Why.
        fault: Fault,
    },
    /// The head is below what something else has seen.
    #[error("{environment}'s journal ends at #{head}, but {witness} has seen #{seen}: entries were removed")]
    Truncated {
        /// Whose journal.
        environment: EnvironmentName,
        /// Where it ends.
        head: u64,
        /// The highest sequence seen.
        seen: u64,
        /// Who has seen it.
        witness: &'static str,
    },
    /// Neither commit point is there.
    #[error("nothing here can make a journal entry create-once: {why}")]
    NoCommitPoint {
        /// What was found.
        why: String,
    },
    /// The writer's own entry would not be believed by readers.
    #[error("this key's entries would not be believed: {why}")]
    Unfit {
        /// Why.
        why: String,
        /// What a reader would say, where it is that.
        fault: Option<Fault>,
    },
    /// What is to be written cannot follow the head.
    #[error(transparent)]
    Illegal(#[from] IllegalTransition),
    /// A name that is made from others is no valid reference.
    #[error(transparent)]
    Reference(#[from] ReferenceError),
}

/// What is wrong with an entry.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    /// Not shaped as an entry.
    #[error("{0}")]
    Malformed(String),
    /// JSON that is refused.
    #[error(transparent)]
    Json(#[from] JsonError),
    /// Not signed by a key that may write the journal.
    #[error("{0}")]
    Signature(String),
    /// Signed with a key that was replaced, and no key of today has adopted it yet: its date is its holder's word.
    #[error(
        "it rests on entry #{sequence}, which {key} signed: that key is superseded, and no key of today has adopted it"
    )]
    Superseded {
        /// The key, short.
        key: String,
        /// Which entry the key signed.
        sequence: u64,
    },
    /// Signed with a key that others may have, and nobody has adopted it yet.
    #[error("it rests on entry #{sequence}, which {key} signed: that key is compromised")]
    Compromised {
        /// The key, short.
        key: String,
        /// Which entry the key signed.
        sequence: u64,
    },
    /// A break-glass key did something else than going back.
    #[error("`{event}` is signed by {key}, a break-glass key, which may only go back")]
    BreakGlass {
        /// The key, short.
        key: String,
        /// What it did.
        event: &'static str,
    },
    /// About to be written with a key that was revoked.
    #[error("{key} was revoked: nothing new is signed with it")]
    Revoked {
        /// The key, short.
        key: String,
    },
    /// So many entries would have to be read to believe the newest one.
    #[error("more than {limit} entries would have to be read to believe it")]
    TooFarDown {
        /// How many are read.
        limit: usize,
    },
    /// It calls itself something else than where it lies.
    #[error("it names {field} `{found}`, expected `{expected}`")]
    Name {
        /// Which field.
        field: &'static str,
        /// What it says.
        found: String,
        /// What it must say.
        expected: String,
    },
    /// It does not link to the entry before it.
    #[error("it follows {found}, but the entry before it is {expected}")]
    Link {
        /// What it says.
        found: String,
        /// What is there.
        expected: Digest,
    },
    /// Its event cannot happen after the entry before it.
    #[error(transparent)]
    Transition(#[from] IllegalTransition),
    /// The state it claims is not the one that follows.
    #[error("the state it claims does not follow from the entry before it")]
    State,
    /// It is dated before the entry before it.
    #[error("it is dated before the entry before it")]
    Time,
    /// An entry below the head is not there.
    #[error("it is missing, and a later one exists")]
    Gap,
    /// Registry and git ref name different entries.
    #[error("the registry has {registry}, the git ref another: the journal was forked")]
    Fork {
        /// What the registry has.
        registry: String,
    },
}

impl Fault {
    /// Whether adopting the entry mends it.
    const fn is_of_a_revoked_key(&self) -> bool {
        matches!(self, Self::Compromised { .. } | Self::Superseded { .. } | Self::TooFarDown { .. })
    }
}

impl Explain for Error {
    fn exit(&self) -> Exit {
        match self {
            Self::Registry { source, .. } => source.exit(),
            Self::Untrusted { .. } | Self::Truncated { .. } => Exit::Untrusted,
            Self::Unfit { .. } => Exit::Untrusted,
            Self::NoCommitPoint { .. } | Self::Reference(_) => Exit::Usage,
            Self::Git { .. } | Self::Illegal(_) => Exit::Error,
        }
    }

    fn hints(&self) -> Vec<String> {
        match self {
            Self::Registry { source, .. } => source.hints(),
            Self::Git { .. } => vec![
                "can `git ls-remote` reach the remote from here?".to_owned(),
                "where the registry itself keeps the order, git is not needed: `commit = \"registry\"`".to_owned(),
            ],
            Self::Untrusted { environment, fault, .. } if fault.is_of_a_revoked_key() => vec![
                "have a look at it, and if it is right let the key of today adopt it: `schleuse key rotate`".to_owned(),
                format!("going back works until then: `schleuse rollback {environment}`"),
            ],
            Self::Untrusted { environment, .. } => vec![
                format!("look at it: `schleuse history {environment} --verify`"),
                "is the key that wrote it listed under [trust] build?".to_owned(),
            ],
            Self::Truncated { environment, .. } => vec![
                "do not promote; find out who removed tags from the journal's repository".to_owned(),
                format!("going back still works: `schleuse rollback {environment}`"),
            ],
            Self::NoCommitPoint { .. } => vec![
                "use a registry with conditional PUT or enforced immutable tags, such as `schleuse registry serve`"
                    .to_owned(),
                "or name a git remote whose server keeps the order: `commit = \"git\"` and `git_remote = \"origin\"`"
                    .to_owned(),
            ],
            Self::Unfit { fault: Some(Fault::BreakGlass { .. } | Fault::Revoked { .. }), .. } => {
                vec!["sign with the key that is listed under [trust] build".to_owned()]
            }
            Self::Unfit { .. } => {
                vec!["list the signing key's public half under [trust] build in schleuse.toml".to_owned()]
            }
            Self::Illegal(_) | Self::Reference(_) => Vec::new(),
        }
    }
}
