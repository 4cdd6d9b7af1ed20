//! `schleuse completions`.

use clap_complete::Shell;
use schleuse_model::Exit;

use crate::cli;
use crate::context::Context;
use crate::failure::Failure;

/// Print a completion script for a shell
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Examples:
  schleuse completions bash > ~/.local/share/bash-completion/completions/schleuse
  schleuse completions zsh > ~/.zfunc/_schleuse
  schleuse completions fish > ~/.config/fish/completions/schleuse.fish")]
pub(crate) struct Args {
    /// The shell
    #[arg(value_enum)]
    shell: ForShell,
}

/// The shells.
#[derive(clap::ValueEnum, Clone, Copy, Debug)]
enum ForShell {
    Bash,
    Zsh,
    Fish,
}

pub(crate) fn run(args: &Args, context: &Context) -> Result<Exit, Failure> {
    let shell = match args.shell {
        ForShell::Bash => Shell::Bash,
        ForShell::Zsh => Shell::Zsh,
        ForShell::Fish => Shell::Fish,
    };
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut listed(), "schleuse", &mut script);
    context.printer.document(&script)?;
    Ok(Exit::Done)
}

/// The command line without its internal verbs, which the generators would offer.
fn listed() -> clap::Command {
    let whole = cli::command();
    let verbs = whole.get_subcommands().filter(|verb| !verb.is_hide_set()).cloned();
    clap::Command::new("schleuse").args(whole.get_arguments().cloned()).subcommands(verbs)
}
