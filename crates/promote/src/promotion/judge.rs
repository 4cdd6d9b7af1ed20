//! Asking the gate: gathers the facts, lets the judges speak, runs producers and stores what they say as signed evidence.

use std::collections::BTreeMap;

use schleuse_gate::{
    CheckId, Decision, Evidence, Facts, GateResult, Judgement, SignedBy, Source, Standing, StandingVerdict, Subject,
};
use schleuse_model::predicate::TEST_RESULT_V01;
use schleuse_model::predicate::test_result::TestResult;
use schleuse_model::{Digest, Finding, json};
use schleuse_sign::{Statement, Store, attach_statement};

use super::{Known, PromotionRequest};
use crate::error::Error;
use crate::observer::Note;
use crate::world::{Environment, World};

/// What the gate says after everything has run.
pub(super) struct Judged {
    pub(super) findings: Vec<Finding>,
    /// The digests of the statements that were stored.
    pub(super) evidence: Vec<Digest>,
}

/// What speaks against the promotion before anything is run. Empty: nothing.
pub(super) async fn without_producers(
    world: &World,
    to: &Environment,
    request: &PromotionRequest,
    known: &Known,
) -> Result<Vec<Finding>, Error> {
    let facts = facts(world, to, request, known, BTreeMap::new());
    let now = world.clock.now();
    let mut found = failed_before(to, request, known);
    found.extend(without_way_back(world, to, known).await?);
    found.extend(findings(world, &to.gate.judge_before_producing(&facts, now))?);
    Ok(found)
}

/// Runs the producers that are needed, signs and stores their results, and asks every judge.
pub(super) async fn with_producers(
    world: &World,
    to: &Environment,
    request: &PromotionRequest,
    known: &Known,
) -> Result<Judged, Error> {
    let before = facts(world, to, request, known, BTreeMap::new());
    let image = to.journal.names().image.pin(known.candidate.release.digest.clone());
    let subject = Subject { image, environment: to.name().clone(), base_url: None };
    let mut results = BTreeMap::new();
    let mut evidence = Vec::new();
    world.observer.note(Note::Producing);
    for (check, produced) in to.gate.produce(&subject, &before, world.clock.now()).await {
        let produced = produced?;
        evidence.push(store(world, &subject, &produced.result).await?);
        if !produced.last_lines.is_empty() {
            let text = produced.last_lines.join("\n");
            world.observer.note(Note::CheckSaid { check: check.to_string(), took: produced.took, text });
        }
        results.insert(check, Evidence::Found(produced.result));
    }
    // Time has passed: every judge is asked again, with what was produced.
    let after = facts(world, to, request, known, results);
    let result = to.gate.judge(&after, world.clock.now());
    let findings = findings(world, &result)?;
    if findings.is_empty() {
        note_passes(world, &result);
    }
    Ok(Judged { findings, evidence })
}

fn facts(
    world: &World,
    to: &Environment,
    request: &PromotionRequest,
    known: &Known,
    test_results: BTreeMap<CheckId, Evidence<TestResult>>,
) -> Facts {
    let release = known.candidate.release.clone();
    let source = request.from.as_ref().map(|from| Source {
        environment: from.name().clone(),
        standing: known.candidate.standing.as_ref().map(|standing| Standing {
            digest: release.digest.clone(),
            verdict: match (standing.healthy, &from.target) {
                (true, Some(_)) => StandingVerdict::Healthy,
                (true, None) => StandingVerdict::NoTarget,
                (false, _) => StandingVerdict::NotJudged,
            },
            since: standing.since,
        }),
    });
    let skew = world.pull.registry_time().map(|time| time.local.as_seconds() - time.registry.as_seconds());
    Facts {
        environment: to.name().clone(),
        signature: Some(SignedBy {
            image: known.verified.image().digest().clone(),
            signer: format!("build key {}", known.verified.signer().short()),
        }),
        release,
        source,
        test_results,
        registry_clock_skew: skew,
    }
}

