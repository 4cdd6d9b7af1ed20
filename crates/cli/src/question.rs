//! A question whose answer is typed on the terminal. Whether anybody is there to be asked is for the caller to know.

use std::io::{self, BufRead as _, Read as _};

use schleuse_model::{Exit, Explain};

use crate::context::Context;

/// The longest answer that is read, in bytes.
const LONGEST: u64 = 256;

/// The terminal gave no answer.
#[derive(Debug, thiserror::Error)]
#[error("cannot read the answer from the terminal")]
pub(crate) struct NoAnswer(#[from] io::Error);

impl Explain for NoAnswer {
    fn exit(&self) -> Exit {
        Exit::Error
    }
}

/// Nobody said yes to what a verb would do.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NotAgreed {
    /// No terminal.
    #[error("{act} needs a yes, and there is nobody to ask")]
    Nobody {
        /// What would be done: `going back`.
        act: &'static str,
        /// How to say it without a terminal.
        hint: &'static str,
    },
    /// Somebody said no.
    #[error("{undone}: nothing was changed")]
    No {
        /// What was not done: `not gone back`.
        undone: &'static str,
    },
}

impl Explain for NotAgreed {
    fn exit(&self) -> Exit {
        Exit::Usage
    }

    fn hints(&self) -> Vec<String> {
        match self {
            Self::Nobody { hint, .. } => vec![(*hint).to_owned()],
            Self::No { .. } => Vec::new(),
        }
    }
}

/// What is answered where only Enter is pressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Enter {
    /// `[Y/n]`.
    Yes,
    /// `[y/N]`.
    No,
}

/// Asks; `[Y/n]` or `[y/N]` is put behind the text.
///
/// # Errors
/// If stdin cannot be read.
pub(crate) async fn yes_no(context: &Context, text: &str, enter: Enter) -> Result<bool, NoAnswer> {
    let choices = match enter {
        Enter::Yes => "[Y/n]",
        Enter::No => "[y/N]",
    };
    Ok(is_yes(&line(context, &format!("{text} {choices} ")).await?, enter))
}

/// Asks, and reads a line with its line break; empty at the end of the input.
///
/// # Errors
/// If stdin cannot be read.
pub(crate) async fn line(context: &Context, text: &str) -> Result<String, NoAnswer> {
    context.printer.prompt(text);
    // On a thread of its own: Ctrl-C drops this future, and the thread ends with the process.
    let read = || {
        let mut line = String::new();
        io::stdin().lock().take(LONGEST).read_line(&mut line).map(|_| line)
    };
    Ok(tokio::task::spawn_blocking(read).await.map_err(io::Error::other)??)
}

fn is_yes(line: &str, enter: Enter) -> bool {
    match line.trim().to_ascii_lowercase().as_str() {
        // The end of the input has no line break; it is no yes.
        "" => enter == Enter::Yes && line.ends_with('\n'),
        "y" | "yes" => true,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_counts_as_yes() {
        for (line, with_yes, with_no) in [
            ("\n", true, false),
            ("", false, false),
            ("y\n", true, true),
            (" YES \n", true, true),
            ("n\n", false, false),
            ("yse\n", false, false),
        ] {
            assert_eq!((is_yes(line, Enter::Yes), is_yes(line, Enter::No)), (with_yes, with_no), "{line:?}");
        }
    }
}
