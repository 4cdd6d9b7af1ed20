//! The rules, and why each is there.

use std::collections::VecDeque;
use std::time::Duration;

use schleuse_model::Timestamp;

use crate::sprt::Sprt;
use crate::{Inconclusive, Measurement, Outcome, ProbeFailure, ProcessEnd, Sample, Settings, Unhealthy, Verdict};

/// How many latencies are kept for [`Summary::p50`]: the last 256, twenty minutes at the usual interval.
pub const LATENCIES_KEPT: usize = 256;

/// Watches one release from its start to a verdict.
///
/// # Expected flow
/// [`new`](Self::new) when the release was started; [`observe`](Self::observe) each probe, [`process_exited`](Self::process_exited)
/// if the process ends; after each, and at [`Verdict::Wait`]'s `until` at the latest, [`verdict`](Self::verdict).
///
/// # The rules
/// **Grace.** A service that starts answers nothing, or 503, for a while. Until its first good answer failures do not count, for at
/// most the grace; with the first good answer grace is over for good. A process that *ends* is never forgiven: a crash loop would
/// otherwise use up the grace with restarts (a rollout that ran for ever on one: argo-rollouts#3765). No good answer by the end of
/// the grace is [`Unhealthy::NeverHealthy`].
///
/// **Failures in a row**, over a span. The plainest form of sick, and the fastest to see. The span keeps a hiccup of two seconds
/// that a short interval saw three times from counting as three.
///
/// **The sequential test** ([`sprt`](crate::sprt)) sees what fails now and then. Between them the two rules find both a release that
/// is dead and one that fails every third request.
///
/// **Healthy** takes the whole window *and* a good end: a test that accepts after fourteen good probes knows nothing about the leak
/// in minute four, and a window that was good on average may end in the beginning of an outage. If the end is not good, the
/// watch goes on for the extension and is then inconclusive: neither good enough to go on, nor bad enough to go back.
///
/// **Watched time** is not wall time. Each usable probe vouches for the time since the one before, for at most 1¼ intervals (the
/// prober's ±10 % and some). Time in which nothing was probed, be it that the machine slept, the prober hung or the clock jumped
/// forwards, vouches for nothing: grace, window and span all count watched time. So a jump of the clock cannot complete a
/// window that nobody watched, and cannot end a grace early either.
///
/// **What ends it.** Window plus extension after the start, by wall time, there is a verdict, whatever happened; that deadline is
/// looked at before any rule. A clock that goes back by more than an interval, and a release that nothing was seen of for
/// [`Settings::blind`], are inconclusive: they are our failure, not the release's, and rolling back a good release because our
/// prober broke teaches people to distrust the tool.
///
/// Reasons found while observing stand: what comes later does not overwrite them.
#[derive(Clone, Debug)]
pub struct Analysis {
    settings: Settings,
    started: Timestamp,
    latest: Timestamp,
    last_usable: Timestamp,
    last_broken: Option<Measurement>,
    /// Whether the last sample vouches for the time until the next.
    seeing: bool,
    watched: Duration,
    row: Row,
    good_in_a_row: u32,
    sprt: Sprt,
    summary: Summary,
    latencies: VecDeque<Duration>,
    settled: Option<Verdict>,
}

/// Failures in a row.
#[derive(Clone, Debug, Default)]
struct Row {
    count: u32,
    span: Duration,
}

/// What was seen so far, for progress lines and records.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// Good probes.
    pub good: u32,
    /// Failures that counted.
    pub failed: u32,
    /// Failures before the first good answer.
    pub forgiven: u32,
    /// Measurements that were none.
    pub broken: u32,
    /// Watched time.
    pub watched: Duration,
    /// The median latency of the last [`LATENCIES_KEPT`] good probes.
    pub p50: Option<Duration>,
}

impl Analysis {
    /// The watch of a release that was started at `started`, under settings that are
    /// [valid](Settings::validate). (Under others it still ends, but may end wrongly.)
    pub fn new(settings: Settings, started: Timestamp) -> Self {
        Self {
            sprt: Sprt::new(&settings),
            settings,
            started,
            latest: started,
            last_usable: started,
            last_broken: None,
            seeing: false,
            watched: Duration::ZERO,
            row: Row::default(),
            good_in_a_row: 0,
            summary: Summary::default(),
            latencies: VecDeque::new(),
            settled: None,
        }
    }

    /// Takes in one probe. Samples after the deadline, or after a verdict was reached, change nothing.
    pub fn observe(&mut self, sample: Sample) {
        if self.settled.is_some() || sample.at >= self.deadline() {
            return;
        }
        if let Some(back) = self.went_back(sample.at) {
            self.settled = Some(Verdict::Inconclusive(back));
            return;
        }
        let gap = sample.at.since(self.latest).min(self.settings.interval * 5 / 4);
        self.latest = self.latest.max(sample.at);
        if let Outcome::Broken(why) = sample.outcome {
            self.summary.broken = self.summary.broken.saturating_add(1);
            self.last_broken = Some(why);
            self.seeing = false;
            self.good_in_a_row = 0;
            return;
        }
        self.last_usable = self.latest;
        self.last_broken = None;
        self.seeing = true;
        self.watched += gap;
        match sample.outcome {
            Outcome::Good { latency } => self.good(latency),
            Outcome::Failed(failure) if self.summary.good == 0 => self.failed_before_the_first_good(failure),
            Outcome::Failed(failure) => self.failed(gap, failure),
            Outcome::Broken(_) => {}
        }
    }

