//! The ladder: always there.

use std::sync::Arc;
use std::time::Duration;

use schleuse_model::time::human;
use schleuse_model::{Finding, Timestamp};

use crate::{Check, CheckId, Definition, Facts, Judge, Judgement, NoAnswer, Source, Standing, StandingVerdict};

pub(crate) const ID: &str = "ladder";

pub(crate) fn check(soak: Duration) -> Check {
    let soak_ms = u64::try_from(soak.as_millis()).unwrap_or(u64::MAX);
    let judge = Arc::new(Ladder { soak });
    Check { id: CheckId::own(ID), producer: None, judge, definition: Definition::Ladder { soak_ms } }
}

/// No rung is left out: a release must have been healthy in the rung before, for at least the soak. The first rung asks nothing.
#[derive(Debug)]
struct Ladder {
    /// Counted from the Healthy verdict, not from the promotion: time spent sick or unjudged is no soak.
    soak: Duration,
}

impl Judge for Ladder {
    fn judge(&self, facts: &Facts, now: Timestamp) -> Result<Judgement, NoAnswer> {
        let Some(source) = &facts.source else {
            return Ok(Judgement::Pass { note: "the first rung".to_owned() });
        };
        let image = &facts.release.digest;
        let standing = source.standing.as_ref().filter(|standing| standing.digest == *image);
        let finding = match standing.map(|standing| (standing, standing.verdict)) {
            Some((standing, StandingVerdict::Healthy | StandingVerdict::NoTarget)) => {
                return Ok(self.soaked(source, standing, now));
            }
            Some((_, StandingVerdict::NotJudged)) => {
                Finding::new(ID, format!("{} is in {} and not judged yet", image.short(), source.environment))
                    .with_hint("schleuse status".to_owned())
            }
            Some((_, StandingVerdict::Failed)) => {
                Finding::new(ID, format!("{} failed in {}", image.short(), source.environment))
                    .with_hint(format!("fix and build again, or: schleuse promote {} --retry", source.environment))
            }
            None => Finding::new(ID, format!("{} has not been healthy in {}", image.short(), source.environment))
                .with_hint(format!("schleuse promote {} {}", source.environment, image.short())),
        };
        Ok(Judgement::Block(vec![finding]))
    }
}

impl Ladder {
    fn soaked(&self, source: &Source, standing: &Standing, now: Timestamp) -> Judgement {
        let clears_at = standing.since.plus(self.soak);
        let word = if standing.verdict == StandingVerdict::Healthy { "healthy" } else { "promoted" };
        let soaked = human(now.since(standing.since));
        // A verdict of the future gives zero: a clock set back does not shorten the soak.
        if now >= clears_at {
            return Judgement::Pass { note: format!("{word} in {} for {soaked}", source.environment) };
        }
        let message = format!("{word} in {} for {soaked} of {}", source.environment, human(self.soak));
        Judgement::Block(vec![Finding { clears_at: Some(clears_at), ..Finding::new(ID, message) }])
    }
}
