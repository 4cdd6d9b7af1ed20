//! What to demand of a release before it counts as healthy.

use std::time::Duration;

use schleuse_model::time::human;
use schleuse_model::{Exit, Explain};
use serde::{Deserialize, Serialize};

use crate::Probability;
use crate::sprt::Sprt;

/// How a release is watched. Part of a plan's hash: fields keep their order and their meaning; durations are written in whole
/// milliseconds, probabilities in parts per million.
///
/// The defaults are the seed document's figures where it has any (5 s, 2 s, 5 min), and those of the simulations behind
/// [`sprt`](crate::sprt) where it has none.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// From the start of one probe to the start of the next. The prober spreads it by ±10 %, so that it does not fall into step
    /// with whatever else happens every 5 s.
    #[serde(with = "crate::millis", rename = "interval_ms")]
    pub interval: Duration,
    /// How long one answer may take. At most the interval: probes do not overlap.
    #[serde(with = "crate::millis", rename = "timeout_ms")]
    pub timeout: Duration,
    /// How much watched time makes a release healthy, from its start.
    #[serde(with = "crate::millis", rename = "window_ms")]
    pub window: Duration,
    /// Start-up: failures do not count until the first good answer, for at most this long. An exit counts always.
    #[serde(with = "crate::millis", rename = "grace_ms")]
    pub grace: Duration,
    /// How many failures in a row make it unhealthy ...
    pub failures_in_a_row: u32,
    /// ... if they span at least this long: a hiccup of two seconds is none, however often it was probed.
    #[serde(with = "crate::millis", rename = "span_ms")]
    pub span: Duration,
    /// p0: how many of its probes a healthy release fails.
    pub healthy_failure_rate: Probability,
    /// p1: how many of its probes a sick release fails. In between neither verdict is wrong.
    pub sick_failure_rate: Probability,
    /// α: how often a healthy release may be called sick.
    pub false_alarm: Probability,
    /// β: how often a sick release may be called healthy.
    pub missed_alarm: Probability,
    /// How many good probes in a row the window must end with.
    pub good_at_the_end: u32,
    /// How much longer it may be watched when the window does not end well, or was not wholly watched. Then it is inconclusive.
    #[serde(with = "crate::millis", rename = "extension_ms")]
    pub extension: Duration,
    /// How long nothing at all may be seen of the release before that is inconclusive.
    #[serde(with = "crate::millis", rename = "blind_ms")]
    pub blind: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            interval: Duration::from_secs(5),
            timeout: Duration::from_secs(2),
            window: Duration::from_secs(300),
            grace: Duration::from_secs(60),
            failures_in_a_row: 3,
            span: Duration::from_secs(10),
            healthy_failure_rate: Probability::percent(1),
            sick_failure_rate: Probability::percent(30),
            false_alarm: Probability::per_million(1_000),
            missed_alarm: Probability::percent(1),
            good_at_the_end: 5,
            extension: Duration::from_secs(60),
            blind: Duration::from_secs(60),
        }
    }
}

/// Why settings are refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SettingsError {
    /// A duration outside its bounds.
    #[error("health: `{name}` must be {} to {}, not {}", human(*least), human(*most), human(*value))]
    Duration {
        /// Which one.
        name: &'static str,
        /// As given.
        value: Duration,
        /// The least allowed.
        least: Duration,
        /// The most allowed.
        most: Duration,
    },
    /// A count outside its bounds.
    #[error("health: `{name}` must be {least} to {most}, not {value}")]
    Count {
        /// Which one.
        name: &'static str,
        /// As given.
        value: u32,
        /// The least allowed.
        least: u32,
        /// The most allowed.
        most: u32,
    },
    /// Grace and the first failures that could count use up the window: the rules could never speak.
    #[error("health: the window of {} must be longer than {}, which is the grace and {failures} probes", human(*window), human(*needed))]
    WindowTooShort {
        /// As given.
        window: Duration,
        /// Grace + interval × failures in a row.
        needed: Duration,
        /// Failures in a row.
        failures: u32,
    },
    /// A probability at or outside 0 or 1, or an error rate of a half or more.
    #[error("health: `{name}` must lie between 0 and {}, not {value}", if *.error_rate { "50 %" } else { "100 %" })]
    Probability {
        /// Which one.
        name: &'static str,
        /// As given.
        value: Probability,
        /// Whether it is one of the two error rates.
        error_rate: bool,
    },
    /// p0 ≥ p1.
    #[error("health: a sick release must fail more probes ({sick}) than a healthy one ({healthy})")]
    RatesCrossed {
        /// p0.
        healthy: Probability,
        /// p1.
        sick: Probability,
    },
    /// One failure alone would pass the upper bound.
    #[error("health: with these failure rates a single failed probe would roll back")]
    OneFailureDecides,
}

impl Explain for SettingsError {
    fn exit(&self) -> Exit {
        Exit::Usage
    }

    fn hints(&self) -> Vec<String> {
        match self {
            Self::WindowTooShort { needed, .. } => {
                vec![format!("make the window longer than {}, or the grace shorter", human(*needed))]
            }
            Self::OneFailureDecides => vec!["raise the healthy failure rate, or lower the false alarm rate".to_owned()],
            _ => Vec::new(),
        }
    }
}

