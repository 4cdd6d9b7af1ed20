//! The command line's grammar, and the help that teaches it.

use clap::{CommandFactory as _, Parser, Subcommand};

use crate::commands;
use crate::settings::GlobalArgs;

/// The whole command line, as typed.
#[derive(Parser, Debug)]
#[command(
    name = "schleuse",
    version,
    about = "Promote container images by digest, through checks that cannot be skipped silently",
    disable_help_subcommand = true,
    infer_long_args = false,
    subcommand_required = true,
    arg_required_else_help = true
)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: GlobalArgs,
    #[command(subcommand)]
    pub(crate) verb: Verb,
}

/// The verbs. A verb stands in [`GROUPS`] too, or is hidden.
#[derive(Subcommand, Debug)]
pub(crate) enum Verb {
    Build(commands::build::Args),
    Promote(commands::promote::Args),
    Rollback(commands::rollback::Args),
    Resume(commands::resume::Args),
    Status(commands::status::Args),
    History(commands::history::Args),
    Why(commands::why::Args),
    Demo(commands::demo::Args),
    Sign(commands::sign::Args),
    Attest(commands::attest::Args),
    Evidence(commands::evidence::Args),
    Verify(commands::verify::Args),
    Key(commands::key::Args),
    Retention(commands::retention::Args),
    Image(commands::image::Args),
    Registry(commands::registry::Args),
    Config(commands::config::Args),
    Completions(commands::completions::Args),
    #[command(hide = true)]
    DemoApp(commands::demo_app::Args),
    #[command(hide = true)]
    LocalInit(commands::hidden::Args),
    #[command(hide = true)]
    FrontDoor(commands::hidden::Args),
}

/// How the verbs are listed in the help: what one uses every day, and what that is made of.
const GROUPS: [(&str, &[&str]); 2] = [
    ("Daily", &["init", "build", "promote", "rollback", "resume", "status", "history", "why", "doctor", "demo"]),
    (
        "Plumbing",
        &["key", "sign", "attest", "verify", "evidence", "image", "retention", "registry", "config", "completions"],
    ),
];

const EXAMPLES: &str = "\
Examples:
  schleuse demo                     see it all work on this machine, in a minute
  schleuse build                    build this commit's image and push it
  schleuse promote staging          put the newest release through the gate of staging
  schleuse why production           which commit runs there, who put it there, how to get back
  schleuse rollback production      go back to the release before

`schleuse <verb> --help` explains a verb. Exit codes: 0 done, 1 error, 2 usage, 10 blocked, 11 not trusted, 12 lost a race,
13 held, 20 rolled back, 21 rollback failed, 130 interrupted.";

/// The command line with its grouped help. The documentation and the completions are generated from it.
pub fn command() -> clap::Command {
    let command = Cli::command();
    let verbs = grouped(&command);
    command
        .help_template(format!(
            "{{about}}\n\n{{usage-heading}} schleuse <verb> [options]\n\n{verbs}Options:\n{{options}}\n\n{EXAMPLES}\n"
        ))
        .override_usage("schleuse <verb> [options]")
}

fn grouped(command: &clap::Command) -> String {
    let mut text = String::new();
    for (title, names) in GROUPS {
        let mut verbs = names.iter().filter_map(|name| command.find_subcommand(name)).peekable();
        if verbs.peek().is_none() {
            continue;
        }
        text.push_str(&format!("{title}:\n"));
        for verb in verbs {
            let about = verb.get_about().map(ToString::to_string).unwrap_or_default();
            text.push_str(&format!("  {:<12}  {about}\n", verb.get_name()));
        }
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_grammar_is_sound() {
        command().debug_assert();
    }

    #[test]
    fn each_verb_is_hidden_or_in_one_group_and_teaches() {
        for verb in command().get_subcommands().filter(|verb| !verb.is_hide_set()) {
            let name = verb.get_name();
            let groups = GROUPS.iter().filter(|(_, names)| names.contains(&name)).count();
            assert_eq!(groups, 1, "`{name}` must stand in one group of the help");
            assert!(verb.get_about().is_some(), "`{name}` says what it does");
            let example = verb.get_after_help().map(ToString::to_string).unwrap_or_default();
            assert!(example.contains(&format!("schleuse {name}")), "`{name} --help` shows an example");
        }
    }
}
