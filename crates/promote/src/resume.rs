//! Going on after a crash: finishes what a dead run began, and tells the journal what was done without it.

use std::sync::Arc;

use schleuse_deploy::Target;
use schleuse_journal::{Event, Phase, VerifiedEntry};
use schleuse_model::{Digest, Release};

use crate::error::Error;
use crate::intent::Intent;
use crate::observer::Note;
use crate::outcome::Outcome;
use crate::promotion::{at, claim};
use crate::rollback::judged;
use crate::rollout::{Ending, deadline_from, drive};
use crate::world::{Environment, World};

/// Finishes whatever is unfinished in `environment`, and re-applies the journal's head to its caches.
///
/// # Errors
/// No outcome was reached.
pub async fn resume(world: &World, environment: &Environment) -> Result<Outcome, Error> {
    let _claim = claim(environment).await?;
    let mut head = environment.head().await?;
    let Some(target) = &environment.target else {
        if let Some(head) = &head {
            world.refresh_cache(environment, head).await?;
        }
        return Ok(Outcome::NothingToDo);
    };
    if let Some(settled) = settle_unrecorded(world, environment, target, &mut head).await? {
        return Ok(settled.outcome);
    }
    let Some(head) = head else { return Ok(Outcome::NothingToDo) };
    if head.entry().state.rollout.is_some() {
        return take_over(world, environment, target, head).await;
    }
    world.refresh_cache(environment, &head).await?;
    sweep(environment, target, &head).await?;
    Ok(Outcome::NothingToDo)
}

/// A way back that was taken without the journal, and is told now.
pub(crate) struct Settled {
    /// The release that was left.
    pub(crate) leaves: Release,
    /// What it came to.
    pub(crate) outcome: Outcome,
}

/// Finishes and records a way back that was begun while the journal could not be told. `head` is renewed.
pub(crate) async fn settle_unrecorded(
    world: &World,
    environment: &Environment,
    target: &Arc<dyn Target>,
    head: &mut Option<VerifiedEntry>,
) -> Result<Option<Settled>, Error> {
    let Some(bytes) = target.read_intent().await.map_err(|source| at(environment, source))? else { return Ok(None) };
    let image = &environment.journal.names().image;
    let intent = Intent::open(&bytes, &world.trust, image, environment.name())?;
    // A break-glass key does not finish what a rollout of the CI had begun: going back is an entry of its own, and says as much.
    if !intent.asked_for && world.only_goes_back() {
        return Ok(None);
    }
    let Some(newest) = head.clone() else {
        return Err(Error::UntrustedIntent {
            environment: environment.name().clone(),
            why: "it leaves a release of an environment that has no journal".to_owned(),
        });
    };
    let leaves = intent.leaves.clone();
    let outcome = if intent.asked_for {
        Some(record_asked_for(world, environment, target, &newest, &intent).await?)
    } else if of_unfinished_rollout(&newest, &intent) {
        let newest = own(world, environment, newest).await?;
        Some(finish(world, environment, target, newest, Some(intent)).await?)
    } else {
        // The journal has it already; the run died between telling it and dropping the note.
        None
    };
    if !matches!(
        outcome,
        Some(Outcome::RolledBack { unrecorded: true, .. } | Outcome::RollbackFailed { unrecorded: true, .. })
    ) {
        target.clear_intent().await.map_err(|source| at(environment, source))?;
    }
    *head = environment.journal.head().await?;
    Ok(outcome.map(|outcome| Settled { leaves, outcome }))
}

fn of_unfinished_rollout(head: &VerifiedEntry, intent: &Intent) -> bool {
    let state = &head.entry().state;
    let leaves = state.current.as_ref().is_some_and(|current| current.release.digest == intent.leaves.digest);
    let started = state.rollout.as_ref().is_some_and(|rollout| rollout.phase != Phase::Admitted && !rollout.rollback);
    leaves && started
}

/// A person went back while the registry was down: the target did it, the journal learns of it now.
async fn record_asked_for(
    world: &World,
    environment: &Environment,
    target: &Arc<dyn Target>,
    head: &VerifiedEntry,
    intent: &Intent,
) -> Result<Outcome, Error> {
    let state = &head.entry().state;
    let still_left = state.current.as_ref().is_some_and(|current| current.release.digest == intent.leaves.digest);
    let Some(release) = intent.returns_to.as_ref().filter(|_| still_left) else {
        // Told already; perhaps by a run that died before the tag.
        world.refresh_cache(environment, head).await?;
        return Ok(Outcome::WentBack);
    };
    let proven = state.good.iter().any(|placed| placed.release.digest == release.digest);
    if !proven {
        return to_the_proven_one(world, environment, target, head, intent).await;
    }
    let standing = target.standing().await.map_err(|source| at(environment, source))?;
    if let Some(receipt) = &standing.receipt {
        target.restore(receipt).await.map_err(|source| at(environment, source))?;
        // The entry will call it healthy: that has to be seen, not assumed. Until then the intent stays.
        let outcome = judged(world, environment, target, receipt, release).await?;
        if outcome != Outcome::WentBack {
            return Ok(outcome);
        }
    }
    let event = Event::Rollback { reason: Some(intent.reason.clone()), rollout: false };
    let entry = world.append(environment, head, world.draft(event, release)).await?;
    world.refresh_cache(environment, &entry).await?;
    Ok(Outcome::WentBack)
}

