//! Everything that is wrong with a configuration, each with its place.

use std::fmt;

use schleuse_model::{EnvironmentNameError, Exit, Explain, ReferenceError};

use crate::document::KeyPath;
use crate::duration::DurationError;

/// At most this many mistakes are shown: after that the file wants reading, not listing.
const SHOWN: usize = 20;

/// A configuration that cannot be used, with every mistake that was found.
#[derive(Debug)]
pub struct ConfigError {
    file: String,
    mistakes: Vec<Mistake>,
}

impl ConfigError {
    /// Sorted by place, each mistake once.
    pub(crate) fn new(file: &str, mut mistakes: Vec<Mistake>) -> Self {
        mistakes.sort_by(|a, b| a.place.cmp(&b.place));
        Self { file: file.to_owned(), mistakes }
    }

    /// The mistakes, in the file's order.
    pub fn mistakes(&self) -> &[Mistake] {
        &self.mistakes
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let [only] = self.mistakes.as_slice() {
            return write!(f, "{only}");
        }
        write!(f, "{} has {} mistakes", self.file, self.mistakes.len())?;
        for mistake in self.mistakes.iter().take(SHOWN) {
            write!(f, "\n  {mistake}")?;
        }
        match self.mistakes.len().saturating_sub(SHOWN) {
            0 => Ok(()),
            more => write!(f, "\n  and {more} more"),
        }
    }
}

impl std::error::Error for ConfigError {}

impl Explain for ConfigError {
    fn exit(&self) -> Exit {
        Exit::Usage
    }

    fn hints(&self) -> Vec<String> {
        vec!["all keys: docs/CONFIG.md; for your editor: `schleuse config schema`".to_owned()]
    }
}

/// One mistake.
#[derive(Debug, thiserror::Error)]
#[error("{place}: {what}")]
pub struct Mistake {
    /// Where.
    pub place: Place,
    /// What.
    #[source]
    pub what: What,
}

/// Where a value was written.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place {
    /// In the file; line and column count from 1.
    File {
        /// The file's name as the caller gave it.
        file: String,
        /// The line.
        line: usize,
        /// The column, in characters.
        column: usize,
    },
    /// On the command line.
    Flag(&'static str),
    /// In a variable of the environment.
    Variable(&'static str),
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File { file, line, column } => write!(f, "{file}:{line}:{column}"),
            Self::Flag(flag) => f.write_str(flag),
            Self::Variable(name) => f.write_str(name),
        }
    }
}

/// What was probably meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Help {
    /// This name, spelled nearly so.
    DidYouMean(String),
    /// The key exists, but at the top of the file.
    BelongsAtTheTop,
    /// Nothing is near; these exist.
    OneOf(Vec<String>),
}

impl fmt::Display for Help {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::DidYouMean(name) => write!(f, "did you mean `{name}`?"),
            Self::BelongsAtTheTop => f.write_str("it belongs at the top of the file, before the first [table]"),
            Self::OneOf(names) if names.is_empty() => f.write_str("there is none"),
            Self::OneOf(names) => write!(f, "there is `{}`", names.join("`, `")),
        }
    }
}

impl Help {
    /// The nearest of `known` to `name`, or all of them.
    pub(crate) fn near<'k>(name: &str, known: impl IntoIterator<Item = &'k str>) -> Self {
        let known: Vec<&str> = known.into_iter().collect();
        // Distances beyond a third of the word suggest things nobody meant. The length is cut: the text is not ours.
        let name: String = name.chars().take(64).collect::<String>().to_lowercase();
        let near = known
            .iter()
            .map(|candidate| (strsim::damerau_levenshtein(&name, candidate), *candidate))
            .filter(|(distance, candidate)| *distance <= (candidate.len() / 3).max(1))
            .min();
        match near {
            Some((_, candidate)) => Self::DidYouMean(candidate.to_owned()),
            None => Self::OneOf(known.into_iter().map(str::to_owned).collect()),
        }
    }
}

