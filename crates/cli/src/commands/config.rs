//! `schleuse config`.

use std::path::PathBuf;

use schleuse_config::Flags;
use schleuse_config::schema::schema_text;
use schleuse_model::Exit;
use serde::Serialize;

use crate::context::Context;
use crate::failure::Failure;
use crate::output::{Page, Report};
use crate::settings::ConnectionArgs;

/// Show, check or describe the configuration
#[derive(clap::Args, Debug)]
#[command(
    subcommand_required = true,
    after_help = "\
Examples:
  schleuse config show      each setting, and where it comes from
  schleuse config check     every mistake in schleuse.toml, with its line"
)]
pub(crate) struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(clap::Subcommand, Debug)]
enum Verb {
    /// Show each setting and where it comes from
    Show(Show),
    /// Find every mistake in the file, and read the keys it names
    Check,
    /// Print the JSON schema, for editors
    Schema,
}

#[derive(clap::Args, Debug)]
struct Show {
    #[command(flatten)]
    connection: ConnectionArgs,
}

pub(crate) fn run(args: &Args, context: &Context) -> Result<Exit, Failure> {
    match &args.verb {
        Verb::Show(args) => show(args, context)?,
        Verb::Check => check(context)?,
        Verb::Schema => context.printer.document(schema_text().as_bytes())?,
    }
    Ok(Exit::Done)
}

#[derive(Serialize)]
struct Settings {
    #[serde(skip_serializing_if = "Option::is_none")]
    file: Option<PathBuf>,
    settings: Vec<Setting>,
}

#[derive(Serialize)]
struct Setting {
    key: String,
    value: String,
    origin: String,
}

impl Report for Settings {
    fn human(&self, page: &mut Page) {
        let width = |text: fn(&Setting) -> &str| self.settings.iter().map(|one| text(one).chars().count()).max();
        let (keys, values) = (width(|one| &one.key).unwrap_or(0), width(|one| &one.value).unwrap_or(0).min(60));
        for Setting { key, value, origin } in &self.settings {
            let origin = page.paint().dim(origin);
            page.line(format_args!("{key:<keys$}  {value:<values$}  {origin}"));
        }
    }
}

fn show(args: &Show, context: &Context) -> Result<(), Failure> {
    let project = context.project(&args.connection.flags())?;
    let setting = |shown: &schleuse_config::Shown| Setting {
        key: shown.key.clone(),
        value: shown.value.clone(),
        origin: shown.origin.to_string(),
    };
    let settings = project.config.shown().iter().map(setting).collect();
    if project.file.is_none() {
        context.printer.note("no schleuse.toml here or above: these are the defaults");
    }
    context.printer.report(&Settings { file: project.file, settings })?;
    Ok(())
}

#[derive(Serialize)]
struct Checked {
    file: PathBuf,
    environments: Vec<String>,
    trusted_keys: usize,
}

impl Report for Checked {
    fn human(&self, page: &mut Page) {
        let good = page.paint().good("no mistakes");
        page.line(format_args!("{}: {good}", self.file.display()));
    }
}

fn check(context: &Context) -> Result<(), Failure> {
    let project = context.project(&Flags::default())?;
    let file = project.require_file()?.to_owned();
    let trusted_keys = project.trust(context)?.keys().count();
    let environments = project.config.policy.ladder.iter().map(|rung| rung.name.to_string()).collect();
    context.printer.report(&Checked { file, environments, trusted_keys })?;
    Ok(())
}
