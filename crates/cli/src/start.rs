//! From `main` to the exit code.

use std::ffi::OsString;
use std::process::ExitCode;

use clap::FromArgMatches as _;
use schleuse_model::{Exit, Explain};

use crate::cli::{self, Cli};
use crate::commands;
use crate::context::Context;
use crate::environment::Variables;
use crate::failure::Failure;
use crate::output::{Printer, Terminal};
use crate::settings::{Format, GlobalArgs, OutputSettings};
use crate::signals;
use crate::usage::{Parsed, Usage};

/// Runs the program.
pub fn main() -> ExitCode {
    let arguments: Vec<OsString> = std::env::args_os().collect();
    // These become the process they start or serve: no runtime, no threads, no signal handlers may exist before them.
    if let Some(code) = commands::hidden::dispatch(&arguments) {
        return code;
    }
    exit_code(run(&arguments))
}

/// The one place where an exit code is made.
fn exit_code(exit: Exit) -> ExitCode {
    ExitCode::from(exit.code())
}

fn run(arguments: &[OsString]) -> Exit {
    let (environment, terminal) = (Variables::read(), Terminal::detect());
    let cli = match parse(arguments) {
        Ok(cli) => cli,
        Err(error) => {
            let printer = Printer::new(OutputSettings::resolve(&guessed(arguments), &environment, terminal));
            return answer(
                &printer,
                match Usage::from_clap(&error) {
                    Parsed::Help(text) => printer.document(text.as_bytes()).map(|()| Exit::Done).map_err(Failure::from),
                    Parsed::Wrong(usage) => Err(usage.into()),
                },
            );
        }
    };
    let printer = Printer::new(OutputSettings::resolve(&cli.global, &environment, terminal));
    let context = Context::new(printer.clone(), environment, cli.global.config);
    answer(&printer, start(cli.verb, &context))
}

fn parse(arguments: &[OsString]) -> Result<Cli, clap::Error> {
    cli::command().try_get_matches_from(arguments).and_then(|mut matches| Cli::from_arg_matches_mut(&mut matches))
}

/// The flags that decide how an error is told, when the command line as a whole cannot be read.
fn guessed(arguments: &[OsString]) -> GlobalArgs {
    let is = |i: usize, text: &str| arguments.get(i).is_some_and(|argument| argument == text);
    let json = (1..arguments.len()).any(|i| is(i, "--format=json") || (is(i, "--format") && is(i + 1, "json")));
    GlobalArgs { format: if json { Format::Json } else { Format::Human }, ..GlobalArgs::default() }
}

fn answer(printer: &Printer, outcome: Result<Exit, Failure>) -> Exit {
    outcome.unwrap_or_else(|failure| {
        printer.failure(&failure);
        failure.exit()
    })
}

/// There is no runtime.
#[derive(Debug, thiserror::Error)]
#[error("cannot start")]
struct NoRuntime(#[from] std::io::Error);

impl Explain for NoRuntime {}

fn start(verb: cli::Verb, context: &Context) -> Result<Exit, Failure> {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().map_err(NoRuntime)?;
    let outcome = match verb.after_interrupt() {
        Some(hint) => {
            let printer = context.printer.clone();
            let stuck = move |failure| end(answer(&printer, Err(failure)));
            signals::interruptible(&runtime, commands::run(verb, context), hint, stuck)
        }
        None => runtime.block_on(commands::run(verb, context)),
    };
    // What still runs in the background (a password being stretched, a line being waited for) has no effect outside this process.
    runtime.shutdown_background();
    outcome
}

/// Ends the process where `main` cannot return: its thread waits in the operating system for somebody else.
#[allow(clippy::exit, reason = "the main thread cannot be told to return")]
fn end(exit: Exit) {
    std::process::exit(i32::from(exit.code()));
}
