//! The signed intent: a way back that is taken now and told to the journal later.
//!
//! Going back needs no registry. So the intention is signed and fsynced beside the target's receipt, the act follows, and the
//! entry is appended when the registry answers again (DESIGN §9). Whoever finds an intent checks its signature before acting on
//! it: the folder is the target's, not ours.

use schleuse_journal::RunId;
use schleuse_model::predicate::INTENT_V1;
use schleuse_model::{Actor, EnvironmentName, Release, Repository, Timestamp, json};
use schleuse_sign::{Attributed, Revocation, Role, Signer, Statement, Trust, attribute_envelope, sign_statement};
use serde::{Deserialize, Serialize};

use crate::error::Error;

/// The largest intent that is read.
const LIMIT: usize = 64 << 10;

/// What is about to be done, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Intent {
    /// The image's repository.
    pub image: Repository,
    /// Where.
    pub environment: EnvironmentName,
    /// Which release is left.
    pub leaves: Release,
    /// Which release is returned to; none: nothing ran before.
    pub returns_to: Option<Release>,
    /// Whether a person asked for it; else a failed rollout did.
    pub asked_for: bool,
    /// Why, one line.
    pub reason: String,
    /// The newest entry that the writer has seen.
    pub seen: u64,
    /// Which run.
    pub run: RunId,
    /// Who.
    pub actor: Actor,
    /// When.
    pub at: Timestamp,
}

impl Intent {
    /// Signs it.
    ///
    /// # Errors
    /// If the key does not sign.
    pub fn seal(&self, signer: &dyn Signer) -> Result<Vec<u8>, Error> {
        let statement = Statement::new(INTENT_V1, self.image.to_string(), &self.leaves.digest, json::to_bytes(self))
            .map_err(schleuse_sign::Error::from)?;
        Ok(sign_statement(signer, &statement)?)
    }

    /// Reads one and checks its signature and that it is about this environment.
    ///
    /// A superseded key's intent counts as its entries do, if it is dated before; a compromised key's does not. A break-glass key
    /// signs what a person asked for, not what a rollout decided.
    ///
    /// # Errors
    /// Signed by nobody who may, malformed, or about something else.
    pub fn open(bytes: &[u8], trust: &Trust, image: &Repository, environment: &EnvironmentName) -> Result<Self, Error> {
        let untrusted = |why: String| Error::UntrustedIntent { environment: environment.clone(), why };
        let attributed = attribute_envelope(bytes, trust, &[Role::Build, Role::BreakGlass], LIMIT)
            .map_err(|error| untrusted(error.to_string()))?;
        let about = attributed.statement().subjects();
        if attributed.statement().predicate_type() != INTENT_V1 || about.len() != 1 {
            return Err(untrusted("it is a signed statement, but not an intent".to_owned()));
        }
        let intent: Self = json::from_untrusted(attributed.statement().predicate_bytes(), LIMIT)
            .map_err(|error| untrusted(error.to_string()))?;
        if intent.image != *image || intent.environment != *environment {
            return Err(untrusted(format!("it is about {} in {}", intent.image, intent.environment)));
        }
        may_intend(&attributed, &intent).map_err(|reason| untrusted(reason.to_owned()))?;
        Ok(intent)
    }
}

fn may_intend(by: &Attributed, intent: &Intent) -> Result<(), &'static str> {
    match by.signer().revoked() {
        Some(Revocation::Compromised) => return Err("its key is compromised"),
        Some(Revocation::Superseded { since }) if intent.at >= since => {
            return Err("it is dated after its key was superseded");
        }
        Some(Revocation::Superseded { .. }) | None => {}
    }
    if by.role() == Role::BreakGlass && !intent.asked_for {
        return Err("a break-glass key signs only what a person asks for");
    }
    Ok(())
}

#[cfg(test)]
mod tests;
