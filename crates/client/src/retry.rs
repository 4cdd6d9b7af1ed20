//! When a failed attempt is worth another one.

mod after;

use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

use schleuse_oci::Error;
use tokio::time::{Instant, sleep};

use crate::settings::RetryPolicy;
pub(crate) use after::{http_date, retry_after};

/// Why an attempt did not lead to an answer.
#[derive(Debug)]
pub(crate) enum Failure {
    /// Another attempt would end the same way, or could do harm.
    Final(Error),
    /// Another attempt may succeed; `after` is what the registry asked for.
    Again {
        /// What to report if there is none.
        error: Error,
        /// `Retry-After`.
        after: Option<Duration>,
    },
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Final(error)
    }
}

/// Spreads out clients that failed together.
pub trait Jitter: Debug + Send + Sync {
    /// How much of a wait is taken, from 0 to 1.
    fn fraction(&self) -> f64;
}

/// Evenly spread between half and all of a wait, from the operating system's randomness.
#[derive(Clone, Copy, Debug, Default)]
pub struct RandomJitter;

impl Jitter for RandomJitter {
    fn fraction(&self) -> f64 {
        let mut bytes = [0; 2];
        // Without randomness the wait is merely the full one.
        let drawn = if getrandom::getrandom(&mut bytes).is_ok() { u16::from_le_bytes(bytes) } else { u16::MAX };
        0.5 + f64::from(drawn) / f64::from(u16::MAX) / 2.0
    }
}

/// The full wait, always: for tests.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoJitter;

impl Jitter for NoJitter {
    fn fraction(&self) -> f64 {
        1.0
    }
}

/// One call's attempts.
#[derive(Debug)]
pub(crate) struct Tries {
    policy: RetryPolicy,
    jitter: Arc<dyn Jitter>,
    deadline: Instant,
    made: u32,
    waited: Duration,
}

impl Tries {
    pub(crate) fn new(policy: RetryPolicy, jitter: Arc<dyn Jitter>, deadline: Instant) -> Self {
        Self { policy, jitter, deadline, made: 0, waited: Duration::ZERO }
    }

    /// There was progress: attempts and waits are counted from here.
    pub(crate) fn refill(&mut self) {
        self.made = 0;
        self.waited = Duration::ZERO;
    }

    /// Waits for the next attempt, or gives back the error because there is none.
    pub(crate) async fn after(&mut self, failure: Failure) -> Result<(), Error> {
        let (error, asked) = match failure {
            Failure::Final(error) => return Err(error),
            Failure::Again { error, after } => (error, after),
        };
        let Some(wait) = self.next_wait(asked) else { return Err(error) };
        if Instant::now() + wait >= self.deadline {
            return Err(error);
        }
        sleep(wait).await;
        Ok(())
    }

    /// How long to wait before the next attempt; `None`: attempts or budget are used up.
    fn next_wait(&mut self, asked: Option<Duration>) -> Option<Duration> {
        self.made += 1;
        if self.made >= self.policy.attempts {
            return None;
        }
        let doubled = self.policy.first.saturating_mul(1 << (self.made - 1).min(20));
        let own = doubled.min(self.policy.longest).mul_f64(self.jitter.fraction().clamp(0.0, 1.0));
        let wait = asked.map_or(own, |asked| asked.max(own));
        self.waited = self.waited.saturating_add(wait);
        (self.waited <= self.policy.budget).then_some(wait)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tries(attempts: u32) -> Tries {
        let policy = RetryPolicy { attempts, ..RetryPolicy::default() };
        Tries { policy, jitter: Arc::new(NoJitter), deadline: Instant::now(), made: 0, waited: Duration::ZERO }
    }

    #[test]
    fn waits_double_up_to_the_longest_and_within_the_budget() {
        let mut tries = tries(100);
        let waits: Vec<u128> = std::iter::from_fn(|| tries.next_wait(None)).map(|wait| wait.as_millis()).collect();
        assert_eq!(waits[..7], [200, 400, 800, 1600, 3200, 6400, 8000]);
        let sum: u128 = waits.iter().sum();
        assert!((52_000..=60_000).contains(&sum), "{sum}");
    }

    #[test]
    fn attempts_and_a_long_retry_after_end_it() {
        let mut few = tries(3);
        assert!(few.next_wait(None).is_some() && few.next_wait(None).is_some() && few.next_wait(None).is_none());
        assert_eq!(tries(3).next_wait(Some(Duration::from_secs(7))), Some(Duration::from_secs(7)));
        assert_eq!(tries(3).next_wait(Some(Duration::from_secs(61))), None);
        assert_eq!(tries(1).next_wait(None), None);
    }

    #[test]
    fn random_jitter_takes_between_half_and_all() {
        assert!((0..200).map(|_| RandomJitter.fraction()).all(|fraction| (0.5..=1.0).contains(&fraction)));
    }

    #[tokio::test(start_paused = true)]
    async fn no_wait_reaches_beyond_the_deadline() {
        let error = || Error::Unavailable { host: String::new(), what: String::new(), message: String::new() };
        let mut tries = tries(9);
        tries.deadline = Instant::now() + Duration::from_millis(500);
        assert!(tries.after(Failure::Again { error: error(), after: None }).await.is_ok());
        assert!(tries.after(Failure::Again { error: error(), after: None }).await.is_err());
        assert!(tries.after(Failure::Final(error())).await.is_err());
    }
}
