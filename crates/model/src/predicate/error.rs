//! Why a predicate is not what its type promises.

use super::PredicateKind;
use crate::json::JsonError;
use crate::{Exit, Explain};

/// Why a predicate is not what its type promises. Paths are written with dots and indices (`scanner.result[2].id`) and hold only
/// names of the specification, never the predicate's own text.
#[derive(Debug, thiserror::Error)]
pub enum PredicateError {
    /// Not JSON, larger than the limit, nested too deeply, or with a key twice.
    #[error("the {kind} predicate cannot be read")]
    Unreadable {
        /// What it was said to be.
        kind: PredicateKind,
        /// Why.
        #[source]
        source: JsonError,
    },
    /// JSON, but no object.
    #[error("the {kind} predicate is not a JSON object")]
    NotAnObject {
        /// What it was said to be.
        kind: PredicateKind,
    },
    /// A required field is absent, `null`, or an empty text.
    #[error("the {kind} predicate has no `{path}`")]
    Missing {
        /// What it was said to be.
        kind: PredicateKind,
        /// Which field.
        path: String,
    },
    /// A field has another type or value than the specification allows.
    #[error("`{path}` in the {kind} predicate is not {expected}")]
    Wrong {
        /// What it was said to be.
        kind: PredicateKind,
        /// Which field.
        path: String,
        /// What it should be, so that the sentence reads on.
        expected: &'static str,
    },
}

impl PredicateError {
    /// What the predicate was said to be.
    pub fn kind(&self) -> &PredicateKind {
        match self {
            Self::Unreadable { kind, .. }
            | Self::NotAnObject { kind }
            | Self::Missing { kind, .. }
            | Self::Wrong { kind, .. } => kind,
        }
    }
}

impl Explain for PredicateError {
    fn exit(&self) -> Exit {
        Exit::Usage
    }

    fn hints(&self) -> Vec<String> {
        self.kind().specifications().iter().map(|address| format!("the format is described at {address}")).collect()
    }
}
