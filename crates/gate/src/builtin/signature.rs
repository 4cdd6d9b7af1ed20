//! The signature: always there.

use std::sync::Arc;

use schleuse_model::{Finding, Timestamp};

use crate::{Check, CheckId, Definition, Facts, Judge, Judgement, NoAnswer};

pub(crate) const ID: &str = "signature";

pub(crate) fn check() -> Check {
    Check { id: CheckId::own(ID), producer: None, judge: Arc::new(Signature), definition: Definition::Signature }
}

/// Asks for a verified signature *of this digest*. The verifying itself is `sign`'s; this is the place where a gate cannot be
/// opened without it.
#[derive(Debug)]
struct Signature;

impl Judge for Signature {
    fn judge(&self, facts: &Facts, _: Timestamp) -> Result<Judgement, NoAnswer> {
        let image = &facts.release.digest;
        Ok(match &facts.signature {
            Some(signed) if signed.image == *image => Judgement::Pass { note: format!("trusted: {}", signed.signer) },
            Some(signed) => Judgement::Block(vec![Finding::new(
                ID,
                format!("the signature is for {}, not for {}", signed.image.short(), image.short()),
            )]),
            None => Judgement::Block(vec![
                Finding::new(ID, format!("{} has no trusted signature", image.short()))
                    .with_hint("only what the build role signed can be promoted; build it again in CI"),
            ]),
        })
    }
}
