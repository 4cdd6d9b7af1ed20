//! A promotion or rollout as people watch it: one line a fact, a live strip of probes on a terminal, one line a change in CI.

use std::sync::{Arc, Mutex, PoisonError};

use schleuse_model::time::human;
use schleuse_model::{Clock, Release};
use schleuse_promote::{Note, Observer};

use crate::output::Printer;

/// How many probes the strip shows.
const STRIP: usize = 24;
/// The width of the first column.
const LABEL: usize = 10;

/// Prints notes as they come.
#[derive(Debug)]
pub(crate) struct Watch {
    printer: Printer,
    clock: Arc<dyn Clock>,
    strip: Mutex<Strip>,
}

/// The probes so far.
#[derive(Debug, Default)]
struct Strip {
    marks: Vec<bool>,
    last_said: Option<bool>,
}

impl Watch {
    /// Prints on `printer`.
    pub(crate) fn new(printer: Printer, clock: Arc<dyn Clock>) -> Self {
        Self { printer, clock, strip: Mutex::default() }
    }

    fn fact(&self, label: &str, text: &str) {
        let label = self.printer.paint().dim(format_args!("{label:<LABEL$}"));
        self.printer.note(&format!("{label} {text}"));
    }

    fn strip(&self) -> std::sync::MutexGuard<'_, Strip> {
        self.strip.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn probed(&self, good: bool, detail: &str, left: &str) {
        let mut strip = self.strip();
        strip.marks.push(good);
        let from = strip.marks.len().saturating_sub(STRIP);
        let marks: String = strip.marks[from..].iter().map(|good| if *good { '●' } else { '○' }).collect();
        let (paint, all) = (self.printer.paint(), strip.marks.len());
        let count = strip.marks.iter().filter(|good| **good).count();
        let line = format!("{:<LABEL$} {marks}  {count} of {all} good  {detail}  {left}", "rollout");
        self.printer.stand(Some(line));
        // Where nothing can be redrawn, a line a change: the first probe, and each turn for the better or worse.
        if !self.printer.settings().progress && strip.last_said != Some(good) {
            let word = if good { paint.good("good") } else { paint.bad("bad") };
            self.fact("probe", &format!("{word}  {detail}"));
        }
        strip.last_said = Some(good);
    }
}

impl Observer for Watch {
    fn note(&self, note: Note) {
        let paint = self.printer.paint();
        match note {
            Note::Release { release, from, since } => {
                self.fact("release", &described(&release));
                if let Some(from) = from {
                    let since = since.map(|since| format!("  healthy for {}", human(self.clock.now().since(since))));
                    self.fact("from", &format!("{from}{}", since.unwrap_or_default()));
                }
            }
            Note::Passed { check, note } => self.fact("check", &format!("{check:<12} {}", paint.good(note))),
            Note::Producing => self.printer.stand(Some(format!("{:<LABEL$} running", "checks"))),
            Note::CheckSaid { check, took, text } => {
                self.printer.stand(None);
                for line in text.lines() {
                    self.fact(&check, &paint.dim(line));
                }
                self.printer.detail(&format!("{check} took {}", human(took)));
            }
            Note::WayBack { release } => {
                let text = release.map_or_else(|| "none yet: this is the first release".to_owned(), |r| described(&r));
                self.fact("way back", &text);
            }
            Note::Journaled { environment, sequence, event } => {
                self.fact("journal", &format!("{environment} #{sequence} {event}"));
            }
            Note::Tagged { tag } => self.printer.detail(&format!("{:<LABEL$} {tag}", "tag")),
            Note::Pinned { manifests } => {
                let manifests = if manifests == 1 { "manifest".to_owned() } else { format!("{manifests} manifests") };
                self.printer.detail(&format!("{:<LABEL$} {manifests} against cleanup", "pinned"));
            }
            Note::NotPinned { why } => {
                self.printer
                    .warn(&format!("not everything is kept from cleanup: {why}; see `schleuse retention --check`"));
            }
            Note::NoHint => self.printer.detail("the hint beside the image could not be moved"),
            Note::TagBehind { why } => {
                self.printer.warn(&format!("the tag could not follow the journal ({why}); `schleuse resume` moves it"));
            }
            Note::TakingOver { from } => self.fact("resume", &format!("taking over from run {from}")),
            Note::Preparing => self.printer.stand(Some(format!("{:<LABEL$} fetching and unpacking", "rollout"))),
            Note::Applied => self.fact("rollout", "the new release runs beside the old"),
            Note::Probed { good, detail, until } => {
                let left = until.since(self.clock.now());
                self.probed(good, &detail, &format!("{} left", human(left)));
            }
            Note::Switched => self.fact("rollout", "traffic goes to the new release"),
            Note::Healthy { probes, good } => {
                self.printer.stand(None);
                self.printer.note(&format!("{} {good} of {probes} probes good", paint.good("HEALTHY   ")));
            }
            Note::Unhealthy { reason } => {
                self.printer.stand(None);
                self.printer.note(&format!("{} {reason}", paint.bad("UNHEALTHY ")));
            }
            Note::Diagnosis { label, text } => {
                for (at, line) in text.lines().enumerate() {
                    let label = if at == 0 { label } else { "" };
                    self.printer.note(&format!("{:<LABEL$} {}  {line}", "", paint.dim(format_args!("{label:<12}"))));
                }
            }
            Note::Restored { after } => {
                self.printer.stand(None);
                self.fact("rollout", &format!("the old release answers again after {} ms", after.as_millis()));
            }
            Note::Unrecorded { why } => {
                self.printer.stand(None);
                self.printer.warn(&format!("the journal could not be told ({why}); `schleuse resume` does it"));
            }
        }
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.printer.stand(None);
    }
}

/// A release on one line: `9b1e4c07aa31  1.4.0  commit 3f2c1a9`.
pub(crate) fn described(release: &Release) -> String {
    let version = release.version.as_deref().map(|version| format!("  {version}")).unwrap_or_default();
    let commit = release.commit.as_ref().map(|commit| format!("  commit {}", commit.short())).unwrap_or_default();
    format!("{}{version}{commit}", release.digest.short())
}
