//! Logins that were right a short while ago, so that a pull of forty requests costs one bcrypt and not forty.
//!
//! What is kept is a keyed hash of user and password, under a key that this process drew: whoever reads its memory cannot guess
//! passwords from it any faster than from the file.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use schleuse_model::Secret;
use sha2::{Digest as _, Sha256};
use tokio::time::Instant;

use crate::error::Error;

/// How long a right login needs no further check. A file that was read again takes effect at once, whatever this says.
const VALID: Duration = Duration::from_secs(300);

/// How many are kept. A user has one password, but bcrypt takes only its first 72 bytes: without a bound, one user could fill
/// the memory with the many passwords that begin alike.
const MOST: usize = 4096;

/// Stands for a user with a password.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Mark([u8; 32]);

pub(crate) struct Known {
    key: Secret<[u8; 32]>,
    until: Mutex<HashMap<Mark, Instant>>,
}

impl fmt::Debug for Known {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Known")
    }
}

impl Known {
    pub(crate) fn new() -> Result<Self, Error> {
        let mut key = [0; 32];
        getrandom::getrandom(&mut key).map_err(|_| Error::NoEntropy)?;
        Ok(Self { key: Secret::new(key), until: Mutex::default() })
    }

    /// SHA-256 keyed by a prefix is enough here: nobody outside sees a mark, so there is nothing to extend.
    pub(crate) fn mark(&self, user: &str, password: &Secret<String>) -> Mark {
        let mut hash = Sha256::new();
        hash.update(self.key.expose());
        // Its length first: `a` with `bc` is not `ab` with `c`.
        hash.update((user.len() as u64).to_be_bytes());
        hash.update(user);
        hash.update(password.expose());
        Mark(hash.finalize().into())
    }

    pub(crate) fn has(&self, mark: Mark) -> bool {
        let until = self.until.lock().unwrap_or_else(PoisonError::into_inner);
        until.get(&mark).is_some_and(|until| *until > Instant::now())
    }

    /// Whether it was right at some time, by this reading of the file: nobody who guesses can claim that.
    pub(crate) fn had(&self, mark: Mark) -> bool {
        self.until.lock().unwrap_or_else(PoisonError::into_inner).contains_key(&mark)
    }

    #[cfg(test)]
    pub(crate) fn expire(&self) {
        let now = Instant::now();
        self.until.lock().unwrap_or_else(PoisonError::into_inner).values_mut().for_each(|until| *until = now);
    }

    pub(crate) fn add(&self, mark: Mark) {
        let mut until = self.until.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        if until.len() >= MOST {
            until.retain(|_, until| *until > now);
        }
        if until.len() >= MOST {
            // Any: it will be checked again.
            let any = until.keys().next().copied();
            any.map(|any| until.remove(&any));
        }
        until.insert(mark, now + VALID);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn they_expire_are_bounded_and_do_not_run_together() {
        let known = Known::new().unwrap();
        let mark = |user: &str, password: &str| known.mark(user, &Secret::new(password.to_owned()));
        known.add(mark("a", "bc"));
        assert!(known.has(mark("a", "bc")) && !known.has(mark("ab", "c")) && !known.has(mark("a", "b")));
        tokio::time::advance(VALID - Duration::from_secs(1)).await;
        assert!(known.has(mark("a", "bc")));
        tokio::time::advance(Duration::from_secs(2)).await;
        assert!(!known.has(mark("a", "bc")));
        for number in 0..MOST + 10 {
            known.add(mark("a", &number.to_string()));
        }
        assert_eq!(known.until.lock().unwrap().len(), MOST);
        assert!(known.has(mark("a", &(MOST + 9).to_string())));
        // Another process has another key.
        assert!(Known::new().unwrap().mark("a", &Secret::new("b".to_owned())) != mark("a", "b"));
    }
}