/// What is wrong.
#[derive(Debug, thiserror::Error)]
pub enum What {
    /// More than [`MAX_BYTES`](crate::MAX_BYTES).
    #[error("the file has {size} bytes; at most {limit} are read")]
    TooLarge {
        /// Its size.
        size: usize,
        /// The limit.
        limit: usize,
    },
    /// Not TOML.
    #[error("not TOML: {0}")]
    Syntax(String),
    /// A key that does not exist.
    #[error("unknown key `{key}`{table}; {help}")]
    UnknownKey {
        /// The key.
        key: String,
        /// ` in [table]`, or empty.
        table: String,
        /// What was probably meant.
        help: Help,
    },
    /// A key that must be there.
    #[error("{key} is missing")]
    Missing {
        /// The key and its table.
        key: String,
    },
    /// A text where a number belongs, and the like.
    #[error("{key} is {is}; {needed} is needed")]
    WrongType {
        /// The key and its table.
        key: String,
        /// What it is.
        is: &'static str,
        /// What it should be.
        needed: String,
    },
    /// A number outside its range.
    #[error("{key} must be from {minimum} to {maximum}")]
    OutOfRange {
        /// The key and its table.
        key: String,
        /// The smallest allowed.
        minimum: i64,
        /// The largest allowed.
        maximum: i64,
    },
    /// A word that is none of the allowed ones.
    #[error("{key} is `{value}`; {help}")]
    UnknownValue {
        /// The key and its table.
        key: String,
        /// The word.
        value: String,
        /// What was probably meant.
        help: Help,
    },
    /// A check that the file does not define.
    #[error("{key}: there is no [check.{value}]; {help}")]
    UnknownCheck {
        /// The key and its table.
        key: String,
        /// The check's name.
        value: String,
        /// What was probably meant.
        help: Help,
    },
    /// A text that is not what its key needs.
    #[error("{key} is `{value}`; {needed} is needed")]
    Invalid {
        /// The key and its table.
        key: String,
        /// The text.
        value: String,
        /// What is needed.
        needed: &'static str,
    },
    /// Two settings, or a setting and the rules, that do not go together.
    #[error("{key} {rule}")]
    Rule {
        /// The key and its table.
        key: String,
        /// The rule.
        rule: Rule,
    },
    /// Not an image reference.
    #[error("{key}: {source}")]
    Reference {
        /// The key and its table.
        key: String,
        /// Why not.
        source: ReferenceError,
    },
    /// Not an environment's name.
    #[error(transparent)]
    EnvironmentName(EnvironmentNameError),
    /// Not a duration.
    #[error("{key}: {source}")]
    Duration {
        /// The key and its table.
        key: String,
        /// Why not.
        source: DurationError,
    },
    /// What the shape check let through and the types did not. Should not happen; refused all the same.
    #[error("{0}")]
    Shape(String),
}

/// Rules that a value alone cannot break.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Rule {
    /// `port`, `listen`, … on a rung without `host`.
    #[error("has no effect without `host`; this machine is host = \"local\"")]
    NeedsHost,
    /// `ssh://` and `docker`.
    #[error("comes with the docker target; today only host = \"local\" runs releases")]
    ComesWithDocker,
    /// `signature` in `checks` or as a `[check]`.
    #[error("names the signature check, which is always there and can be neither listed nor changed")]
    SignatureIsBuiltIn,
    /// The same thing twice in a list.
    #[error("stands twice in its list")]
    Twice,
    /// A person's role without a person.
    #[error("needs a person, {{ key = \"...\", person = \"...\" }}: a quorum counts people, not keys")]
    NeedsPerson,
    /// A CI key that could approve its own work.
    #[error("is also a build key; approval and quarantine are a person's, never the CI's")]
    BuildKeyCannotApprove,
    /// `superseded` without a time: then nothing it signed could hold.
    #[error("needs `since`: what the journal named before that time holds")]
    NeedsSince,
    /// `compromised` with a time: whoever has the key writes the dates.
    #[error("has no effect with `compromised`: whoever has the key writes the dates")]
    SinceOfCompromised,
    /// Trusted and revoked.
    #[error("is listed under a role as well; a revoked key is taken out of its role")]
    TrustedAndRevoked,
    /// Health: probes would overlap.
    #[error("must not be longer than `interval`: probes must not overlap")]
    ProbesOverlap,
    /// Health: the window ends before it could judge.
    #[error("must be longer than grace + interval x failures: otherwise nothing can be found out in it")]
    WindowTooShort,
    /// Health: a polling loop without a pause.
    #[error("must not be zero")]
    Zero,
    /// `dockerfile`, `context`, … with the builder `layers`.
    #[error("has no effect without builder = \"buildx\" or \"buildah\"")]
    NeedsDockerfileBuilder,
    /// `copy`, `base`, … with a Dockerfile.
    #[error("has no effect with a Dockerfile, which says that itself; it is for builder = \"layers\"")]
    NeedsLayersBuilder,
    /// Half of a login.
    #[error("is set but not its other half: a login needs REGISTRY_USERNAME and REGISTRY_PASSWORD")]
    HalfALogin,
    /// The journal would be the image.
    #[error("is the image's own repository; the journal needs one of its own")]
    JournalIsImage,
    /// `https://token@host/…`
    #[error("has a login in it, which would be shown and recorded; leave it to git's credential helper")]
    LoginInAddress,
    /// Two front doors on one address.
    #[error("is already another environment's front door")]
    ListenTaken,
}

/// A text that is not ours, fit to be shown: short, and without control characters (law 10; terminals obey escape sequences).
pub(crate) fn clip(text: &str) -> String {
    let mut shown: String = text.chars().take(120).map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect();
    if text.chars().nth(120).is_some() {
        shown.push('…');
    }
    shown
}

impl What {
    pub(crate) fn invalid(key: impl fmt::Display, value: &str, needed: &'static str) -> Self {
        Self::Invalid { key: key.to_string(), value: clip(value), needed }
    }

    pub(crate) fn rule(path: &KeyPath, rule: Rule) -> Self {
        Self::Rule { key: path.to_string(), rule }
    }
}
