//! The users of an htpasswd file, checked without letting those who guess slow down those who know.

use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use schleuse_model::Secret;
use tokio::sync::Semaphore;

use super::htpasswd::Htpasswd;
use super::known::Known;
use crate::error::Error;
use crate::problem::Problem;

/// A file of this size has more users than are read anyway.
const FILE_BYTES: u64 = 4 << 20;

/// Checks that run at once, each on a thread of its own and for a tenth of a second or more: whoever guesses gets no more of the
/// machine than this. Who was right a short while ago needs none.
const AT_ONCE: usize = 2;

/// How long a check may wait for its turn; then the client is told to come again.
const TURN: Duration = Duration::from_secs(20);

/// The users of an `htpasswd` file with bcrypt hashes. Cloning gives another handle on the same ones.
///
/// Successful checks are remembered for five minutes, by a keyed hash. A user who does not exist is refused as slowly as one with
/// a wrong password. The file is read by [`Users::open`] and again by [`Users::reload`], never in between: a file that is being
/// written must not lock anybody out.
#[derive(Clone, Debug)]
pub struct Users(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    path: PathBuf,
    state: RwLock<Arc<State>>,
    checks: Arc<Semaphore>,
    /// For logins that were right before and are to be checked again: they do not queue behind those who guess.
    renewals: Arc<Semaphore>,
}

/// What one reading of the file gave, with what was right by it: a new file forgets both.
#[derive(Debug)]
struct State {
    file: Htpasswd,
    known: Known,
}

impl Users {
    /// Reads the file at `path`, at most 4 MiB.
    ///
    /// # Errors
    /// [`Error::Storage`] if it cannot be read, [`Error::Htpasswd`] with the line that is not understood.
    pub fn open(path: impl Into<PathBuf>) -> Result<Self, Error> {
        let path = path.into();
        let turns = || Arc::new(Semaphore::new(AT_ONCE));
        let state = RwLock::new(Arc::new(read(&path)?));
        Ok(Self(Arc::new(Inner { path, state, checks: turns(), renewals: turns() })))
    }

    /// Reads the file again. All logins are checked anew.
    ///
    /// # Errors
    /// As [`Users::open`]; then what was read before still holds.
    pub fn reload(&self) -> Result<(), Error> {
        let state = Arc::new(read(&self.0.path)?);
        *self.0.state.write().unwrap_or_else(PoisonError::into_inner) = state;
        Ok(())
    }

    /// Whether `password` is the user's.
    pub(crate) async fn admit(&self, user: &str, password: &Secret<String>) -> Result<bool, Problem> {
        let state = self.0.state.read().unwrap_or_else(PoisonError::into_inner).clone();
        let mark = state.known.mark(user, password);
        if state.known.has(mark) {
            return Ok(true);
        }
        let turns = if state.known.had(mark) { &self.0.renewals } else { &self.0.checks };
        let turn = tokio::time::timeout(TURN, turns.clone().acquire_owned()).await;
        // Never closed, so the inner one is never an error.
        let turn = turn.map_err(|_| Problem::too_many_logins())?.map_err(|_| Problem::ended())?;
        // A thousand pulls begin with the same login: while this one waited, another may have been found right.
        if state.known.has(mark) {
            return Ok(true);
        }
        let (hash, is_users) = state.file.hash(user);
        let password = password.clone();
        let check = move || {
            let right = bcrypt::verify(password.expose(), &hash).unwrap_or(false);
            // Not before: a client that goes away must not make room for a third check.
            drop(turn);
            right
        };
        let right = tokio::task::spawn_blocking(check).await.map_err(|_| Problem::ended())? && is_users;
        if right {
            state.known.add(mark);
        }
        Ok(right)
    }
}

fn read(path: &Path) -> Result<State, Error> {
    let failed = || Error::storage("read", path);
    let mut text = String::new();
    let file = std::fs::File::open(path).map_err(failed())?;
    file.take(FILE_BYTES).read_to_string(&mut text).map_err(failed())?;
    let file = Htpasswd::parse(&text).map_err(|wrong| Error::Htpasswd {
        path: path.to_owned(),
        line: wrong.line,
        reason: wrong.reason,
    })?;
    Ok(State { file, known: Known::new()? })
}

#[cfg(test)]
mod tests {
    use std::time::Instant as Wall;

    use super::*;