    /// The released process ended, at `at`. Counts at any time before the verdict, also during the grace.
    pub fn process_exited(&mut self, at: Timestamp, how: ProcessEnd) {
        if self.settled.is_none() {
            let after = at.since(self.started);
            self.settled = Some(Verdict::Unhealthy(Unhealthy::Exited { how, after }));
        }
    }

    /// What is known at `now`.
    pub fn verdict(&self, now: Timestamp) -> Verdict {
        if let Some(settled) = &self.settled {
            return settled.clone();
        }
        if now >= self.deadline() {
            return Verdict::Inconclusive(self.at_the_deadline());
        }
        if let Some(back) = self.went_back(now) {
            return Verdict::Inconclusive(back);
        }
        let unseen = now.since(self.last_usable);
        if unseen >= self.settings.blind {
            return Verdict::Inconclusive(Inconclusive::Blind { seconds: unseen.as_secs(), last: self.last_broken });
        }
        let fresh = now.since(self.latest) <= self.settings.interval * 2;
        if fresh && self.ends_well() && self.watched_until(now) >= self.settings.window {
            return Verdict::Healthy;
        }
        Verdict::Wait { until: self.ask_again() }
    }

    /// What was seen so far.
    pub fn summary(&self) -> Summary {
        let mut sorted: Vec<Duration> = self.latencies.iter().copied().collect();
        sorted.sort_unstable();
        Summary { watched: self.watched, p50: sorted.get(sorted.len() / 2).copied(), ..self.summary }
    }

    /// When there is a verdict, whatever happens.
    pub fn deadline(&self) -> Timestamp {
        self.started.plus(self.settings.window.saturating_add(self.settings.extension))
    }

    fn good(&mut self, latency: Duration) {
        self.summary.good = self.summary.good.saturating_add(1);
        self.good_in_a_row = self.good_in_a_row.saturating_add(1);
        self.row = Row::default();
        self.sprt.observe(false);
        if self.latencies.len() == LATENCIES_KEPT {
            self.latencies.pop_front();
        }
        self.latencies.push_back(latency);
    }

    fn failed_before_the_first_good(&mut self, last: ProbeFailure) {
        self.summary.forgiven = self.summary.forgiven.saturating_add(1);
        // The count as well: with a grace of zero the very first probe would otherwise decide.
        if self.watched >= self.settings.grace && self.summary.forgiven >= self.settings.failures_in_a_row {
            self.settled = Some(Verdict::Unhealthy(Unhealthy::NeverHealthy { probed: self.watched, last }));
        }
    }

    fn failed(&mut self, gap: Duration, last: ProbeFailure) {
        self.summary.failed = self.summary.failed.saturating_add(1);
        self.good_in_a_row = 0;
        self.row.span = if self.row.count == 0 { Duration::ZERO } else { self.row.span + gap };
        self.row.count = self.row.count.saturating_add(1);
        self.sprt.observe(true);
        let Row { count, span } = self.row;
        if count >= self.settings.failures_in_a_row && span >= self.settings.span {
            self.settled = Some(Verdict::Unhealthy(Unhealthy::FailuresInARow { count, span, last }));
        } else if self.sprt.says_sick() {
            let failed = self.summary.failed;
            let probes = failed.saturating_add(self.summary.good);
            self.settled = Some(Verdict::Unhealthy(Unhealthy::TooManyFailures { failed, probes, last }));
        }
    }

    fn ends_well(&self) -> bool {
        self.good_in_a_row >= self.settings.good_at_the_end
    }

    /// The last probe vouches for the interval it began, as far as that has passed.
    fn watched_until(&self, now: Timestamp) -> Duration {
        let since = if self.seeing { now.since(self.latest).min(self.settings.interval) } else { Duration::ZERO };
        self.watched + since
    }

    fn went_back(&self, now: Timestamp) -> Option<Inconclusive> {
        // Small steps are a clock being disciplined, or two threads racing to read it.
        let back = self.latest.since(now);
        (back > self.settings.interval).then_some(Inconclusive::ClockWentBack { seconds: back.as_secs() })
    }

    fn at_the_deadline(&self) -> Inconclusive {
        let got = self.summary.good.saturating_add(self.summary.failed).saturating_add(self.summary.forgiven);
        if self.watched + self.settings.interval < self.settings.window {
            Inconclusive::TooFewProbes { got, expected: self.settings.probes_in_window() }
        } else if !self.ends_well() {
            Inconclusive::NotGoodAtTheEnd { good: self.good_in_a_row, needed: self.settings.good_at_the_end }
        } else {
            Inconclusive::AskedTooLate
        }
    }

    /// The earliest time at which the verdict changes although nothing is observed.
    fn ask_again(&self) -> Timestamp {
        let last_word = self.deadline().min(self.last_usable.plus(self.settings.blind));
        let missing = self.settings.window.saturating_sub(self.watched);
        if self.seeing && self.ends_well() && missing <= self.settings.interval {
            last_word.min(self.latest.plus(missing))
        } else {
            last_word
        }
    }
}

#[cfg(test)]
mod tests;
