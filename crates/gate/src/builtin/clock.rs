//! The clock: always there.

use std::sync::Arc;
use std::time::Duration;

use schleuse_model::time::human;
use schleuse_model::{Finding, Timestamp};

use crate::{Check, CheckId, Definition, Facts, Judge, Judgement, NoAnswer};

pub(crate) const ID: &str = "clock";

/// How far this machine's clock may be from the registry's: 5 min, what Kerberos allows, and long against any honest drift.
///
/// Soak, freeze and expiry are read off this clock, and its time is written into the journal for good. It blocks promotion, never
/// rollback.
pub const MAX_CLOCK_SKEW: Duration = Duration::from_secs(300);

pub(crate) fn check() -> Check {
    Check { id: CheckId::own(ID), producer: None, judge: Arc::new(Clock), definition: Definition::Clock }
}

#[derive(Debug)]
struct Clock;

impl Judge for Clock {
    fn judge(&self, facts: &Facts, _: Timestamp) -> Result<Judgement, NoAnswer> {
        let block = |message: String, hint| Ok(Judgement::Block(vec![Finding::new(ID, message).with_hint(hint)]));
        let Some(skew) = facts.registry_clock_skew else {
            return block(
                "the registry did not say what time it is".to_owned(),
                "it, or a proxy before it, leaves out the `Date` header",
            );
        };
        let apart = Duration::from_secs(skew.unsigned_abs());
        if apart > MAX_CLOCK_SKEW {
            let side = if skew > 0 { "ahead of" } else { "behind" };
            return block(
                format!("this machine's clock is {} {side} the registry's", human(apart)),
                "set the clock; rolling back works as it is",
            );
        }
        Ok(Judgement::Pass { note: format!("{} apart from the registry's", human(apart)) })
    }
}
