//! Wald's sequential probability ratio test on good and failed probes, with a floor.
//!
//! # Why this test
//! A rule over a fixed number of probes either waits for all of them although three would do, or looks after each and pays for
//! it: looking often turns a 1 % error into tens of per cent. Measured over 120 probes of a healthy release that fails 1 % of
//! them, "any failure rolls back" rolls back 70 % of all rollouts, which teaches people to switch it off; "three in a row" almost
//! never does, but misses 9 % of releases that fail 30 % of their requests and needs 40 probes to find the rest. Wald's test may
//! be looked at after every probe, its two error rates are inputs, and no test with the same error rates needs fewer probes on
//! average when one of the two hypotheses is true (Wald and Wolfowitz, 1948): 11 probes for the same 30 %.
//!
//! # The arithmetic
//! Λ is the logarithm of how much more probable the probes so far are under "sick" (failure rate p1) than under "healthy" (p0). A
//! failure adds ln(p1/p0), a good probe adds ln((1−p1)/(1−p0)), which is negative. Λ ≥ ln((1−β)/α) says sick, with α bounding how
//! often that is said of a healthy release; Λ ≤ ln(β/(1−α)) would say healthy, with β bounding how often that is said of a sick one.
//! With the defaults one failure weighs as much as ten good probes: three straight failures stop, fourteen good ones accept.
//!
//! # Why the floor
//! Wald's test ends at its lower bound. A rollout does not: it goes on watching until its window is over, because releases also
//! fall ill later (a leak, a cache that fills, a token that expires). Left to run, Λ sinks by 0.35 with each good probe, and half a
//! window of good news is a debt that hides what comes after: after 30 good probes 6 straight failures are needed to say sick,
//! after an hour of them 76. So Λ never sinks below the acceptance bound, which is the usual restart after acceptance (Page's
//! cumulative sum, 1954): however long it was well, 4 straight failures (or 3 over the span of the other rule) are enough.
//!
//! # Caveats
//! With the floor, α bounds the false alarm of one passage, not of a whole window: a release that fails exactly p0 of its probes
//! is sent back more often the longer it is watched. The tests hold the figures for the default window. The test takes probes for
//! independent; a garbage collection that spoils three probes in a row is what the interval and the grace are for.

use crate::Settings;

/// The state of the test.
#[derive(Clone, Debug, PartialEq)]
pub struct Sprt {
    lambda: f64,
    failure_weight: f64,
    good_weight: f64,
    upper: f64,
    lower: f64,
    /// [`lower`](Self::lower), or −∞ in the one test that shows what the floor is for.
    floor: f64,
}

impl Sprt {
    /// The test for validated `settings`, before any probe.
    pub fn new(settings: &Settings) -> Self {
        let (p0, p1) = (settings.healthy_failure_rate.value(), settings.sick_failure_rate.value());
        let (alpha, beta) = (settings.false_alarm.value(), settings.missed_alarm.value());
        let lower = (beta / (1.0 - alpha)).ln();
        Self {
            lambda: 0.0,
            failure_weight: (p1 / p0).ln(),
            good_weight: ((1.0 - p1) / (1.0 - p0)).ln(),
            upper: ((1.0 - beta) / alpha).ln(),
            lower,
            floor: lower,
        }
    }

    /// Takes in one probe.
    pub fn observe(&mut self, failed: bool) {
        self.lambda += if failed { self.failure_weight } else { self.good_weight };
        self.lambda = self.lambda.max(self.floor);
    }

    /// Whether the probes say sick.
    pub fn says_sick(&self) -> bool {
        self.lambda >= self.upper
    }

    /// Whether the probes say healthy, as far as they go: Λ is at its acceptance bound.
    pub fn says_healthy(&self) -> bool {
        self.lambda <= self.lower
    }

    /// How many straight failures from the start say sick. At least 2 under validated settings.
    pub fn failures_to_stop(&self) -> f64 {
        (self.upper / self.failure_weight).ceil()
    }

    #[cfg(test)]
    pub(crate) fn without_floor(mut self) -> Self {
        self.floor = f64::NEG_INFINITY;
        self
    }
}
