//! Passwords: from `COSIGN_PASSWORD`, or asked for on a terminal without echo. Never from an argument.

use std::io::{self, BufRead as _, Read as _, Stdin};

use nix::sys::termios::{LocalFlags, SetArg, Termios, tcgetattr, tcsetattr};
use schleuse_model::{Exit, Explain, Secret};

use crate::context::Context;
use crate::failure::Failure;

/// The variable, as cosign has it.
pub(crate) const VARIABLE: &str = "COSIGN_PASSWORD";
/// The longest password that is read.
const LONGEST: u64 = 4096;

/// There is no password.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PasswordError {
    /// Neither variable nor terminal.
    #[error("the key needs a password, and there is nobody to ask")]
    Nobody,
    /// The terminal failed.
    #[error("cannot read the password from the terminal")]
    Terminal(#[from] io::Error),
    /// The two were not the same.
    #[error("the two passwords are not the same")]
    Differ,
}

impl Explain for PasswordError {
    fn exit(&self) -> Exit {
        match self {
            Self::Nobody | Self::Differ => Exit::Usage,
            Self::Terminal(_) => Exit::Error,
        }
    }

    fn hints(&self) -> Vec<String> {
        match self {
            Self::Nobody => vec![format!("set {VARIABLE} (it may be empty), or run this on a terminal")],
            _ => Vec::new(),
        }
    }
}

/// The password of an existing key.
pub(crate) async fn existing(context: &Context) -> Result<Secret<String>, Failure> {
    match context.variables.secret(VARIABLE) {
        Some(password) => Ok(password),
        None => Ok(ask(context, "Password of the key: ").await?),
    }
}

/// The password of a new key: asked for twice.
pub(crate) async fn new(context: &Context) -> Result<Secret<String>, Failure> {
    if let Some(password) = context.variables.secret(VARIABLE) {
        return Ok(password);
    }
    let first = ask(context, "Password for the new key: ").await?;
    let second = ask(context, "The same again: ").await?;
    if first.expose() == second.expose() { Ok(first) } else { Err(PasswordError::Differ.into()) }
}

async fn ask(context: &Context, question: &str) -> Result<Secret<String>, PasswordError> {
    if !context.printer.settings().interactive {
        return Err(PasswordError::Nobody);
    }
    // Held here, not in the thread that reads: Ctrl-C drops this future, and the terminal must echo again. Begun before the
    // question: who answers fast must not be echoed either.
    let quiet = Quiet::start(io::stdin())?;
    context.printer.prompt(question);
    let read = || {
        let mut line = String::new();
        io::stdin().lock().take(LONGEST).read_line(&mut line).map(|_| Secret::new(line))
    };
    let line = tokio::task::spawn_blocking(read).await.map_err(io::Error::other)??;
    drop(quiet);
    Ok(Secret::new(line.expose().trim_end_matches(['\n', '\r']).to_owned()))
}

/// The terminal does not echo while this lives.
struct Quiet {
    terminal: Stdin,
    before: Termios,
}

impl Quiet {
    fn start(terminal: Stdin) -> io::Result<Self> {
        let before = tcgetattr(&terminal)?;
        let mut silent = before.clone();
        silent.local_flags.remove(LocalFlags::ECHO);
        silent.local_flags.insert(LocalFlags::ECHONL);
        tcsetattr(&terminal, SetArg::TCSAFLUSH, &silent)?;
        Ok(Self { terminal, before })
    }
}

impl Drop for Quiet {
    fn drop(&mut self) {
        let _ = tcsetattr(&self.terminal, SetArg::TCSANOW, &self.before);
    }
}
