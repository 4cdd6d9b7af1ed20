//! `schleuse promote`.

use std::sync::Arc;

use schleuse_model::{Exit, Finding};
use schleuse_promote::{Outcome, Planned, PromotionRequest};
use serde::Serialize;

use crate::context::Context;
use crate::failure::Failure;
use crate::keys;
use crate::ladder::{Ladder, release};
use crate::output::{Page, Report};
use crate::settings::ConnectionArgs;
use crate::watch::Watch;

/// Put a release through an environment's gate and, where it has a target, roll it out
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Examples:
  schleuse promote staging                     the release that the rung before runs
  schleuse promote dev ghcr.io/acme/billing:sha-3f2c1a9…
  schleuse promote production --plan           what it would do; writes nothing

A promotion that is done already changes nothing. After a crash the same command goes on where it stopped.")]
pub(crate) struct Args {
    /// The environment to promote into
    #[arg(value_name = "ENV")]
    environment: String,
    /// The release: a reference, or at least 7 digits of a digest that the ladder knows [default: what the rung before runs]
    #[arg(value_name = "IMAGE")]
    release: Option<String>,
    /// Take it from this rung instead of the one before
    #[arg(long, value_name = "ENV")]
    from: Option<String>,
    /// Only say what would be done, and the plan's hash
    #[arg(long)]
    plan: bool,
    /// Try a release again that failed in this environment
    #[arg(long)]
    retry: bool,
    /// The signing key: a file, or env://NAME [default: COSIGN_PRIVATE_KEY]
    #[arg(long, value_name = "KEY")]
    key: Option<String>,
    #[command(flatten)]
    connection: ConnectionArgs,
}

pub(crate) async fn run(args: &Args, context: &Context) -> Result<Exit, Failure> {
    let ladder = Ladder::open(context, &args.connection).await?;
    let to = ladder.rung(&args.environment)?;
    let from = ladder.source(to, args.from.as_deref())?;
    let image = match &args.release {
        Some(text) => Some(release(text)?),
        None if from.is_none() => Some(built_here(context, &ladder).await?),
        None => None,
    };
    let from = from.map(|from| ladder.environment(from)).transpose()?;
    let (to, request) = (ladder.environment(to)?, PromotionRequest { image, from, retry: args.retry });
    let signer = keys::signer(context, args.key.as_deref()).await?;
    let watch = Arc::new(Watch::new(context.printer.clone(), context.clock.clone()));
    let world = ladder.world(Arc::new(signer), watch)?;
    if args.plan {
        let planned = schleuse_promote::plan(&world, &to, &request).await?;
        let exit = if planned.blocked.is_empty() { Exit::Done } else { Exit::Blocked };
        context.printer.report(&PlanReport::new(planned))?;
        return Ok(exit);
    }
    let began = context.now();
    let outcome = schleuse_promote::promote(&world, &to, &request).await?;
    drop(world);
    let report = OutcomeReport::new(to.name().as_str(), &outcome, context.now().since(began));
    context.printer.report(&report)?;
    Ok(outcome.exit())
}

/// For the first rung: the image of the commit that is checked out.
async fn built_here(
    context: &Context,
    ladder: &Ladder<'_>,
) -> Result<schleuse_promote::promotion::ImageChoice, Failure> {
    let commit = ladder.project.git(context).head().await?;
    Ok(release(&format!("{}:sha-{commit}", ladder.names.image))?)
}

#[derive(Serialize)]
struct PlanReport {
    plan: schleuse_promote::Plan,
    hash: String,
    blocked: Vec<Finding>,
}

impl PlanReport {
    fn new(planned: Planned) -> Self {
        Self { hash: planned.plan.hash().to_string(), plan: planned.plan, blocked: planned.blocked }
    }
}

impl Report for PlanReport {
    fn human(&self, page: &mut Page) {
        let Self { plan, hash, blocked } = self;
        let running = plan.running.as_ref().map_or("nothing", |digest| digest.short());
        page.fact(8, "plan", hash);
        page.fact(8, "change", format_args!("{}: {running} -> {}", plan.to, plan.release.digest.short()));
        page.fact(8, "policy", &plan.policy);
        for check in &plan.checks {
            page.fact(8, "check", check);
        }
        page.fact(8, "rollout", if plan.rollout.is_some() { "watched" } else { "none: only the tag moves" });
        findings(page, blocked);
    }
}

/// What a promotion, rollback or resume came to.
#[derive(Serialize)]
pub(crate) struct OutcomeReport {
    environment: String,
    outcome: &'static str,
    #[serde(skip)]
    word: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    findings: Vec<Finding>,
    unrecorded: bool,
    took_ms: u64,
    #[serde(skip)]
    took: std::time::Duration,
    exit: u8,
}

impl OutcomeReport {
    pub(crate) fn new(environment: &str, outcome: &Outcome, took: std::time::Duration) -> Self {
        let (reason, findings, unrecorded) = match outcome {
            Outcome::Blocked(findings) => (None, findings.clone(), false),
            Outcome::Held { reason } | Outcome::Aborted { reason } => (Some(reason.clone()), Vec::new(), false),
            Outcome::RolledBack { reason, unrecorded } | Outcome::RollbackFailed { reason, unrecorded } => {
                (Some(reason.clone()), Vec::new(), *unrecorded)
            }
            Outcome::Promoted | Outcome::Already | Outcome::WentBack | Outcome::NothingToDo => {
                (None, Vec::new(), false)
            }
        };
        Self {
            environment: environment.to_owned(),
            outcome: outcome.code(),
            word: outcome.word(),
            reason,
            findings,
            unrecorded,
            took_ms: u64::try_from(took.as_millis()).unwrap_or(u64::MAX),
            took,
            exit: outcome.exit().code(),
        }
    }
}

impl Report for OutcomeReport {
    fn human(&self, page: &mut Page) {
        let paint = page.paint();
        let word = if self.exit == 0 { paint.good(self.word) } else { paint.bad(self.word) };
        let took = schleuse_model::time::human(self.took);
        let environment = &self.environment;
        match (&self.reason, self.findings.as_slice()) {
            (_, found @ [_, ..]) => {
                let says = if found.len() == 1 { "says" } else { "say" };
                page.line(format_args!("{word}  {environment}: {} {says} no; nothing was changed", found.len()));
            }
            (Some(reason), _) => page.line(format_args!("{word}  {environment}: {reason}  {took}")),
            (None, _) => page.line(format_args!("{word}  {environment}  {took}")),
        }
        findings(page, &self.findings);
        let hint = match self.outcome {
            "rolled-back" => Some("fix and build again, or try the same release once more with `--retry`".to_owned()),
            "held" => Some(format!("decide: `schleuse resume {environment}` or `schleuse rollback {environment}`")),
            "rollback-failed" => Some(format!("look at once: `schleuse history {environment}`")),
            _ => None,
        };
        if let Some(hint) = hint {
            page.line(format_args!("  {} {hint}", paint.hint("hint:")));
        }
    }
}

fn findings(page: &mut Page, findings: &[Finding]) {
    let paint = page.paint();
    for finding in findings {
        page.line(format_args!("  {:<10} {}", paint.bad(&finding.check), finding.message));
        if let Some(hint) = &finding.hint {
            page.line(format_args!("  {:<10} {} {hint}", "", paint.hint("hint:")));
        }
    }
}
