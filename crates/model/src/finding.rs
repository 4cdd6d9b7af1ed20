//! What a check says when it says no.

use serde::{Deserialize, Serialize};

use crate::Timestamp;

/// How bad a finding is. Ordered: `Critical` is the greatest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Not rated by its source. Never counts as harmless.
    Unknown,
    /// Low.
    Low,
    /// Medium.
    Medium,
    /// High.
    High,
    /// Critical.
    Critical,
}

/// One reason why a gate stays shut.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// The check that says it.
    pub check: String,
    /// What is wrong, one line.
    pub message: String,
    /// What would help, one line, where we know it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub hint: Option<String>,
    /// When it would pass by itself (soak, freeze). `None`: not by waiting.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub clears_at: Option<Timestamp>,
}

impl Finding {
    /// A finding of `check` without hint.
    pub fn new(check: impl Into<String>, message: impl Into<String>) -> Self {
        Self { check: check.into(), message: message.into(), hint: None, clears_at: None }
    }

    /// The same with what would help.
    #[must_use]
    pub fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}
