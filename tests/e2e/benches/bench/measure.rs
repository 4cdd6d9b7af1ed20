//! Timing processes, and what the figures say.

use std::fmt;
use std::process::{Command, Stdio};
use std::time::Instant;

/// Runs `command` to its end and returns the milliseconds it took, from before the fork until it was reaped.
pub(crate) fn timed(command: &mut Command) -> f64 {
    let began = Instant::now();
    let output = command.stdin(Stdio::null()).output().expect("the program starts");
    let took = began.elapsed();
    let said = || String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{command:?}: {}\n{}", output.status, said());
    took.as_secs_f64() * 1000.0
}

/// One program's times in ms (or its memory in MiB), by round.
#[derive(Clone, Debug, Default)]
pub(crate) struct Series(Vec<f64>);

impl Series {
    pub(crate) fn add(&mut self, took: f64) {
        self.0.push(took);
    }

    /// The ratio, round by round: what slows one round down slows down both.
    pub(crate) fn over(&self, other: &Self) -> Figures {
        Self(self.0.iter().zip(&other.0).map(|(one, other)| one / other).collect()).figures()
    }

    /// The value at this share of the sorted series.
    pub(crate) fn at(&self, share: f64) -> f64 {
        let mut sorted = self.0.clone();
        sorted.sort_by(f64::total_cmp);
        sorted[((sorted.len() - 1) as f64 * share).round() as usize]
    }

    /// The median and its noise.
    pub(crate) fn figures(&self) -> Figures {
        let median = self.at(0.5);
        let deviation = Self(self.0.iter().map(|took| (took - median).abs()).collect()).at(0.5);
        // For normal noise: σ = 1.4826 MAD, and a median's standard error is 1.2533 σ / √n. Twice that.
        let noise = 2.0 * 1.2533 * 1.4826 * deviation / (self.0.len() as f64).sqrt();
        Figures { median, noise }
    }
}

/// A figure, and how far it may be off.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Figures {
    pub(crate) median: f64,
    pub(crate) noise: f64,
}

impl Figures {
    /// One that was counted.
    pub(crate) const fn exact(figure: f64) -> Self {
        Self { median: figure, noise: 0.0 }
    }

    /// The difference. What is taken off is a measurement too, and its noise stays in the result.
    pub(crate) fn less(self, off: Self) -> Self {
        Self { median: self.median - off.median, noise: self.noise.hypot(off.noise) }
    }

    /// The ratio, with the noise of both.
    pub(crate) fn over(self, other: Self) -> Self {
        let ratio = self.median / other.median;
        let noise = ratio.abs() * (self.noise / self.median).hypot(other.noise / other.median);
        Self { median: ratio, noise }
    }
}

/// A figure and the most it may be.
#[derive(Debug)]
pub(crate) struct Bar {
    name: &'static str,
    figures: Figures,
    at_most: f64,
}

impl Bar {
    pub(crate) const fn new(name: &'static str, figures: Figures, at_most: f64) -> Self {
        Self { name, figures, at_most }
    }

    pub(crate) fn is_missed(&self) -> bool {
        self.figures.median - self.figures.noise > self.at_most
    }
}

impl fmt::Display for Bar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Figures { median, noise } = self.figures;
        let word = match (self.is_missed(), median > self.at_most) {
            (true, _) => "MISSED",
            (false, true) => "cannot tell: above, but within the noise",
            (false, false) if median + noise > self.at_most => "holds, within the noise: run it on an idle machine",
            (false, false) => "holds",
        };
        write!(f, "{:<44}{median:>9.2}{noise:>9.2}{:>9.2}  {word}", self.name, self.at_most)
    }
}
