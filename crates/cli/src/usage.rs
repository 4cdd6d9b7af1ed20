//! A wrong command line, told as every other error is.

use clap::error::ErrorKind;
use schleuse_model::{Exit, Explain};

/// What the command line came to when it is not a verb to run.
#[derive(Debug)]
pub(crate) enum Parsed {
    /// Help or the version was asked for.
    Help(String),
    /// It is wrong.
    Wrong(Usage),
}

/// The command line is wrong.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub(crate) struct Usage {
    message: String,
    hints: Vec<String>,
}

impl Explain for Usage {
    fn exit(&self) -> Exit {
        Exit::Usage
    }

    fn hints(&self) -> Vec<String> {
        self.hints.clone()
    }
}

impl Usage {
    /// A wrong use that the grammar cannot express.
    pub(crate) fn new(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { message: message.into(), hints: vec![hint.into()] }
    }

    /// Takes clap's rendered error apart: its first paragraph is what, its tips and usage are hints.
    pub(crate) fn from_clap(error: &clap::Error) -> Parsed {
        let text = error.render().to_string();
        if matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion) {
            return Parsed::Help(text);
        }
        if error.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand {
            let message = "no verb given".to_owned();
            return Parsed::Wrong(Self { message, hints: vec!["`schleuse --help` lists the verbs".to_owned()] });
        }
        let mut message = Vec::new();
        let mut hints = Vec::new();
        let mut in_message = true;
        for line in text.lines().map(str::trim) {
            if let Some(tip) = line.strip_prefix("tip: ") {
                hints.push(tip.to_owned());
            } else if let Some(usage) = line.strip_prefix("Usage: ") {
                hints.push(format!("usage: `{usage}`"));
            } else if let Some(values) = line.strip_prefix('[') {
                hints.push(values.trim_end_matches(']').to_owned());
            } else if line.starts_with("For more information") {
                hints.push("`--help` explains it".to_owned());
            } else if line.is_empty() {
                in_message &= message.is_empty();
            } else if in_message {
                message.push(line.strip_prefix("error: ").unwrap_or(line));
            }
        }
        Parsed::Wrong(Self { message: message.join(" "), hints })
    }
}
