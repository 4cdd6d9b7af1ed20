//! What a promotion would do, as immutable data.

use schleuse_model::{Digest, EnvironmentName, Release, Repository, json};
use serde::{Deserialize, Serialize};

/// The plan of one promotion.
///
/// Its hash is what an approval is bound to and what a loser of a race compares: it covers what is decided upon, and leaves out
/// what changes by itself (times, results, approvals, the journal's sequence).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Plan {
    /// `schleuse-plan-v1`.
    pub schema: String,
    /// The image's repository.
    pub image: Repository,
    /// What is promoted.
    pub release: Release,
    /// From where; none for the first rung.
    pub from: Option<EnvironmentName>,
    /// To where.
    pub to: EnvironmentName,
    /// The digest of the policy in force.
    pub policy: Digest,
    /// The checks' definitions, with their scripts' digests.
    pub checks: Vec<serde_json::Value>,
    /// What runs there now.
    pub running: Option<Digest>,
    /// How the rollout is judged; none where there is no target.
    pub rollout: Option<serde_json::Value>,
}

/// The plan format's name.
pub const SCHEMA: &str = "schleuse-plan-v1";

impl Plan {
    /// SHA-256 over the plan's ordered JSON.
    pub fn hash(&self) -> Digest {
        Digest::sha256(&json::to_bytes(self))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan() -> Plan {
        Plan {
            schema: SCHEMA.to_owned(),
            image: "ghcr.io/acme/billing".parse().unwrap(),
            release: Release { digest: Digest::sha256(b"a"), commit: None, version: Some("1.4.0".to_owned()) },
            from: Some("staging".parse().unwrap()),
            to: "canary".parse().unwrap(),
            policy: Digest::sha256(b"policy"),
            checks: vec![serde_json::json!({"id": "smoke"})],
            running: Some(Digest::sha256(b"b")),
            rollout: None,
        }
    }

    #[test]
    fn the_hash_is_stable_and_covers_each_field() {
        // Golden: a change here breaks approvals that were given on a plan.
        assert_eq!(plan().hash().short(), "0c22289ecc55");
        let changes: [fn(&mut Plan); 6] = [
            |plan| plan.release.digest = Digest::sha256(b"x"),
            |plan| plan.from = None,
            |plan| plan.policy = Digest::sha256(b"x"),
            |plan| plan.checks.clear(),
            |plan| plan.running = None,
            |plan| plan.rollout = Some(serde_json::json!({})),
        ];
        for change in changes {
            let mut other = plan();
            change(&mut other);
            assert_ne!(other.hash(), plan().hash());
        }
    }
}
