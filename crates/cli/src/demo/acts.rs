//! What happens in the demo, in order.

use std::time::Duration;

use schleuse_model::{Exit, Repository};
use tokio::time::sleep;

use super::attacker::tamper;
use super::error::DemoError;
use super::load::{Load, get};
use super::stage::{Stage, commit_of};
use crate::failure::Failure;

/// Plays everything.
pub(crate) async fn play(stage: &mut Stage<'_>) -> Result<(), Failure> {
    keys(stage).await?;
    good(stage).await?;
    without_losing_a_request(stage).await?;
    sick(stage).await?;
    forged(stage).await?;
    let winner = race(stage).await?;
    killed(stage, &winner).await?;
    back(stage).await?;
    record(stage).await
}

async fn keys(stage: &mut Stage<'_>) -> Result<(), Failure> {
    stage.act("A key", "cosign's format; CI would hold it as a secret.");
    stage.scene.configure("1.0.0", "")?;
    stage.run(&["key", "generate"], Exit::Done).await?;
    Ok(stage.take_key("schleuse.key")?)
}

async fn good(stage: &Stage<'_>) -> Result<(), Failure> {
    stage.act("A good release, from build to production", "Built once, signed, then promoted by digest.");
    let digest = stage.release("1.0.0", "", true).await?;
    let image = format!("{}@{digest}", stage.scene.image());
    stage.run(&["promote", "staging", &image], Exit::Done).await?;
    stage.run(&["promote", "canary"], Exit::Done).await?;
    stage.run(&["promote", "production"], Exit::Done).await
}

async fn without_losing_a_request(stage: &Stage<'_>) -> Result<(), Failure> {
    stage.act("The next one, under load", "Four users send requests through production's front door all the while.");
    let digest = stage.release("1.1.0", "", true).await?;
    let image = format!("{}@{digest}", stage.scene.image());
    stage.run(&["promote", "staging", &image], Exit::Done).await?;
    stage.run(&["promote", "canary"], Exit::Done).await?;
    let load = Load::on(stage.scene.production);
    let promoted = stage.run(&["promote", "production"], Exit::Done).await;
    let seen = load.end().await;
    promoted?;
    if seen.lost > 0 {
        return Err(DemoError::Lost { lost: seen.lost, sent: seen.sent }.into());
    }
    stage.say(&format!("{} requests through the front door during the rollout, 0 lost", seen.sent));
    answers(stage, "billing 1.1.0").await
}

async fn sick(stage: &Stage<'_>) -> Result<(), Failure> {
    stage.act(
        "A sick release",
        "1.2.0 starts well and answers 500 after a while. Canary brings it back; production never sees it.",
    );
    let digest = stage.release("1.2.0", "health-500-after=600", true).await?;
    let image = format!("{}@{digest}", stage.scene.image());
    stage.run(&["promote", "staging", &image], Exit::Done).await?;
    stage.run(&["promote", "canary"], Exit::RolledBack).await?;
    stage.run(&["promote", "production"], Exit::Done).await?;
    answers(stage, "billing 1.1.0").await
}

async fn forged(stage: &Stage<'_>) -> Result<(), Failure> {
    stage.act("What nobody signed", "Somebody who may push but has no key tries twice.");
    let unsigned = stage.release("6.6.6", "", false).await?;
    let image = format!("{}@{unsigned}", stage.scene.image());
    stage.run(&["promote", "staging", &image], Exit::Untrusted).await?;
    stage.act(
        "What was tampered with",
        "The image of 1.1.0 with one line changed, and the true signature attached to it.",
    );
    let repository: Repository = stage.scene.image().parse()?;
    let tag = format!("sha-{}", commit_of("1.1.0")).parse().map_err(schleuse_oci::Error::from)?;
    let forgery = tamper(&stage.client, &repository, &tag).await?;
    stage.run(&["promote", "staging", &forgery.to_string()], Exit::Untrusted).await
}

/// Two promoters, one environment. Answers the version that won.
async fn race(stage: &Stage<'_>) -> Result<String, Failure> {
    stage.act("Two promoters at once", "Both see the same state and run their checks; only one entry can follow it.");
    let left = stage.release("1.3.0", "", true).await?;
    let right = stage.release("1.4.0", "", true).await?;
    let [left, right] = [left, right].map(|digest| format!("{}@{digest}", stage.scene.image()));
    let lanes: [&[&str]; 2] = [&["promote", "staging", &left], &["promote", "staging", &right]];
    stage.race(lanes, [Exit::Done, Exit::LostRace]).await?;
    use schleuse_oci::Pull as _;
    let repository: Repository = stage.scene.image().parse()?;
    let tag = "staging".parse().map_err(schleuse_oci::Error::from)?;
    let there = stage.client.resolve(&repository.tag(tag)).await?;
    let won = there.is_some_and(|pinned| left.ends_with(pinned.digest().hex()));
    Ok(if won { "1.3.0" } else { "1.4.0" }.to_owned())
}

async fn killed(stage: &Stage<'_>, winner: &str) -> Result<(), Failure> {
    stage.act("Killed in the middle", &format!("{winner} is being rolled out, and the tool is killed with SIGKILL."));
    let (canary, version) = (stage.scene.canary, format!("billing {winner}"));
    let has_traffic = async {
        while get(canary, "/").await.is_none_or(|answer| answer.trim() != version) {
            sleep(Duration::from_millis(50)).await;
        }
        sleep(Duration::from_millis(300)).await;
    };
    stage.run_and_kill(&["promote", "canary"], has_traffic).await?;
    stage.say("Killed: the new release has the traffic, and nobody watches it.");
    stage.run(&["status"], Exit::Done).await?;
    stage.run(&["resume", "canary"], Exit::Done).await
}

async fn back(stage: &Stage<'_>) -> Result<(), Failure> {
    stage.act("Back, because a person says so", "No checks, no waiting; recorded all the same.");
    stage.run(&["rollback", "production", "--yes", "--reason", "customers see wrong totals"], Exit::Done).await?;
    answers(stage, "billing 1.0.0").await
}

async fn record(stage: &Stage<'_>) -> Result<(), Failure> {
    stage.act("The record", "Everything above, as the registry keeps it.");
    stage.run(&["status"], Exit::Done).await?;
    stage.run(&["why", "production"], Exit::Done).await?;
    stage.run(&["history", "--verify"], Exit::Done).await
}

async fn answers(stage: &Stage<'_>, expected: &str) -> Result<(), Failure> {
    let address = stage.scene.production;
    let answer = get(address, "/").await.unwrap_or_default();
    if answer.trim() != expected {
        let answer: String = answer.chars().filter(|c| !c.is_control()).take(80).collect();
        return Err(DemoError::Wrong(format!("production answers `{answer}`, and must answer `{expected}`")).into());
    }
    stage.say(&format!("GET http://{address}/  ->  {expected}"));
    Ok(())
}
