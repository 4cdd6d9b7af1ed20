//! Going back because a person says so. Shorter than the way forward: no soak, no freeze, no approval, and it works with the
//! registry down (DESIGN, law 6).

use std::sync::Arc;

use schleuse_deploy::{Receipt, Standing, Target};
use schleuse_journal::{Appended, Event, Phase, State, VerifiedEntry};
use schleuse_model::{Digest, Exit, Explain as _, Release};

use crate::error::Error;
use crate::intent::Intent;
use crate::observer::Note;
use crate::outcome::Outcome;
use crate::promotion::{at, claim};
use crate::resume::{finish, settle_unrecorded, take_over};
use crate::retention::hold_after;
use crate::rollout::restored_answers;
use crate::world::{Environment, World};

/// How often a lost race is tried again: going back matters more than who was first.
const TRIES: u32 = 5;

/// What is asked for.
#[derive(Clone, Debug, Default)]
pub struct RollbackRequest {
    /// To which release: the first digits of its digest; none: the newest with a healthy verdict before the current one.
    pub to: Option<String>,
    /// Why, in the person's words.
    pub reason: Option<String>,
}

/// What a rollback would do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WayBack {
    /// What runs now.
    pub leaves: Option<Release>,
    /// What would run.
    pub returns_to: Release,
}

/// Says where a rollback would go. `None`: there is nowhere to go back to, as far as the journal says.
///
/// # Errors
/// The journal gives no answer or is not trusted.
pub async fn way_back(environment: &Environment, request: &RollbackRequest) -> Result<Option<WayBack>, Error> {
    let Some(head) = environment.journal.head().await? else { return Ok(None) };
    let state = &head.entry().state;
    let leaves = state.current.as_ref().map(|placed| placed.release.clone());
    Ok(choose(state, request).map(|returns_to| WayBack { leaves, returns_to }))
}

/// Goes back.
///
/// # Errors
/// No outcome was reached; nothing was changed, unless an entry says so.
pub async fn rollback(world: &World, environment: &Environment, request: &RollbackRequest) -> Result<Outcome, Error> {
    let _claim = claim(environment).await?;
    let mut head = match environment.head().await {
        Ok(Some(head)) => Some(head),
        // Empty: never promoted, or wiped. The target knows which.
        Ok(None) => {
            let error = Error::NoWayBack { environment: environment.name().clone() };
            return without_journal(world, environment, request, error).await;
        }
        // No answer, or one that is not trusted: the target's own receipt is enough to go back by.
        Err(error) => return without_journal(world, environment, request, error).await,
    };
    if let Some(target) = &environment.target
        && let Some(outcome) = finish_what_was_begun(world, environment, target, request, &mut head).await?
    {
        return Ok(outcome);
    }
    let leaves = head.as_ref().and_then(running);
    let mut tries = 0;
    let head = loop {
        let Some(newest) = head.take() else {
            return Err(Error::NoWayBack { environment: environment.name().clone() });
        };
        let release = choose(&newest.entry().state, request)
            .ok_or_else(|| Error::NoWayBack { environment: environment.name().clone() })?;
        match append(world, environment, &newest, &release, request).await? {
            Appended::Won(entry) => break *entry,
            // Somebody else has changed what runs: the release that was to be left is left, and choosing again from there
            // could come back to it.
            Appended::Lost(winner) if running(&winner) != leaves => {
                let sequence = winner.entry().sequence;
                return Err(Error::LostRace { environment: environment.name().clone(), sequence });
            }
            Appended::Lost(_) if tries < TRIES => {
                tries += 1;
                head = environment.journal.head().await?;
            }
            Appended::Lost(winner) => {
                let sequence = winner.entry().sequence;
                return Err(Error::LostRace { environment: environment.name().clone(), sequence });
            }
        }
    };
    world.journaled(environment, &head);
    if let Some(target) = environment.target.as_ref().filter(|_| world.only_goes_back()) {
        // The CI's own intent, which was left alone until here: it is of a rollout that has been left.
        target.clear_intent().await.map_err(|source| at(environment, source))?;
    }
    let outcome = match &environment.target {
        Some(target) => finish(world, environment, target, head.clone(), None).await?,
        None => {
            world.refresh_cache(environment, &head).await?;
            Outcome::WentBack
        }
    };
    // Back first. Only a release further back than the last good one is not pinned already.
    hold_after(world, environment, &head).await;
    Ok(outcome)
}

/// A way back that a dead run left half done is finished, not answered with another one: going back twice because the tool was
/// killed once would leave a good release. (One that is held waits for a person, and here is one: it is left.)
async fn finish_what_was_begun(
    world: &World,
    environment: &Environment,
    target: &Arc<dyn Target>,
    request: &RollbackRequest,
    head: &mut Option<VerifiedEntry>,
) -> Result<Option<Outcome>, Error> {
    let told = settle_unrecorded(world, environment, target, head).await?;
    if let Some(told) = told.filter(|_| request.to.is_none()) {
        return Ok(Some(told.outcome));
    }
    let Some(newest) = head.as_ref().filter(|newest| is_under_way(&newest.entry().state, request)) else {
        return Ok(None);
    };
    Ok(Some(take_over(world, environment, target, newest.clone()).await?))
}