impl Settings {
    /// Refuses settings under which a rule could never speak, could speak after one probe, or could take for ever.
    ///
    /// # Errors
    /// [`SettingsError`], the first one found.
    pub fn validate(&self) -> Result<(), SettingsError> {
        const HOUR: Duration = Duration::from_secs(3600);
        const TICK: Duration = Duration::from_millis(10);
        let between = |name, value: Duration, least: Duration, most: Duration| {
            if (least..=most).contains(&value) {
                Ok(())
            } else {
                Err(SettingsError::Duration { name, value, least, most })
            }
        };
        let count = |name, value, least, most| {
            if (least..=most).contains(&value) {
                Ok(())
            } else {
                Err(SettingsError::Count { name, value, least, most })
            }
        };
        // 50 ms is what the demonstration needs; nobody probes a service that often.
        between("interval", self.interval, Duration::from_millis(50), HOUR)?;
        between("timeout", self.timeout, TICK, self.interval)?;
        between("window", self.window, self.interval, 24 * HOUR)?;
        between("grace", self.grace, Duration::ZERO, HOUR)?;
        count("failures_in_a_row", self.failures_in_a_row, 2, 100)?;
        count("good_at_the_end", self.good_at_the_end, 1, 100)?;
        let needed = self.grace + self.interval * self.failures_in_a_row;
        if self.window <= needed {
            let (window, failures) = (self.window, self.failures_in_a_row);
            return Err(SettingsError::WindowTooShort { window, needed, failures });
        }
        between("span", self.span, Duration::ZERO, self.window - self.grace)?;
        // Long enough to end well after a failure on the window's last probe.
        between("extension", self.extension, self.interval * self.good_at_the_end, 24 * HOUR)?;
        between("blind", self.blind, self.interval * 2, HOUR.max(self.interval * 2))?;
        self.validate_rates()
    }

    fn validate_rates(&self) -> Result<(), SettingsError> {
        let (p0, p1) = (self.healthy_failure_rate, self.sick_failure_rate);
        for (name, value, error_rate) in [
            ("healthy_failure_rate", p0, false),
            ("sick_failure_rate", p1, false),
            ("false_alarm", self.false_alarm, true),
            ("missed_alarm", self.missed_alarm, true),
        ] {
            if !value.is_open() || (error_rate && value >= Probability::percent(50)) {
                return Err(SettingsError::Probability { name, value, error_rate });
            }
        }
        if p0 >= p1 {
            return Err(SettingsError::RatesCrossed { healthy: p0, sick: p1 });
        }
        if Sprt::new(self).failures_to_stop() < 2.0 { Err(SettingsError::OneFailureDecides) } else { Ok(()) }
    }

    /// How many probes a wholly watched window has.
    pub(crate) fn probes_in_window(&self) -> u32 {
        let probes = self.window.as_millis() / self.interval.as_millis().max(1);
        u32::try_from(probes).unwrap_or(u32::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(change: impl FnOnce(&mut Settings)) -> Result<(), String> {
        let mut settings = Settings::default();
        change(&mut settings);
        settings.validate().map_err(|error| error.to_string())
    }

    #[test]
    fn what_is_refused() {
        assert_eq!(with(|_| ()), Ok(()));
        for (refused, message) in [
            (
                with(|s| s.window = Duration::from_secs(75)),
                "the window of 1m15s must be longer than 1m15s, which is the grace and 3 probes",
            ),
            (with(|s| s.timeout = Duration::from_secs(6)), "`timeout` must be 0.0s to 5.0s, not 6.0s"),
            (with(|s| s.interval = Duration::ZERO), "`interval` must be 0.0s to 1h00m, not 0.0s"),
            (with(|s| s.failures_in_a_row = 1), "`failures_in_a_row` must be 2 to 100, not 1"),
            (with(|s| s.good_at_the_end = 0), "`good_at_the_end` must be 1 to 100, not 0"),
            (with(|s| s.extension = Duration::from_secs(20)), "`extension` must be 25.0s to 24h"),
            (with(|s| s.blind = Duration::from_secs(9)), "`blind` must be 10.0s to 1h00m, not 9.0s"),
            (with(|s| s.span = Duration::from_secs(241)), "`span` must be 0.0s to 4m00s"),
            (
                with(|s| s.healthy_failure_rate = Probability::percent(30)),
                "must fail more probes (30 %) than a healthy one (30 %)",
            ),
            (
                with(|s| s.sick_failure_rate = Probability::percent(100)),
                "`sick_failure_rate` must lie between 0 and 100 %, not 100 %",
            ),
            (
                with(|s| s.missed_alarm = Probability::percent(50)),
                "`missed_alarm` must lie between 0 and 50 %, not 50 %",
            ),
            (with(|s| s.healthy_failure_rate = Probability::per_million(100)), "a single failed probe would roll back"),
        ] {
            let refused = refused.expect_err(message).replace("1d", "24h");
            assert!(refused.starts_with("health: ") && refused.contains(message), "{refused}");
        }
    }

    #[test]
    #[allow(clippy::disallowed_methods, reason = "reads back what the test wrote")]
    fn the_bytes_that_are_hashed() {
        let written = serde_json::to_string(&Settings::default()).unwrap();
        assert_eq!(
            written,
            concat!(
                r#"{"interval_ms":5000,"timeout_ms":2000,"window_ms":300000,"grace_ms":60000,"failures_in_a_row":3,"#,
                r#""span_ms":10000,"healthy_failure_rate":10000,"sick_failure_rate":300000,"false_alarm":1000,"#,
                r#""missed_alarm":10000,"good_at_the_end":5,"extension_ms":60000,"blind_ms":60000}"#
            )
        );
        assert_eq!(serde_json::from_str::<Settings>(&written).unwrap(), Settings::default());
    }
}