fn findings(world: &World, result: &GateResult) -> Result<Vec<Finding>, Error> {
    match result.decision() {
        Decision::Open => Ok(Vec::new()),
        Decision::Blocked { findings, unanswered, .. } => {
            for missing in unanswered {
                let check = missing.check().to_string();
                world.observer.note(Note::CheckSaid { check, took: Default::default(), text: missing.to_string() });
            }
            // A judge that blocks without a reason still blocks.
            let nameless = || vec![Finding::new("gate", "a check says no and gives no reason")];
            Ok(if findings.is_empty() { nameless() } else { findings })
        }
        Decision::NoAnswer(mut unanswered) => match unanswered.pop() {
            Some(missing) => Err(missing.into()),
            None => Ok(Vec::new()),
        },
    }
}

fn note_passes(world: &World, result: &GateResult) {
    for (check, row) in &result.rows {
        if let Ok(Judgement::Pass { note }) = row {
            world.observer.note(Note::Passed { check: check.to_string(), note: note.clone() });
        }
    }
}

/// A release that failed here comes again only if somebody says so.
fn failed_before(to: &Environment, request: &PromotionRequest, known: &Known) -> Vec<Finding> {
    let state = known.head.as_ref().map(|head| &head.entry().state);
    let mark = state.and_then(|state| state.failed_mark(&known.candidate.release)).filter(|_| !request.retry);
    let finding = mark.map(|mark| {
        let message = format!("{} failed in {}: {}", mark.release.digest.short(), to.name(), mark.reason);
        Finding::new("failed-here", message)
            .with_hint(format!("try it again all the same: `schleuse promote {} --retry`", to.name()))
    });
    finding.into_iter().collect()
}

/// Whether going back *can* work is looked at before every promotion (DESIGN, law 6): the release that runs healthily now must
/// still be at hand. The first release is exempt: there is nothing to go back to.
async fn without_way_back(world: &World, to: &Environment, known: &Known) -> Result<Vec<Finding>, Error> {
    let state = known.head.as_ref().map(|head| &head.entry().state);
    let current = state.and_then(|state| state.current.as_ref()).filter(|placed| placed.is_healthy());
    let back = current.or_else(|| state.and_then(|state| state.way_back()));
    let Some(back) = back.filter(|back| back.release.digest != known.candidate.release.digest) else {
        world.observer.note(Note::WayBack { release: None });
        return Ok(Vec::new());
    };
    let kept = match &to.target {
        Some(target) => {
            let standing = target.standing().await.map_err(|source| super::at(to, source))?;
            standing.active.is_some_and(|active| active.release.digest == back.release.digest)
        }
        None => false,
    };
    let image = to.journal.names().image.pin(back.release.digest.clone());
    if kept || world.pull.manifest(&image).await?.is_some() {
        world.observer.note(Note::WayBack { release: Some(back.release.clone()) });
        return Ok(Vec::new());
    }
    let message = format!("{} is to be returned to if this fails, and it is gone from the registry", image);
    Ok(vec![Finding::new("way-back", message).with_hint("push it again, or keep tags of what runs from cleanup")])
}

async fn store(world: &World, subject: &Subject, result: &TestResult) -> Result<Digest, Error> {
    let image = &subject.image;
    let statement =
        Statement::new(TEST_RESULT_V01, image.repository().to_string(), image.digest(), json::to_bytes(result))
            .map_err(schleuse_sign::Error::from)?;
    let store = Store { pull: world.pull.as_ref(), push: world.push.as_ref(), referrers: world.referrers.as_ref() };
    let manifest = world.pull.manifest(image).await?;
    let manifest = manifest.ok_or_else(|| Error::NoSuchImage { image: image.to_string() })?;
    let subject = manifest.descriptor();
    let now = world.clock.now();
    Ok(attach_statement(store, image, &subject, &statement, world.signer.as_ref(), now).await?)
}
