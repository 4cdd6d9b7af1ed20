//! The flags that every verb has: as they were typed ([`GlobalArgs`]), and what they come to ([`OutputSettings`]).

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use schleuse_config::Flags;

use crate::environment::Variables;
use crate::output::Terminal;

/// Flags of every verb, as typed.
#[derive(Args, Clone, Debug, Default)]
pub(crate) struct GlobalArgs {
    /// How to answer on stdout: `json` is one document, format json-v1
    #[arg(long, global = true, value_enum, value_name = "FORMAT", default_value = "human", help_heading = "Output")]
    pub(crate) format: Format,
    /// Say nothing but the answer, warnings and errors
    #[arg(long, short, global = true, conflicts_with = "verbose", help_heading = "Output")]
    pub(crate) quiet: bool,
    /// Say more about what is going on
    #[arg(long, short, global = true, help_heading = "Output")]
    pub(crate) verbose: bool,
    /// When to use colour; `auto`: on a terminal, unless NO_COLOR is set
    #[arg(long, global = true, value_enum, value_name = "WHEN", default_value = "auto", help_heading = "Output")]
    pub(crate) color: ColorChoice,
    /// The configuration file [default: schleuse.toml, here or in a folder above]
    #[arg(long, global = true, value_name = "FILE", help_heading = "Configuration")]
    pub(crate) config: Option<PathBuf>,
}

/// How registries are reached, as typed.
#[derive(Args, Clone, Debug, Default)]
pub(crate) struct RegistryArgs {
    /// A registry (host[:port]) that may be spoken to over plain HTTP; loopback needs no flag
    #[arg(long, value_name = "HOST", help_heading = "Connection")]
    pub(crate) insecure_registry: Vec<String>,
}

/// Where things are, as typed: flags of the verbs that work on the project's image. Policy has no flags (DESIGN §8).
#[derive(Args, Clone, Debug, Default)]
pub(crate) struct ConnectionArgs {
    /// The image's repository [default: `image` in schleuse.toml, or from the git remote]
    #[arg(id = "repository", long = "image", value_name = "REPOSITORY", help_heading = "Connection")]
    pub(crate) image: Option<String>,
    #[command(flatten)]
    pub(crate) registry: RegistryArgs,
}

impl RegistryArgs {
    /// As the configuration takes them.
    pub(crate) fn flags(&self) -> Flags {
        Flags { insecure_registries: self.insecure_registry.clone(), ..Flags::default() }
    }
}

impl ConnectionArgs {
    /// As the configuration takes them.
    pub(crate) fn flags(&self) -> Flags {
        Flags { image: self.image.clone(), ..self.registry.flags() }
    }
}

/// `--formats`: how evidence is stored beside an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum EvidenceFormat {
    Bundle,
    Legacy,
}

/// `--format`: lines for people, or one document for programs. (Comments on the variants would become help text.)
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    #[default]
    Human,
    Json,
}

/// `--color`. `Auto`: on a terminal, unless `NO_COLOR` is set.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum ColorChoice {
    #[default]
    Auto,
    Always,
    Never,
}

/// How much is said on stderr. Ordered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Verbosity {
    /// Warnings and errors.
    Quiet,
    /// And notes.
    #[default]
    Normal,
    /// And details.
    Verbose,
}

/// How this run answers, decided from flags, environment and terminal.
#[derive(Clone, Debug, Default)]
pub(crate) struct OutputSettings {
    /// The answer's format.
    pub(crate) format: Format,
    /// How much is said beside it.
    pub(crate) verbosity: Verbosity,
    /// Colour on stdout.
    pub(crate) color_stdout: bool,
    /// Colour on stderr.
    pub(crate) color_stderr: bool,
    /// Progress lines on stderr.
    pub(crate) progress: bool,
    /// Whether a person is there to be asked: stdin and stderr are a terminal, and this is no CI run.
    pub(crate) interactive: bool,
}

impl OutputSettings {
    /// Decides. `NO_COLOR` (<https://no-color.org>) and `TERM=dumb` switch automatic colour off; `CI` switches progress and
    /// questions off.
    pub(crate) fn resolve(args: &GlobalArgs, environment: &Variables, terminal: Terminal) -> Self {
        let dumb = environment.get("TERM") == Some("dumb");
        let ci = environment.get("CI").is_some_and(|ci| ci != "false" && ci != "0");
        let color = |is_terminal: bool| match args.color {
            ColorChoice::Always => true,
            ColorChoice::Never => false,
            ColorChoice::Auto => is_terminal && !dumb && environment.get("NO_COLOR").is_none(),
        };
        let verbosity = match (args.quiet, args.verbose) {
            (true, _) => Verbosity::Quiet,
            (false, true) => Verbosity::Verbose,
            (false, false) => Verbosity::Normal,
        };
        Self {
            format: args.format,
            verbosity,
            color_stdout: color(terminal.stdout) && args.format == Format::Human,
            color_stderr: color(terminal.stderr),
            progress: terminal.stderr && !dumb && !ci && verbosity > Verbosity::Quiet,
            interactive: terminal.stdin && terminal.stderr && !ci,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TTY: Terminal = Terminal { stdin: true, stdout: true, stderr: true };

    fn resolve(args: &GlobalArgs, variables: &[(&str, &str)], terminal: Terminal) -> OutputSettings {
        OutputSettings::resolve(args, &Variables::of(variables), terminal)
    }

    #[test]
    fn a_terminal_gets_colour_and_progress_a_pipe_does_not() {
        let args = GlobalArgs::default();
        let on = resolve(&args, &[], TTY);
        assert!(on.color_stdout && on.color_stderr && on.progress && on.interactive);
        let piped = resolve(&args, &[], Terminal { stdout: false, ..TTY });
        assert!(!piped.color_stdout && piped.color_stderr);
        let off = resolve(&args, &[], Terminal::default());
        assert!(!off.color_stdout && !off.color_stderr && !off.progress && !off.interactive);
    }

    #[test]
    fn the_environment_is_honoured_and_flags_win() {
        let args = GlobalArgs::default();
        assert!(!resolve(&args, &[("NO_COLOR", "1")], TTY).color_stderr);
        assert!(resolve(&args, &[("NO_COLOR", "")], TTY).color_stderr, "an empty NO_COLOR is unset");
        assert!(!resolve(&args, &[("TERM", "dumb")], TTY).progress);
        let ci = resolve(&args, &[("CI", "true")], TTY);
        assert!(!ci.progress && !ci.interactive && ci.color_stderr);
        assert!(resolve(&args, &[("CI", "false")], TTY).progress);
        let always = GlobalArgs { color: ColorChoice::Always, ..GlobalArgs::default() };
        assert!(resolve(&always, &[("NO_COLOR", "1")], Terminal::default()).color_stderr);
    }

    #[test]
    fn machine_output_is_never_painted() {
        let args = GlobalArgs { format: Format::Json, color: ColorChoice::Always, ..GlobalArgs::default() };
        assert!(!resolve(&args, &[], TTY).color_stdout);
    }
}
