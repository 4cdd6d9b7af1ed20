//! Progress: one line on a terminal that says what is going on, for how long, and disappears when done.

use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread::JoinHandle;
use std::time::Duration;

use schleuse_model::time::human;
use tokio::time::Instant;

use crate::output::Printer;
use crate::settings::Verbosity;

/// How often the line is drawn again.
const TICK: Duration = Duration::from_millis(120);
/// Work shorter than this shows no progress: a line that flashes by is noise.
const DELAY: Duration = Duration::from_millis(400);
/// The most that is shown of the text, in characters: with frame and time it fits into 80 columns.
const WIDTH: usize = 64;
/// After this a run without a terminal says what it waits for. A request is given up much later.
const LONG: Duration = Duration::from_secs(10);
const FRAMES: [&str; 4] = ["·  ", "·· ", "···", " ··"];

/// The line, while this lives.
#[derive(Debug)]
pub(crate) struct Progress(Option<Running>);

#[derive(Debug)]
struct Running {
    text: Sender<String>,
    thread: Option<JoinHandle<()>>,
}

impl Progress {
    /// Shows `text` until dropped, if the printer shows progress at all.
    pub(crate) fn start(printer: &Printer, text: &str) -> Self {
        if !printer.settings().progress {
            return Self::start_patient(printer, text);
        }
        let (sender, receiver) = mpsc::channel::<String>();
        let (printer, mut text) = (printer.clone(), text.to_owned());
        let draw = move || {
            let (began, mut ticks) = (Instant::now(), 0_usize);
            loop {
                match receiver.recv_timeout(TICK) {
                    Ok(newer) => text = newer,
                    Err(RecvTimeoutError::Timeout) => ticks = ticks.wrapping_add(1),
                    Err(RecvTimeoutError::Disconnected) => break printer.stand(None),
                }
                let elapsed = began.elapsed();
                if elapsed >= DELAY {
                    // A line that wraps cannot be erased.
                    let text: String = text.chars().take(WIDTH).collect();
                    let frame = FRAMES[ticks % FRAMES.len()];
                    let took = printer.paint().dim(human(elapsed));
                    printer.stand(Some(format!("{} {text} {took}", printer.paint().hint(frame))));
                }
            }
        };
        // Without a thread there is no progress line; the work goes on.
        let thread = std::thread::Builder::new().name("progress".to_owned()).spawn(draw).ok();
        Self(Some(Running { text: sender, thread }))
    }

    /// Where no line can stand: one note, once it takes long. Silence looks like a hang, and a log of dots helps nobody.
    fn start_patient(printer: &Printer, text: &str) -> Self {
        if printer.settings().verbosity == Verbosity::Quiet {
            return Self(None);
        }
        let (sender, receiver) = mpsc::channel::<String>();
        let (printer, mut text) = (printer.clone(), text.to_owned());
        let wait = move || {
            let began = Instant::now();
            loop {
                match receiver.recv_timeout(LONG.saturating_sub(began.elapsed())) {
                    Ok(newer) => text = newer,
                    Err(RecvTimeoutError::Timeout) => {
                        break printer.note(&format!("still {text} after {} s", LONG.as_secs()));
                    }
                    Err(RecvTimeoutError::Disconnected) => break,
                }
            }
        };
        let thread = std::thread::Builder::new().name("patience".to_owned()).spawn(wait).ok();
        Self(Some(Running { text: sender, thread }))
    }

    /// Says something else from now on.
    pub(crate) fn say(&self, text: impl Into<String>) {
        if let Some(running) = &self.0 {
            let _ = running.text.send(text.into());
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some(Running { text, thread }) = self.0.take() {
            drop(text);
            if let Some(thread) = thread {
                let _ = thread.join();
            }
        }
    }
}
