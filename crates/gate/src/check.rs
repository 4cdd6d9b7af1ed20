//! One named condition at an environment's entrance.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use schleuse_model::{Digest, json};
use serde::{Deserialize, Serialize};

use crate::{Judge, Producer};

/// A check's name: 1 to 48 characters of `a-z`, `0-9` and `-`, starting with a letter. It stands in signed statements and in
/// output, so nothing else is allowed.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct CheckId(String);

/// Why a text is not a [`CheckId`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a check's name: use 1 to 48 of a-z, 0-9 and `-`, starting with a letter")]
pub struct CheckIdError(String);

impl CheckId {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// One of ours, written in the source.
    pub(crate) fn own(name: &'static str) -> Self {
        Self(name.to_owned())
    }
}

impl FromStr for CheckId {
    type Err = CheckIdError;

    fn from_str(text: &str) -> Result<Self, CheckIdError> {
        let allowed = text.bytes().all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'-'));
        if allowed && text.starts_with(|c: char| c.is_ascii_lowercase()) && text.len() <= 48 {
            Ok(Self(text.to_owned()))
        } else {
            Err(CheckIdError(text.chars().filter(|c| !c.is_control()).take(64).collect()))
        }
    }
}

impl TryFrom<String> for CheckId {
    type Error = CheckIdError;

    fn try_from(text: String) -> Result<Self, CheckIdError> {
        text.parse()
    }
}

impl From<CheckId> for String {
    fn from(id: CheckId) -> Self {
        id.0
    }
}

impl fmt::Display for CheckId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A condition: who judges, and who produces what is judged, if anybody must.
#[derive(Clone, Debug)]
pub struct Check {
    /// Its name.
    pub id: CheckId,
    /// Runs something that produces the evidence. `None`: the evidence is found, or the judge needs none.
    pub producer: Option<Arc<dyn Producer>>,
    /// Reads the facts.
    pub judge: Arc<dyn Judge>,
    /// What it demands, as it goes into the plan's hash.
    pub definition: Definition,
}

/// What a check demands. Part of a plan's hash: a promotion whose checks changed under it is another plan. No machine paths, no
/// secrets.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Definition {
    /// A trusted signature by the build role.
    Signature,
    /// Healthy in the rung before, for at least the soak.
    Ladder {
        /// In milliseconds; 0: none.
        soak_ms: u64,
    },
    /// This machine's clock agrees with the registry's.
    Clock,
    /// A program that exits with 0.
    Command {
        /// The check's name.
        id: CheckId,
        /// Program and arguments.
        argv: Vec<String>,
        /// Its deadline in milliseconds.
        timeout_ms: u64,
        /// The digest of each argument that is a file: the same `./smoke.sh` with other contents is another check.
        #[serde(skip_serializing_if = "BTreeMap::is_empty", default)]
        scripts: BTreeMap<String, Digest>,
    },
}

impl Definition {
    /// SHA-256 over its JSON. A test result names it, so that a result of an older definition is none of this one.
    pub fn digest(&self) -> Digest {
        Digest::sha256(&json::to_bytes(self))
    }
}