/// What the target had kept is no release with a healthy verdict, so the journal takes no such entry: on to the one it would have
/// named.
async fn to_the_proven_one(
    world: &World,
    environment: &Environment,
    target: &Arc<dyn Target>,
    head: &VerifiedEntry,
    intent: &Intent,
) -> Result<Outcome, Error> {
    let Some(way_back) = head.entry().state.way_back() else {
        let reason = "the target was taken back to a release without a healthy verdict, and there is none with one";
        return Ok(Outcome::RollbackFailed { reason: reason.to_owned(), unrecorded: false });
    };
    let event = Event::Rollback { reason: Some(intent.reason.clone()), rollout: true };
    let entry = world.append(environment, head, world.draft(event, &way_back.release)).await?;
    finish(world, environment, target, entry, None).await
}

/// Takes an unfinished rollout over and drives it to its end.
pub(crate) async fn take_over(
    world: &World,
    environment: &Environment,
    target: &Arc<dyn Target>,
    head: VerifiedEntry,
) -> Result<Outcome, Error> {
    let head = own(world, environment, head).await?;
    finish(world, environment, target, head, None).await
}

/// Makes this run the one that has the rollout: an entry of its own, so that a run that wakes up again is fenced off.
async fn own(world: &World, environment: &Environment, head: VerifiedEntry) -> Result<VerifiedEntry, Error> {
    let state = &head.entry().state;
    let (Some(rollout), Some(current)) = (&state.rollout, &state.current) else { return Ok(head) };
    if rollout.run == world.run {
        return Ok(head);
    }
    world.observer.note(Note::TakingOver { from: rollout.run.as_str().chars().take(8).collect() });
    let deadline = deadline_from(environment, world.clock.now());
    let event = Event::TakenOver { from: rollout.run.clone(), deadline };
    let draft = world.draft(event, &current.release);
    world.append(environment, &head, draft).await
}

/// Drives the rollout of `head` to its end, then moves the tag to where the journal stands.
pub(crate) async fn finish(
    world: &World,
    environment: &Environment,
    target: &Arc<dyn Target>,
    head: VerifiedEntry,
    intent: Option<Intent>,
) -> Result<Outcome, Error> {
    // On the way back the tag waits: it would be moved to what is being left.
    if intent.is_none() {
        world.refresh_tag_or_later(environment, &head).await?;
    }
    let rollback = head.entry().state.rollout.as_ref().is_some_and(|rollout| rollout.rollback);
    let driven = drive(world, environment, target, head, intent).await?;
    // The verdict is journaled; a tag that cannot follow now (a registry that went away, immutable tags) does not unsay it.
    if !driven.unrecorded
        && let Err(error) = world.refresh_cache(environment, &driven.head).await
    {
        world.observer.note(Note::TagBehind { why: error.to_string() });
    }
    let unrecorded = driven.unrecorded;
    Ok(match driven.ending {
        Ending::Healthy if rollback => Outcome::WentBack,
        Ending::Healthy => Outcome::Promoted,
        Ending::Held(reason) => Outcome::Held { reason },
        Ending::RolledBack(reason) => Outcome::RolledBack { reason, unrecorded },
        Ending::Failed(reason) => Outcome::RollbackFailed { reason, unrecorded },
        Ending::Aborted(reason) => Outcome::Aborted { reason },
    })
}

/// Drops an old instance that a run left standing when it died after its verdict. Answers whether the target runs what the
/// journal says: a machine that was set up anew, or started anew, does not.
pub(crate) async fn sweep(
    environment: &Environment,
    target: &Arc<dyn Target>,
    head: &VerifiedEntry,
) -> Result<bool, Error> {
    let standing = target.standing().await.map_err(|source| at(environment, source))?;
    let judged = head.entry().state.current.as_ref().filter(|current| current.is_healthy());
    let is_judged = |digest: &Digest| judged.is_some_and(|current| current.release.digest == *digest);
    let runs = standing.alive && standing.active.as_ref().is_some_and(|active| is_judged(&active.release.digest));
    if let Some(receipt) = standing.receipt.filter(|receipt| standing.unsettled && is_judged(receipt.image().digest()))
    {
        target.settle(&receipt).await.map_err(|source| at(environment, source))?;
    }
    Ok(runs)
}
