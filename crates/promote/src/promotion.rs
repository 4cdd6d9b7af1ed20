//! A promotion: from a release and an environment to a committed entry, a moved tag and, where there is a target, a rollout.
//!
//! # Expected flow
//!
//! resolve → verify → judge what needs nothing → produce → judge again → commit → tag → rollout (DESIGN §8). [`machine`] holds
//! the order, as a pure state machine; this module does the steps.

pub mod machine;

mod candidate;
mod judge;

use std::sync::Arc;

use schleuse_deploy::{Claimed, Target};
use schleuse_journal::{Appended, Event, VerifiedEntry};
use schleuse_model::{Digest, EnvironmentName, PinnedRef, Reference};
use schleuse_sign::Verified;
use schleuse_sign::candidate::Origin;
use schleuse_sign::fetch::Source;

use crate::error::Error;
use crate::observer::Note;
use crate::outcome::Outcome;
use crate::plan::{Plan, SCHEMA};
use crate::record::find_signature_on_record;
use crate::remember::{Listening, Remembering, Told};
use crate::resume;
use crate::retention::{hold, hold_on};
use crate::world::{Environment, World};
use candidate::Candidate;
use machine::{Fact, PromotionMachine, Step};

/// What is asked for.
#[derive(Clone, Debug)]
pub struct PromotionRequest {
    /// The release: none means what the rung before runs.
    pub image: Option<ImageChoice>,
    /// The rung it comes from; none for the first.
    pub from: Option<Environment>,
    /// Whether a release that failed here may be tried again.
    pub retry: bool,
}

/// How a person names a release.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ImageChoice {
    /// A reference.
    Reference(Reference),
    /// The first digits of a digest that the rung before, or this one, knows; at least 7.
    Digits(String),
}

/// A plan, and what the gate says to it now.
#[derive(Clone, Debug)]
pub struct Planned {
    /// The plan.
    pub plan: Plan,
    /// What speaks against it now; checks that would have to run first are not among it.
    pub blocked: Vec<schleuse_model::Finding>,
}

/// Everything that is known before the gate is asked.
struct Known {
    head: Option<VerifiedEntry>,
    candidate: Candidate,
    verified: Verified,
    plan: Plan,
}

/// Says what a promotion would do. Writes nothing.
///
/// # Errors
/// As [`promote`].
pub async fn plan(world: &World, to: &Environment, request: &PromotionRequest) -> Result<Planned, Error> {
    let head = to.head().await?;
    let known = look(world, to, request, head).await?;
    let blocked = judge::without_producers(world, to, request, &known).await?;
    Ok(Planned { plan: known.plan, blocked })
}

/// Promotes. A promotion that is done already is a success that changes nothing; one that a crash interrupted is finished.
///
/// # Errors
/// No outcome was reached: no answer, not trusted, or a lost race.
pub async fn promote(world: &World, to: &Environment, request: &PromotionRequest) -> Result<Outcome, Error> {
    let listening = Arc::new(Listening::new(world.referrers.clone()));
    let pull = Arc::new(Remembering::new(world.pull.clone()));
    let world = &World { pull, referrers: listening.clone(), ..world.clone() };
    // The claim before anything is decided: two runs never work on one target at a time.
    let claim = claim(to).await?;
    let mut head = to.head().await?;
    let settled = match &to.target {
        Some(target) => resume::settle_unrecorded(world, to, target, &mut head).await?,
        None => None,
    };
    let mut known = look(world, to, request, head).await?;
    note_release(world, request, &known);
    // A run of this very promotion had begun to go back when it died: that is how the promotion ends.
    if let Some(settled) = settled.filter(|settled| settled.leaves.digest == known.candidate.release.digest) {
        return Ok(settled.outcome);
    }
    if let Some(outcome) = unfinished(world, to, &known).await? {
        drop(claim);
        return Ok(outcome);
    }
    let mut machine = PromotionMachine::new(known.plan.hash(), to.target.is_some());
    let mut evidence = Vec::new();
    loop {
        let fact = match machine.next() {
            Step::Judge => Fact::Judged(judge::without_producers(world, to, request, &known).await?),
            Step::Produce => {
                let produced = judge::with_producers(world, to, request, &known).await?;
                evidence = produced.evidence;
                Fact::Judged(produced.findings)
            }
            Step::Commit => match commit(world, &listening, to, request, &known, evidence.clone()).await? {
                Appended::Won(entry) => {
                    known.head = Some(*entry);
                    Fact::Committed
                }
                Appended::Lost(winner) => {
                    let sequence = winner.entry().sequence;
                    let head = to.journal.head().await?;
                    known = look(world, to, request, head).await?;
                    Fact::Lost { plan: known.plan.hash(), sequence }
                }
            },
            Step::Tag => {
                // Where a rollout follows, it moves the tag itself: doing so here as well would only ask the registry twice.
                if let (Some(head), None) = (&known.head, &to.target) {
                    world.refresh_cache(to, head).await?;
                }
                Fact::Tagged
            }
            Step::RollOut => Fact::RolledOut(roll_out(world, to, &known).await?),
            Step::Blocked(findings) => {
                // A run that died between a verdict and its tag is not asked to go on here: its tag is. The "no" stands even if
                // that does not work.
                if let Some(head) = &known.head {
                    let _ = world.refresh_cache(to, head).await;
                }
                return Ok(Outcome::Blocked(findings));
            }
            Step::LostRace { sequence } => {
                return Err(Error::LostRace { environment: to.name().clone(), sequence });
            }
            Step::Done(outcome) => return Ok(outcome),
        };
        machine.record(fact);
    }
}