/// Whether the way back that is asked for has an unfinished rollout.
fn is_under_way(state: &State, request: &RollbackRequest) -> bool {
    let (Some(rollout), Some(current)) = (&state.rollout, &state.current) else { return false };
    let meant = request.to.as_ref().is_none_or(|digits| current.release.digest.hex().starts_with(hex(digits)));
    rollout.rollback && meant && !matches!(rollout.phase, Phase::Held { .. })
}

fn hex(digits: &str) -> &str {
    digits.strip_prefix("sha256:").unwrap_or(digits)
}

fn running(head: &VerifiedEntry) -> Option<Digest> {
    head.entry().state.current.as_ref().map(|placed| placed.release.digest.clone())
}

async fn append(
    world: &World,
    environment: &Environment,
    head: &VerifiedEntry,
    release: &Release,
    request: &RollbackRequest,
) -> Result<Appended, Error> {
    let event = Event::Rollback { reason: request.reason.clone(), rollout: environment.target.is_some() };
    let draft = world.draft(event, release);
    let now = world.clock.now();
    Ok(environment.journal.append(Some(head), draft, world.signer.as_ref(), now).await?)
}

/// The release asked for, or the newest proven one that is not running.
fn choose(state: &State, request: &RollbackRequest) -> Option<Release> {
    let Some(digits) = &request.to else { return state.way_back().map(|placed| placed.release.clone()) };
    let digits = hex(digits);
    // One that was gone back to and failed then may be asked for again, by name.
    let current = state.current.as_ref().filter(|placed| placed.is_healthy()).map(|placed| &placed.release.digest);
    let proven = state.good.iter().rev().map(|placed| &placed.release);
    let mut matching =
        proven.filter(|release| release.digest.hex().starts_with(digits) && Some(&release.digest) != current);
    matching.next().cloned()
}

/// The registry is down, or its journal cannot be believed: back to the instance that the target has kept, with a signed intent
/// that `resume` tells the journal later.
async fn without_journal(
    world: &World,
    environment: &Environment,
    request: &RollbackRequest,
    error: Error,
) -> Result<Outcome, Error> {
    let Some(target) = &environment.target else { return Err(error) };
    if error.exit() == Exit::Usage {
        return Err(error);
    }
    let standing = target.standing().await.map_err(|source| at(environment, source))?;
    let Standing { receipt: Some(receipt), active, .. } = standing else { return Err(error) };
    // What a way back left was left on purpose: without the journal the target knows of nothing to return to then.
    if receipt.is_rollback() {
        return Err(error);
    }
    let Some(returns_to) = receipt.previous_release().cloned() else {
        return Err(Error::NoWayBack { environment: environment.name().clone() });
    };
    // The target knows the one before only. Another one that is asked for by name needs the journal.
    if request.to.as_ref().is_some_and(|digits| !returns_to.digest.hex().starts_with(hex(digits))) {
        return Err(error);
    }
    if active.as_ref() == receipt.previous() {
        // It is back already. Asked again after a crash that is what is wanted; else the target knows of nothing further back.
        let untold = target.read_intent().await.map_err(|source| at(environment, source))?.is_some();
        return if untold { judged(world, environment, target, &receipt, &returns_to).await } else { Err(error) };
    }
    let intent = Intent {
        image: environment.journal.names().image.clone(),
        environment: environment.name().clone(),
        leaves: receipt.release().clone(),
        returns_to: Some(returns_to.clone()),
        asked_for: true,
        reason: request.reason.clone().unwrap_or_else(|| "asked for while the registry gave no answer".to_owned()),
        seen: receipt.sequence(),
        run: world.run.clone(),
        actor: world.actor.clone(),
        at: world.clock.now(),
    };
    let bytes = intent.seal(world.signer.as_ref())?;
    // Read as `resume` will read it, before anything is changed: a way back that cannot be recorded later is none (law 6).
    Intent::open(&bytes, &world.trust, &intent.image, environment.name()).map_err(|error| match error {
        Error::UntrustedIntent { why, .. } => Error::KeyNotBelieved { why },
        other => other,
    })?;
    target.write_intent(&bytes).await.map_err(|source| at(environment, source))?;
    target.restore(&receipt).await.map_err(|source| at(environment, source))?;
    world.observer.note(Note::Unrecorded { why: error.to_string() });
    judged(world, environment, target, &receipt, &returns_to).await
}

/// Whether users reach what was returned to: a way back that nobody can use is none, journal or not.
pub(crate) async fn judged(
    world: &World,
    environment: &Environment,
    target: &Arc<dyn Target>,
    receipt: &Receipt,
    release: &Release,
) -> Result<Outcome, Error> {
    let answers = restored_answers(world, environment, target, receipt, release).await;
    Ok(match answers.map_err(|source| at(environment, source))? {
        Ok(()) => Outcome::WentBack,
        Err(why) => {
            let reason = format!("the restored release does not answer: {why}");
            Outcome::RollbackFailed { reason, unrecorded: true }
        }
    })
}
