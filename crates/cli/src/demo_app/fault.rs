//! What is wrong with a release, on purpose.

use std::str::FromStr;
use std::time::Duration;

use schleuse_model::{Exit, Explain};

/// `APP_FAULT`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Nothing.
    #[default]
    None,
    /// `crash-at-start`: ends at once with an error.
    CrashAtStart,
    /// `crash-after=<ms>`: ends with an error after that time.
    CrashAfter(Duration),
    /// `health-500-after=<ms>`: the health check answers 500 from then on; everything else works.
    HealthFailsAfter(Duration),
    /// `hang`: takes requests and never answers.
    Hang,
    /// `flaky=<percent>`: so many of the requests are answered with 500.
    Flaky(u8),
}

/// `APP_FAULT` is none that we know.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("APP_FAULT is `{0}`, which is no fault")]
pub(crate) struct FaultError(String);

impl Explain for FaultError {
    fn exit(&self) -> Exit {
        Exit::Usage
    }

    fn hints(&self) -> Vec<String> {
        vec![
            "use `crash-at-start`, `crash-after=<ms>`, `health-500-after=<ms>`, `hang` or `flaky=<percent>`".to_owned(),
        ]
    }
}

impl FromStr for Fault {
    type Err = FaultError;

    fn from_str(text: &str) -> Result<Self, FaultError> {
        let error = || FaultError(text.chars().filter(|c| !c.is_control()).take(80).collect());
        let millis = |value: &str| value.parse().map(Duration::from_millis).map_err(|_| error());
        match text.split_once('=') {
            None if text == "crash-at-start" => Ok(Self::CrashAtStart),
            None if text == "hang" => Ok(Self::Hang),
            None if text.is_empty() => Ok(Self::None),
            Some(("crash-after", value)) => Ok(Self::CrashAfter(millis(value)?)),
            Some(("health-500-after", value)) => Ok(Self::HealthFailsAfter(millis(value)?)),
            Some(("flaky", value)) => match value.parse() {
                Ok(percent @ 0..=100) => Ok(Self::Flaky(percent)),
                _ => Err(error()),
            },
            _ => Err(error()),
        }
    }
}

impl Fault {
    /// Whether the request with this number (from 0) fails, `age` after the start. Decided by the number alone (SplitMix64), so
    /// that a run can be repeated.
    pub(crate) fn fails(self, request: u64, health: bool, age: Duration) -> bool {
        match self {
            Self::HealthFailsAfter(after) => health && age >= after,
            Self::Flaky(percent) => mixed(request) % 100 < u64::from(percent),
            _ => false,
        }
    }
}

/// SplitMix64 (Steele, Lea, Flood 2014): spreads a counter evenly.
const fn mixed(counter: u64) -> u64 {
    let z = counter.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_fault_is_read_and_others_are_refused() {
        assert_eq!("".parse(), Ok(Fault::None));
        assert_eq!("crash-at-start".parse(), Ok(Fault::CrashAtStart));
        assert_eq!("crash-after=250".parse(), Ok(Fault::CrashAfter(Duration::from_millis(250))));
        assert_eq!("health-500-after=0".parse(), Ok(Fault::HealthFailsAfter(Duration::ZERO)));
        assert_eq!("hang".parse(), Ok(Fault::Hang));
        assert_eq!("flaky=30".parse(), Ok(Fault::Flaky(30)));
        for wrong in ["flaky=101", "flaky", "flaky=", "crash-after=soon", "explode"] {
            assert!(wrong.parse::<Fault>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn flaky_fails_about_as_often_as_it_says_and_health_only_from_its_time() {
        let failed = |percent| (0..10_000).filter(|n| Fault::Flaky(percent).fails(*n, true, Duration::ZERO)).count();
        assert!((2800..3200).contains(&failed(30)), "{}", failed(30));
        assert_eq!((failed(0), failed(100)), (0, 10_000));
        let after = Fault::HealthFailsAfter(Duration::from_secs(1));
        assert!(!after.fails(0, true, Duration::from_millis(999)));
        assert!(after.fails(0, true, Duration::from_secs(1)));
        assert!(!after.fails(0, false, Duration::from_secs(9)), "only the health check");
    }
}
