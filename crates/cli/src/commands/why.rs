//! `schleuse why`.

use schleuse_model::time::human;
use schleuse_model::{Exit, Explain, Timestamp};
use schleuse_promote::views::{Next, Verdict, Why, why};
use serde::Serialize;

use crate::context::Context;
use crate::failure::Failure;
use crate::ladder::Ladder;
use crate::output::{Page, Report};
use crate::settings::ConnectionArgs;
use crate::watch::described;

/// Say what runs in an environment, who put it there, why it was allowed, and how to get back
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Example:
  schleuse why production")]
pub(crate) struct Args {
    /// The environment [default: production, or the only one]
    #[arg(value_name = "ENV")]
    environment: Option<String>,
    #[command(flatten)]
    connection: ConnectionArgs,
}

/// Nothing runs there.
#[derive(Debug, thiserror::Error)]
#[error("nothing runs in {0}")]
struct Nothing(String);

impl Explain for Nothing {
    fn hints(&self) -> Vec<String> {
        vec![format!("put something there: `schleuse promote {}`", self.0)]
    }
}

#[derive(Serialize)]
struct WhyReport {
    #[serde(flatten)]
    why: Why,
    #[serde(skip)]
    now: Timestamp,
}

pub(crate) async fn run(args: &Args, context: &Context) -> Result<Exit, Failure> {
    let ladder = Ladder::open(context, &args.connection).await?;
    let rung = ladder.rung_or_production(args.environment.as_deref())?;
    let nothing = || Nothing(rung.name.to_string());
    let journal = ladder.journal(rung);
    let head = journal.head().await?.ok_or_else(nothing)?;
    let admitted = head.entry().state.current.as_ref().ok_or_else(nothing)?.sequence;
    let mut admitting = head.clone();
    while admitting.entry().sequence > admitted
        && let Some(before) = journal.before(&admitting).await?
    {
        admitting = before;
    }
    let before = match ladder.source(rung, None)? {
        Some(source) => ladder.journal(source).head().await?,
        None => None,
    };
    let why = why(&head, &admitting, before.as_ref()).ok_or_else(nothing)?;
    context.printer.report(&WhyReport { why, now: context.now() })?;
    Ok(Exit::Done)
}

impl Report for WhyReport {
    fn human(&self, page: &mut Page) {
        let (why, paint) = (&self.why, page.paint());
        let ago = |at: Timestamp| human(self.now.since(at));
        let image = why.image.rsplit('/').next().unwrap_or(&why.image);
        let version = why.release.version.as_deref().map(|version| format!(" {version}")).unwrap_or_default();
        let commit = why.release.commit.as_ref().map(|commit| format!(", commit {}", commit.short()));
        page.line(format_args!(
            "{} runs {}{}, digest {}",
            why.environment,
            paint.strong(format_args!("{image}{version}")),
            commit.unwrap_or_default(),
            why.release.digest
        ));
        let from = why.from.as_ref().map(|from| format!(", from {from}")).unwrap_or_default();
        let plan = why.plan.as_deref().map(|plan| format!("; plan {}", short(plan))).unwrap_or_default();
        let verb = if why.event == "rollback" { "  returned to" } else { "  promoted" };
        page.fact(
            13,
            verb,
            format_args!("{} ago by {}{from}{plan}, entry #{}", ago(why.admitted), why.actor, why.sequence),
        );
        if let Some(reason) = &why.reason {
            page.fact(13, "  because", reason);
        }
        let allowed = match (why.event, why.evidence.len().saturating_sub(1)) {
            ("rollback", _) => "its healthy verdict here before".to_owned(),
            (_, 0) => "its signature".to_owned(),
            (_, 1) => "its signature and 1 test result on record".to_owned(),
            (_, results) => format!("its signature and {results} test results on record"),
        };
        page.fact(13, "  allowed by", format_args!("{allowed}; entry signed by {}", why.signer));
        let standing = match why.verdict {
            Verdict::Healthy => paint.good(format_args!("healthy for {}", ago(why.since))),
            other => paint.warn(format_args!("{} for {}", other.word(), ago(why.since))),
        };
        page.fact(13, "  verdict", standing);
        match &why.way_back {
            Some(release) => {
                let command = paint.hint(format_args!("schleuse rollback {}", why.environment));
                page.fact(13, "  way back", format_args!("{}:  {command}", described(release)));
            }
            None => page.fact(13, "  way back", "none: no other release was healthy here"),
        }
        let next = match &why.next {
            Next::Nothing => "nothing waits".to_owned(),
            Next::Ready { release } => format!("{} can come: schleuse promote {}", described(release), why.environment),
            Next::FailedHere { release, at, reason } => {
                format!("{} failed here {} ago: {reason}", described(release), ago(*at))
            }
            Next::Resume => format!("schleuse resume {}", why.environment),
        };
        page.fact(13, "  next", next);
    }
}

fn short(digest: &str) -> &str {
    let hex = digest.strip_prefix("sha256:").unwrap_or(digest);
    hex.get(..12).unwrap_or(hex)
}
