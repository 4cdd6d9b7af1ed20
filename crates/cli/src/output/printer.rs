//! The printer: decides what goes to stdout and stderr, and how.

use std::io::{self, Write};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use schleuse_model::{Exit, Explain, json};
use serde::Serialize;

use super::{Page, Paint, Report};
use crate::failure::Failure;
use crate::settings::{Format, OutputSettings, Verbosity};

/// The name and version of the machine format. A change that could break a reader gets a new one.
pub(crate) const JSON_FORMAT: &str = "json-v1";

/// Erases the terminal's current line and returns to its start (ECMA-48 EL).
const ERASE_LINE: &str = "\r\u{1b}[2K";

/// The answer could not be written.
#[derive(Debug, thiserror::Error)]
#[error("cannot write the answer to stdout")]
pub(crate) struct OutputError(#[source] io::Error);

impl Explain for OutputError {
    fn exit(&self) -> Exit {
        Exit::Error
    }
}

/// Writes for the person and for the pipe. Clones share the terminal.
#[derive(Clone, Debug)]
pub(crate) struct Printer {
    settings: OutputSettings,
    /// The progress line that stands on the terminal now, if any: everything written to stderr goes above it.
    standing: Arc<Mutex<Option<String>>>,
}

#[derive(Serialize)]
struct Envelope<'a, T: Serialize + ?Sized> {
    format: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    result: Option<&'a T>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<&'a T>,
}

impl Printer {
    /// A printer for these settings.
    pub(crate) fn new(settings: OutputSettings) -> Self {
        Self { settings, standing: Arc::default() }
    }

    /// How to paint what goes to stderr.
    pub(crate) const fn paint(&self) -> Paint {
        Paint::new(self.settings.color_stderr)
    }

    /// The settings.
    pub(crate) const fn settings(&self) -> &OutputSettings {
        &self.settings
    }

    /// The answer, on stdout.
    ///
    /// # Errors
    /// If stdout cannot be written to. A reader that has gone away (`| head`) is no error.
    pub(crate) fn report<R: Report>(&self, report: &R) -> Result<(), OutputError> {
        let text = match self.settings.format {
            Format::Human => {
                let mut page = Page::new(Paint::new(self.settings.color_stdout));
                report.human(&mut page);
                page.into_text()
            }
            Format::Json => json_text(&Envelope { format: JSON_FORMAT, result: Some(report), error: None }),
        };
        self.stdout(text.as_bytes())
    }

    /// Text that is the answer whatever the format: a completion script, a schema.
    ///
    /// # Errors
    /// As [`Printer::report`].
    pub(crate) fn document(&self, text: &[u8]) -> Result<(), OutputError> {
        self.stdout(text)
    }

    /// A remark on what happens, unless `--quiet`.
    pub(crate) fn note(&self, line: &str) {
        if self.settings.verbosity > Verbosity::Quiet {
            self.stderr(line);
        }
    }

    /// A remark for the curious: only with `--verbose`.
    pub(crate) fn detail(&self, line: &str) {
        if self.settings.verbosity == Verbosity::Verbose {
            self.stderr(&self.paint().dim(line));
        }
    }

    /// A question; the answer is typed behind it.
    pub(crate) fn prompt(&self, question: &str) {
        self.stand(None);
        let mut stderr = io::stderr().lock();
        let _ = write!(stderr, "{question}").and_then(|()| stderr.flush());
    }

    /// Something the person should change. It says what to do.
    pub(crate) fn warn(&self, line: &str) {
        self.stderr(&format!("{} {line}", self.paint().warn("warning:")));
    }

    /// What went wrong: one line that says what, one for each why, then what to do.
    pub(crate) fn failure(&self, failure: &Failure) {
        let report = failure.report();
        if self.settings.format == Format::Json {
            let text = json_text(&Envelope { format: JSON_FORMAT, result: None, error: Some(&report) });
            // Nothing is left that could be told about a failure to tell.
            let _ = self.stdout(text.as_bytes());
            return;
        }
        let paint = self.paint();
        self.stderr(&format!("{} {}", paint.bad("error:"), report.message));
        for cause in &report.causes {
            self.stderr(&format!("  {} {cause}", paint.dim("why:")));
        }
        for hint in &report.hints {
            self.stderr(&format!("{} {hint}", paint.hint("hint:")));
        }
    }

    /// Puts a line on the terminal that the next one replaces; `None` takes it away. Nothing happens where stderr is no
    /// terminal.
    pub(crate) fn stand(&self, line: Option<String>) {
        if !self.settings.progress {
            return;
        }
        let mut standing = self.lock();
        let mut stderr = io::stderr().lock();
        if standing.is_some() || line.is_some() {
            let _ = write!(stderr, "{ERASE_LINE}{}", line.as_deref().unwrap_or(""));
            let _ = stderr.flush();
        }
        *standing = line;
    }

    fn stderr(&self, line: &str) {
        let standing = self.lock();
        let mut stderr = io::stderr().lock();
        // A closed stderr must not stop a rollout.
        let _ = match standing.as_deref() {
            Some(progress) => write!(stderr, "{ERASE_LINE}{line}\n{progress}"),
            None => writeln!(stderr, "{line}"),
        };
        let _ = stderr.flush();
    }

    fn stdout(&self, text: &[u8]) -> Result<(), OutputError> {
        let standing = self.lock();
        if self.settings.progress && standing.is_some() {
            let _ = write!(io::stderr().lock(), "{ERASE_LINE}");
        }
        let mut stdout = io::stdout().lock();
        match stdout.write_all(text).and_then(|()| stdout.flush()) {
            Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(OutputError(error)),
            _ => Ok(()),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Option<String>> {
        self.standing.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn json_text<T: Serialize>(value: &T) -> String {
    let mut text = String::from_utf8_lossy(&json::to_bytes(value)).into_owned();
    text.push('\n');
    text
}