    fn users(folder: &Path, cost: u32, logins: &[(&str, &str)]) -> PathBuf {
        let line = |(user, password): &(&str, &str)| format!("{user}:{}\n", bcrypt::hash(password, cost).unwrap());
        let path = folder.join("htpasswd");
        std::fs::write(&path, logins.iter().map(line).collect::<String>()).unwrap();
        path
    }

    async fn admits(users: &Users, user: &str, password: &str) -> bool {
        users.admit(user, &Secret::new(password.to_owned())).await.unwrap()
    }

    #[tokio::test]
    async fn right_wrong_and_unknown_and_a_file_read_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = users(folder.path(), 4, &[("a", "one"), ("b", "two")]);
        let all = Users::open(&path).unwrap();
        assert!(admits(&all, "a", "one").await && admits(&all, "b", "two").await && admits(&all, "a", "one").await);
        assert!(!admits(&all, "a", "two").await && !admits(&all, "c", "one").await && !admits(&all, "", "").await);
        users(folder.path(), 4, &[("a", "three")]);
        assert!(admits(&all, "a", "one").await, "not before it is asked for");
        all.reload().unwrap();
        assert!(!admits(&all, "a", "one").await && !admits(&all, "b", "two").await && admits(&all, "a", "three").await);
        std::fs::write(&path, "a:plain\n").unwrap();
        let error = all.reload().unwrap_err().to_string();
        assert!(error.contains("line 1") && !error.contains("plain"), "{error}");
        assert!(admits(&all, "a", "three").await, "what was read before holds");
    }

    /// The hash that stands in for an unknown user's is checked like any other: same work, so the same time but for noise.
    #[tokio::test]
    async fn an_unknown_user_is_refused_no_faster() {
        let folder = tempfile::tempdir().unwrap();
        let all = Users::open(users(folder.path(), 8, &[("a", "one")])).unwrap();
        let mut fastest = [Duration::MAX; 2];
        for _ in 0..5 {
            for (time, user) in fastest.iter_mut().zip(["a", "nobody"]) {
                let began = wall();
                assert!(!admits(&all, user, "wrong").await);
                *time = (*time).min(began.elapsed());
            }
        }
        let [known, unknown] = fastest;
        assert!(unknown > known / 2 && unknown < known * 2, "{known:?} for a user, {unknown:?} for nobody");
    }

    #[allow(clippy::disallowed_methods, reason = "measures real work")]
    fn wall() -> Wall {
        Wall::now()
    }

    /// A crowd that guesses: whoever was right before does not wait for it.
    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn guessing_does_not_delay_who_is_known() {
        let folder = tempfile::tempdir().unwrap();
        let all = Users::open(users(folder.path(), 8, &[("a", "one")])).unwrap();
        assert!(admits(&all, "a", "one").await);
        let mut guesses = tokio::task::JoinSet::new();
        for number in 0..100 {
            let all = all.clone();
            guesses.spawn(async move { admits(&all, "a", &number.to_string()).await });
        }
        let began = wall();
        while all.0.checks.available_permits() > 0 {
            tokio::task::yield_now().await;
        }
        let asked = wall();
        assert!(admits(&all, "a", "one").await);
        let waited = asked.elapsed();
        // Five minutes later it is checked anew, and still does not stand behind them.
        all.0.state.read().unwrap().known.expire();
        tokio::time::sleep(Duration::from_millis(50)).await;
        let again = wall();
        assert!(admits(&all, "a", "one").await);
        let again = again.elapsed();
        assert!(guesses.join_all().await.iter().all(|right| !right));
        let all_guesses = began.elapsed();
        assert!(again < all_guesses / 4, "{again:?} to be checked anew, all guesses took {all_guesses:?}");
        assert!(waited < all_guesses / 4, "{waited:?}, all guesses took {all_guesses:?}");
    }

    /// Forty requests at once with one login that nobody has used yet: it is checked a few times, not forty.
    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_crowd_with_one_login_is_checked_once() {
        let folder = tempfile::tempdir().unwrap();
        let all = Users::open(users(folder.path(), 10, &[("a", "one")])).unwrap();
        let began = wall();
        assert!(admits(&all, "a", "one").await);
        let once = began.elapsed();
        all.reload().unwrap();
        let began = wall();
        let mut crowd = tokio::task::JoinSet::new();
        for _ in 0..40 {
            let all = all.clone();
            crowd.spawn(async move { admits(&all, "a", "one").await });
        }
        assert!(crowd.join_all().await.iter().all(|right| *right));
        assert!(began.elapsed() < once * 12, "{:?}, one takes {once:?}", began.elapsed());
    }
}
