//! Why a signature was not accepted.

use std::collections::BTreeSet;

use schleuse_model::{Exit, Explain, PinnedRef, Timestamp};

use crate::candidate::Origin;
use crate::error::Malformed;
use crate::keys::Fingerprint;
use crate::trust::Role;

/// Why one candidate was not accepted. A "no", never a "don't know".
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Reason {
    /// Signed by nobody we know.
    #[error("not signed by any trusted key")]
    UnknownKey {
        /// The key it claims, as a bundle spells it. Unsigned.
        hint: Option<String>,
    },
    /// It names a trusted key, and that key did not sign these bytes.
    #[error("names the key {}, but the signature does not match: it was changed, or is forged", key.short())]
    BadSignature {
        /// The trusted key that it names.
        key: Fingerprint,
    },
    /// Signed by a key that is trusted for something else.
    #[error("signed by {}, which is trusted for {}, not for {needed}", key.short(), names(holds))]
    WrongRole {
        /// The key.
        key: Fingerprint,
        /// What it is trusted for.
        holds: Vec<Role>,
        /// What is needed.
        needed: Role,
    },
    /// Well signed, by a key that was replaced, and the journal does not know the image from before.
    #[error("signed by {}, superseded on {since}: that holds only for what the journal named before", key.short())]
    Superseded {
        /// The key.
        key: Fingerprint,
        /// When it was replaced.
        since: Timestamp,
    },
    /// Well signed, by a key that others may have.
    #[error("signed by {}, which is compromised: it holds for nothing until it is signed again", key.short())]
    Compromised {
        /// The key.
        key: Fingerprint,
    },
    /// Well signed, without the annotation that is demanded.
    #[error("signed without `{name}={wanted}`")]
    Annotation {
        /// Its name.
        name: String,
        /// The value demanded.
        wanted: String,
    },
    /// Well signed, about something else.
    #[error("a signature of {found}, not of this image")]
    WrongDigest {
        /// What it is about, shortened.
        found: String,
    },
    /// Well signed, but it says something about the image instead of signing it.
    #[error("an attestation ({predicate_type}), not a signature")]
    NotASignature {
        /// What it says.
        predicate_type: String,
    },
    /// Well signed, but it says something else than what is asked for.
    #[error("a statement of type {found}, not {expected}")]
    WrongPredicate {
        /// What it says.
        found: String,
        /// What is needed.
        expected: String,
    },
    /// The envelope holds something other than a statement.
    #[error("an envelope of the payload type {found}, not a statement")]
    PayloadType {
        /// What it calls its payload, shortened.
        found: String,
    },
    /// It cannot be read as what it claims to be.
    #[error(transparent)]
    Malformed(#[from] Malformed),
    /// More bytes than any signature has.
    #[error("{size} bytes; at most {limit} are read")]
    TooLarge {
        /// Its size.
        size: u64,
        /// The limit.
        limit: u64,
    },
    /// More bytes than its manifest says. None of them is read.
    #[error("more than the {size} bytes that its manifest declares")]
    LargerThanDeclared {
        /// The size declared.
        size: u64,
    },
    /// The registry lists it and does not have it.
    #[error("listed by the registry, but not there any more")]
    Gone,
}

impl Reason {
    /// How soon it is told where there are several.
    const fn rank(&self) -> u8 {
        match self {
            Self::BadSignature { .. }
            | Self::WrongRole { .. }
            | Self::Superseded { .. }
            | Self::Compromised { .. }
            | Self::Annotation { .. }
            | Self::WrongDigest { .. } => 0,
            Self::PayloadType { .. }
            | Self::Malformed(_)
            | Self::TooLarge { .. }
            | Self::LargerThanDeclared { .. }
            | Self::Gone => 1,
            Self::UnknownKey { .. } => 2,
            Self::WrongPredicate { .. } | Self::NotASignature { .. } => 3,
        }
    }
}

fn names(roles: &[Role]) -> String {
    if roles.is_empty() {
        return "nothing".to_owned();
    }
    roles.iter().map(|role| role.name()).collect::<Vec<_>>().join(" and ")
}

/// One candidate that was not accepted, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rejected {
    /// Where it was found.
    pub origin: Origin,
    /// Why it was not accepted.
    pub reason: Reason,
}

impl Rejected {
    /// These, the telling ones first: what says something about the keys we trust, or is damaged, before what strangers signed and
    /// what is no signature at all. Of the last two there may be any number, and they explain nothing. In the order given otherwise.
    pub fn telling_first(rejected: &[Self]) -> Vec<&Self> {
        let mut sorted: Vec<&Self> = rejected.iter().collect();
        sorted.sort_by_key(|one| one.reason.rank());
        sorted
    }

    /// When the superseded keys among these were replaced: what the journal says of that may change the verdict. Empty: no journal
    /// needs to be asked.
    pub fn superseded(rejected: &[Self]) -> BTreeSet<Timestamp> {
        let since = |one: &Self| match one.reason {
            Reason::Superseded { since, .. } => Some(since),
            _ => None,
        };
        rejected.iter().filter_map(since).collect()
    }
}

