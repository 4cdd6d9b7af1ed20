//! Credential helpers: `docker-credential-<name> get`, the registry on its input, a login as JSON on its output
//! (docker-credential-helpers, "Development"; Docker's `config.json` names them).
//!
//! What a helper writes on its output is, or may be, a secret also where it fails: nothing of it is ever shown.

use std::collections::HashMap;
use std::ffi::OsString;
use std::fmt;
use std::time::Duration;

use schleuse_model::{Secret, json};
use schleuse_oci::Credential;
use schleuse_process::redact::redact;
use schleuse_process::{Finished, ProcessError, Program};
use serde::Deserialize;
use tokio::sync::Mutex;
use tokio::time::Instant;

use crate::text::printable;

/// How long a helper may take: 30 s. Those of clouds ask over the network; one that waits for a person at a window that nobody
/// sees should be noticed well within [`crate::Deadlines::operation`].
pub const HELPER_DEADLINE: Duration = Duration::from_secs(30);
/// How long an answer is used again: 5 minutes. Every repository's token is asked for with it, and a helper may take a second;
/// what the clouds give out is good for an hour or more.
const REMEMBERED: Duration = Duration::from_secs(300);
/// The most that is read of an answer. Real ones have up to 5 KiB (tokens of clouds).
const ANSWER_LIMIT: usize = 64 << 10;
/// What a helper says, failing, where it has no login (docker-credential-helpers, `credentials/error.go`).
const NOT_FOUND: &[u8] = b"credentials not found in native keychain";
/// The user's name by which a helper says that the secret is an identity token.
const TOKEN_USER: &str = "<token>";
/// What Docker calls its own registry towards helpers.
const HUB: &str = "https://index.docker.io/v1/";

/// How credential helpers are run, and what they said a moment ago.
pub struct Helpers {
    search_path: OsString,
    environment: Vec<(String, Secret<String>)>,
    deadline: Duration,
    /// Also what keeps two calls from asking at the same time.
    remembered: Mutex<HashMap<(String, String), Remembered>>,
}

#[derive(Clone)]
struct Remembered {
    until: Instant,
    credential: Option<Credential>,
}

/// Why a helper gave no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum HelperError {
    #[error("`{0}` is no name of a credential helper")]
    Name(String),
    #[error(transparent)]
    Process(#[from] ProcessError),
    #[error("`{program}` failed{}{last_words}", if last_words.is_empty() { "" } else { ": " })]
    Failed { program: String, last_words: String },
    #[error("what `{0}` answers is no login")]
    Answer(String),
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Answer {
    #[serde(default)]
    username: String,
    #[serde(default)]
    secret: String,
}

impl Helpers {
    /// Helpers are looked for in `search_path` (as in `PATH`), and see `environment` and nothing else.
    pub fn new(
        search_path: impl Into<OsString>,
        environment: impl IntoIterator<Item = (String, Secret<String>)>,
    ) -> Self {
        Self {
            search_path: search_path.into(),
            environment: environment.into_iter().collect(),
            deadline: HELPER_DEADLINE,
            remembered: Mutex::default(),
        }
    }

    /// Another deadline than [`HELPER_DEADLINE`].
    #[must_use]
    pub const fn deadline(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }

    /// The login for the registry `host` that the helper `name` has; `None`: it has none.
    pub(crate) async fn ask(&self, name: &str, host: &str) -> Result<Option<Credential>, HelperError> {
        if !is_name(name) {
            return Err(HelperError::Name(printable(name, 60)));
        }
        let mut remembered = self.remembered.lock().await;
        let key = (name.to_owned(), host.to_owned());
        if let Some(known) = remembered.get(&key).filter(|known| known.until > Instant::now()) {
            return Ok(known.credential.clone());
        }
        let credential = match host {
            // Docker keeps its own login under the old address, Podman under the name.
            "docker.io" => match self.get(name, HUB).await? {
                None => self.get(name, host).await?,
                found => found,
            },
            host => self.get(name, host).await?,
        };
        remembered.insert(key, Remembered { until: Instant::now() + REMEMBERED, credential: credential.clone() });
        Ok(credential)
    }

    async fn get(&self, name: &str, server: &str) -> Result<Option<Credential>, HelperError> {
        let program = format!("docker-credential-{name}");
        let mut run = Program::new(program.as_str())
            .arg("get")
            .search_path(self.search_path.clone())
            .stdin(server)
            .deadline(self.deadline)
            .output_limit(ANSWER_LIMIT);
        for (name, value) in &self.environment {
            // Not as a secret, which would be taken out of the answer too: the user may be called as the login is.
            run = run.env(name, value.expose());
        }
        let finished = run.run().await?;
        if finished.success() { login(&finished, program).map(Some) } else { self.refusal(&finished, program) }
    }

    fn refusal(&self, finished: &Finished, program: String) -> Result<Option<Credential>, HelperError> {
        if finished.stdout.whole().is_some_and(|said| said.trim_ascii() == NOT_FOUND) {
            return Ok(None);
        }
        // Complaints are for people; of the output, which helpers complain on too, nothing is shown.
        let complaint = redact(finished.stderr.last_lines(1).join("").as_bytes(), self.secrets());
        let last_words = printable(&String::from_utf8_lossy(&complaint), 200);
        Err(HelperError::Failed { program, last_words })
    }

    /// The values of the environment that are secrets, by their names.
    fn secrets(&self) -> impl Iterator<Item = &Secret<String>> {
        let sounds = |name: &str| {
            let name = name.to_ascii_uppercase();
            ["SECRET", "TOKEN", "PASSWORD", "KEY", "CREDENTIAL", "_PROXY"].iter().any(|word| name.contains(word))
        };
        self.environment.iter().filter(move |(name, _)| sounds(name)).map(|(_, value)| value)
    }
}

/// Letters, digits and `-_.`, as all that there are: never a path, never an option.
fn is_name(name: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    (1..=60).contains(&name.len()) && name.bytes().all(allowed) && !name.starts_with(['-', '.'])
}

fn login(finished: &Finished, program: String) -> Result<Credential, HelperError> {
    let answer = finished.stdout.whole().and_then(|bytes| json::from_untrusted::<Answer>(bytes, ANSWER_LIMIT).ok());
    match answer {
        Some(Answer { username, secret }) if !username.is_empty() && !secret.is_empty() => {
            let secret = Secret::new(secret);
            Ok(match username.as_str() {
                TOKEN_USER => Credential::IdentityToken(secret),
                _ => Credential::Basic { username, password: secret },
            })
        }
        _ => Err(HelperError::Answer(program)),
    }
}

impl fmt::Debug for Helpers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> = self.environment.iter().map(|(name, _)| name.as_str()).collect();
        f.debug_struct("Helpers").field("environment", &names).field("deadline", &self.deadline).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        for good in ["desktop", "ecr-login", "osxkeychain", "pass", "acr-env", "gcloud", "x_y.1"] {
            assert!(is_name(good), "{good}");
        }
        let long = "x".repeat(61);
        for bad in ["", "../evil", "a/b", "-rf", ".hidden", "a b", "a;b", "a\0", "ä", long.as_str()] {
            assert!(!is_name(bad), "{bad}");
        }
    }
}
