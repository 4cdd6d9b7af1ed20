//! The command line: flags and environment in, one library call, a rendered answer and an exit code out.
//!
//! **For**: the binary `schleuse`. A verb is one file under `commands/`: raw flags become settings, settings go into one library
//! call, its answer is rendered.
//!
//! **Guarantees**: the process environment is read in one place ([`environment`]), the terminal is written to in one place
//! ([`output`]), the exit code is made in one place ([`start`]). stdout carries only what one would pipe. Secrets come from the
//! environment, a file or a prompt, never from an argument, and are never printed.
//!
//! **Start reading** at [`start`], then [`context`], then any file of `commands/`.
//!
//! **Nothing depends on it**; it alone names the registry client, the embedded registry, clap and a terminal.

mod annotation;
mod build;
mod cli;
mod commands;
mod context;
mod demo;
mod demo_app;
mod environment;
mod failure;
mod files;
mod gates;
mod git;
mod keys;
mod ladder;
mod output;
mod password;
mod progress;
mod project;
mod provenance;
mod question;
mod random;
mod reference;
mod settings;
mod signals;
mod start;
mod subjects;
mod trusted;
mod usage;
mod watch;

pub use cli::command;
pub use start::main;
