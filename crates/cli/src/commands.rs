//! The verbs. One file each: raw flags become settings, settings go into one library call, the answer is rendered.

pub(crate) mod attest;
pub(crate) mod build;
pub(crate) mod completions;
pub(crate) mod config;
pub(crate) mod demo;
pub(crate) mod demo_app;
pub(crate) mod evidence;
pub(crate) mod hidden;
pub(crate) mod history;
pub(crate) mod image;
pub(crate) mod key;
pub(crate) mod promote;
pub(crate) mod registry;
pub(crate) mod resume;
pub(crate) mod retention;
pub(crate) mod rollback;
pub(crate) mod sign;
pub(crate) mod status;
pub(crate) mod verify;
pub(crate) mod why;

use schleuse_model::Exit;

use crate::cli::Verb;
use crate::context::Context;
use crate::failure::Failure;

/// Runs a verb.
pub(crate) async fn run(verb: Verb, context: &Context) -> Result<Exit, Failure> {
    match verb {
        Verb::Build(args) => build::run(&args, context).await,
        Verb::Demo(args) => demo::run(&args, context).await,
        Verb::Promote(args) => promote::run(&args, context).await,
        Verb::Rollback(args) => rollback::run(&args, context).await,
        Verb::Resume(args) => resume::run(&args, context).await,
        Verb::Status(args) => status::run(&args, context).await,
        Verb::History(args) => history::run(&args, context).await,
        Verb::Why(args) => why::run(&args, context).await,
        Verb::Sign(args) => sign::run(&args, context).await,
        Verb::Attest(args) => attest::run(&args, context).await,
        Verb::Evidence(args) => evidence::run(&args, context).await,
        Verb::Verify(args) => verify::run(&args, context).await,
        Verb::Key(args) => key::run(&args, context).await,
        Verb::Retention(args) => retention::run(&args, context).await,
        Verb::Image(args) => image::run(&args, context).await,
        Verb::Registry(args) => registry::run(args, context).await,
        Verb::Config(args) => config::run(&args, context),
        Verb::Completions(args) => completions::run(&args, context),
        Verb::DemoApp(_) => demo_app::run(context).await,
        // Dispatched before any runtime starts: `hidden::dispatch`.
        Verb::LocalInit(_) | Verb::FrontDoor(_) => Ok(Exit::Usage),
    }
}

impl Verb {
    /// What to do after Ctrl-C or SIGTERM. `None`: the verb answers those signals itself.
    pub(crate) const fn after_interrupt(&self) -> Option<&'static str> {
        const AGAIN: &str = "nothing is left half done: run the same command again";
        match self {
            Self::Promote(_) | Self::Rollback(_) | Self::Resume(_) => {
                Some("what was begun is in the journal: `schleuse resume` goes on")
            }
            Self::Status(_) | Self::History(_) | Self::Why(_) => Some("nothing was changed"),
            Self::Build(_)
            | Self::Sign(_)
            | Self::Attest(_)
            | Self::Evidence(_)
            | Self::Verify(_)
            | Self::Image(_)
            | Self::Key(_)
            | Self::Retention(_)
            | Self::Config(_)
            | Self::Completions(_) => Some(AGAIN),
            Self::Demo(_) | Self::Registry(_) | Self::DemoApp(_) | Self::LocalInit(_) | Self::FrontDoor(_) => None,
        }
    }
}