/// Takes the target's lease, where there is a target.
pub(crate) async fn claim(environment: &Environment) -> Result<Option<Box<dyn schleuse_deploy::Claim>>, Error> {
    let Some(target) = &environment.target else { return Ok(None) };
    match target.claim().await.map_err(|source| at(environment, source))? {
        Claimed::Yes(claim) => Ok(Some(claim)),
        Claimed::Busy => Err(Error::Busy { environment: environment.name().clone() }),
    }
}

pub(crate) fn at(environment: &Environment, source: schleuse_deploy::TargetError) -> Error {
    Error::Target { environment: environment.name().clone(), source }
}

/// Resolves the release, verifies its signature, and makes the plan.
async fn look(
    world: &World,
    to: &Environment,
    request: &PromotionRequest,
    head: Option<VerifiedEntry>,
) -> Result<Known, Error> {
    let candidate = candidate::find(world, to, request, head.as_ref()).await?;
    let image = to.journal.names().image.pin(candidate.release.digest.clone());
    let verified = signature(world, &image).await?;
    let plan = Plan {
        schema: SCHEMA.to_owned(),
        image: image.repository().clone(),
        release: candidate.release.clone(),
        from: request.from.as_ref().map(|from| from.name().clone()),
        to: to.name().clone(),
        policy: world.policy.clone(),
        checks: to.gate.definitions().into_iter().filter_map(as_value).collect(),
        running: head.as_ref().and_then(running),
        rollout: to.target.as_ref().and_then(|_| as_value(&to.health)),
    };
    Ok(Known { head, candidate, verified, plan })
}

async fn signature(world: &World, image: &PinnedRef) -> Result<Verified, Error> {
    let source = Source { pull: world.pull.as_ref(), referrers: world.referrers.as_ref() };
    find_signature_on_record(source, image, &world.trust, &world.record, world.clock.now()).await
}

fn running(head: &VerifiedEntry) -> Option<Digest> {
    head.entry().state.current.as_ref().map(|placed| placed.release.digest.clone())
}

fn as_value(settings: &impl serde::Serialize) -> Option<serde_json::Value> {
    serde_json::to_value(settings).ok()
}

fn note_release(world: &World, request: &PromotionRequest, known: &Known) {
    world.observer.note(Note::Release {
        release: known.candidate.release.clone(),
        from: request.from.as_ref().map(|from| from.name().clone()),
        since: known.candidate.standing.as_ref().map(|standing| standing.since),
    });
}

/// What an earlier run left: the same release's rollout is finished, another's is refused, and what is done is done.
async fn unfinished(world: &World, to: &Environment, known: &Known) -> Result<Option<Outcome>, Error> {
    let Some(head) = &known.head else { return Ok(None) };
    let state = &head.entry().state;
    let Some(current) = &state.current else { return Ok(None) };
    let same = current.release.digest == known.candidate.release.digest;
    match (&state.rollout, &to.target) {
        (Some(_), Some(target)) if same => Ok(Some(resume::take_over(world, to, target, head.clone()).await?)),
        (Some(_), _) => Err(Error::Unfinished { environment: to.name().clone(), release: current.release.clone() }),
        (None, target) if same && current.is_healthy() => {
            world.refresh_cache(to, head).await?;
            let runs = match target {
                Some(target) => resume::sweep(to, target, head).await?,
                None => true,
            };
            // What the journal has and the target has not is rolled out again.
            Ok(runs.then_some(Outcome::Already))
        }
        _ => Ok(None),
    }
}

async fn commit(
    world: &World,
    listening: &Arc<Listening>,
    to: &Environment,
    request: &PromotionRequest,
    known: &Known,
    mut evidence: Vec<Digest>,
) -> Result<Appended, Error> {
    let from: Option<EnvironmentName> = request.from.as_ref().map(|from| from.name().clone());
    let event = Event::Promoted { from, rollout: to.target.is_some() };
    evidence.insert(0, known.verified.evidence_digest());
    let mut draft = world.draft(event, &known.candidate.release);
    draft.plan = Some(known.plan.hash());
    draft.evidence = evidence;
    draft.signature = Some(encode(known.verified.evidence()));
    let relied_on = match known.verified.origin() {
        Origin::Referrer(manifest) => Some(manifest),
        _ => None,
    };
    let pinning = World { referrers: Arc::new(Told(listening.clone())), ..world.clone() };
    let held = hold(&pinning, to, known.head.as_ref(), &known.candidate.release.digest, relied_on).await?;
    let now = world.clock.now();
    let appended = to.journal.append(known.head.as_ref(), draft, world.signer.as_ref(), now).await?;
    if let Appended::Won(entry) = &appended {
        world.journaled(to, entry);
        hold_on(world, to, &held).await;
    }
    Ok(appended)
}

async fn roll_out(world: &World, to: &Environment, known: &Known) -> Result<Outcome, Error> {
    match (&to.target, &known.head) {
        (Some(target), Some(head)) => roll_out_from(world, to, target, head.clone()).await,
        _ => Ok(Outcome::Promoted),
    }
}

async fn roll_out_from(
    world: &World,
    to: &Environment,
    target: &Arc<dyn Target>,
    head: VerifiedEntry,
) -> Result<Outcome, Error> {
    resume::finish(world, to, target, head, None).await
}

fn encode(bytes: &[u8]) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.encode(bytes)
}