/// Nothing that was found is a signature we trust.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum VerifyError {
    /// There is no key that could have made an acceptable signature.
    #[error("no key is trusted for `{role}`: no signature of {image} can be accepted")]
    NobodyTrusted {
        /// The image.
        image: PinnedRef,
        /// The role.
        role: Role,
    },
    /// More signers are demanded than there are.
    #[error("{needed} signers are demanded, and only {possible} are trusted for `{role}`")]
    TooFewTrusted {
        /// How many are demanded.
        needed: usize,
        /// How many there are.
        possible: usize,
        /// The role.
        role: Role,
    },
    /// The registry was read, and there is nothing.
    #[error("{image} is not signed: the registry has no signature of it")]
    NoSignature {
        /// The image.
        image: PinnedRef,
    },
    /// There is something, and none of it is acceptable.
    #[error("{image} is not signed by a key trusted for `{role}`: {}", list(rejected))]
    NotTrusted {
        /// The image.
        image: PinnedRef,
        /// The role.
        role: Role,
        /// Every candidate, in the order it was read.
        rejected: Vec<Rejected>,
    },
    /// Some have signed, not enough.
    #[error("{image} is signed by {} of the {needed} signers demanded{}", by.join(" and "), also(rejected))]
    TooFew {
        /// The image.
        image: PinnedRef,
        /// The role.
        role: Role,
        /// How many are demanded.
        needed: usize,
        /// Who has signed, short.
        by: Vec<String>,
        /// What does not count, in the order it was read.
        rejected: Vec<Rejected>,
    },
}

impl VerifyError {
    /// What was found and not accepted.
    pub fn rejected(&self) -> &[Rejected] {
        match self {
            Self::NotTrusted { rejected, .. } | Self::TooFew { rejected, .. } => rejected,
            Self::NobodyTrusted { .. } | Self::TooFewTrusted { .. } | Self::NoSignature { .. } => &[],
        }
    }
}

fn also(rejected: &[Rejected]) -> String {
    if rejected.is_empty() { String::new() } else { format!("; {}", list(rejected)) }
}

/// The most telling rejections as one line.
fn list(rejected: &[Rejected]) -> String {
    const SHOWN: usize = 4;
    let mut line: Vec<String> = Rejected::telling_first(rejected)
        .iter()
        .take(SHOWN)
        .map(|one| format!("{}: {}", one.origin, one.reason))
        .collect();
    if rejected.len() > SHOWN {
        line.push(format!("and {} more", rejected.len() - SHOWN));
    }
    line.join("; ")
}

impl Explain for VerifyError {
    fn exit(&self) -> Exit {
        match self {
            Self::NobodyTrusted { .. } | Self::TooFewTrusted { .. } => Exit::Usage,
            Self::NoSignature { .. } | Self::NotTrusted { .. } | Self::TooFew { .. } => Exit::Untrusted,
        }
    }

    fn hints(&self) -> Vec<String> {
        let list_the_key =
            |role: &Role| format!("list the signer's public key as `{role}` under [trust] in schleuse.toml");
        match self {
            Self::NobodyTrusted { role, .. } => vec![list_the_key(role)],
            Self::NoSignature { image } => vec![format!("if this build is yours, sign it: `schleuse sign {image}`")],
            Self::TooFewTrusted { role, .. } => vec![format!("keys of one person count once; {}", list_the_key(role))],
            Self::TooFew { image, .. } => {
                vec![format!("each missing signer signs it: `schleuse sign --key … {image}`")]
            }
            Self::NotTrusted { role, rejected, image } => {
                let any = |test: fn(&Reason) -> bool| rejected.iter().any(|one| test(&one.reason));
                let mut hints = Vec::new();
                if any(|reason| matches!(reason, Reason::BadSignature { .. } | Reason::WrongDigest { .. })) {
                    hints.push(
                        "somebody put a signature there that is not of this image: find out who before you go on"
                            .to_owned(),
                    );
                }
                if any(|reason| matches!(reason, Reason::UnknownKey { .. } | Reason::WrongRole { .. })) {
                    hints.push(format!("if you trust that key for this: {}", list_the_key(role)));
                }
                if any(|reason| matches!(reason, Reason::Superseded { .. } | Reason::Compromised { .. })) {
                    hints.push(format!("if it is good, sign it again with the key of today: `schleuse sign {image}`"));
                }
                if any(|reason| matches!(reason, Reason::NotASignature { .. })) {
                    hints.push("an attestation does not sign the image: `schleuse sign` does".to_owned());
                }
                hints
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_tells_something_is_told_first() {
        let rejected: Vec<Rejected> = [
            Reason::NotASignature { predicate_type: "a".to_owned() },
            Reason::UnknownKey { hint: None },
            Reason::NotASignature { predicate_type: "b".to_owned() },
            Reason::UnknownKey { hint: None },
            Reason::Gone,
            Reason::WrongDigest { found: "x".to_owned() },
            Reason::Annotation { name: "team".to_owned(), wanted: "billing".to_owned() },
        ]
        .into_iter()
        .map(|reason| Rejected { origin: Origin::Carried, reason })
        .collect();
        let sorted: Vec<String> = Rejected::telling_first(&rejected).iter().map(|one| one.reason.to_string()).collect();
        let said: Vec<&str> = sorted.iter().map(String::as_str).collect();
        assert_eq!(
            said,
            [
                "a signature of x, not of this image",
                "signed without `team=billing`",
                "listed by the registry, but not there any more",
                "not signed by any trusted key",
                "not signed by any trusted key",
                "an attestation (a), not a signature",
                "an attestation (b), not a signature",
            ]
        );
        let line = list(&rejected);
        assert!(line.contains("a signature of x") && line.contains("signed without"), "{line}");
        assert!(line.ends_with("and 3 more") && !line.contains("an attestation"), "{line}");
        let image = format!("ghcr.io/acme/billing@sha256:{}", "0".repeat(64)).parse().unwrap();
        let error = VerifyError::NotTrusted { image, role: Role::Build, rejected: rejected.clone() };
        assert_eq!(error.rejected(), rejected, "the field keeps the order of the registry");
    }
}
