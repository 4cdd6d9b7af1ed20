//! What git knows about the checkout.

use std::path::{Path, PathBuf};

use schleuse_config::env::{self, Environment};
use schleuse_model::{Commit, Exit, Explain, Timestamp};
use schleuse_process::{ProcessError, Program};

/// git in one folder.
#[derive(Clone, Debug)]
pub(crate) struct Git {
    folder: PathBuf,
    path: String,
    home: Option<String>,
}

/// git gave no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum GitError {
    /// It did not run, or failed.
    #[error("git does not tell {what}")]
    Failed {
        /// What it was asked.
        what: &'static str,
        /// Why.
        source: ProcessError,
    },
    /// It answered something else.
    #[error("git does not tell {what}: its answer makes no sense")]
    Answer {
        /// What it was asked.
        what: &'static str,
    },
}

impl Explain for GitError {
    fn exit(&self) -> Exit {
        Exit::Usage
    }

    fn hints(&self) -> Vec<String> {
        vec![
            "run this in the service's git checkout, with git on the PATH".to_owned(),
            "or say it yourself: `--commit` and, for the time, SOURCE_DATE_EPOCH".to_owned(),
        ]
    }
}

impl Git {
    /// git in `folder`.
    pub(crate) fn new(folder: &Path, environment: &Environment) -> Self {
        Self {
            folder: folder.to_owned(),
            path: environment.get(&env::PATH).unwrap_or("/usr/bin:/bin").to_owned(),
            // The person's own settings: `safe.directory` above all, which actions/checkout writes there.
            home: environment.get(&env::HOME).map(ToOwned::to_owned),
        }
    }

    /// The commit that is checked out.
    pub(crate) async fn head(&self) -> Result<Commit, GitError> {
        let what = "which commit is checked out";
        let text = self.ask(what, &["rev-parse", "--verify", "HEAD^{commit}"]).await?;
        text.parse().map_err(|_| GitError::Answer { what })
    }

    /// When `commit` was made, whole seconds.
    pub(crate) async fn time(&self, commit: &Commit) -> Result<Timestamp, GitError> {
        let what = "when the commit was made";
        let text = self.ask(what, &["show", "--no-patch", "--format=%ct", commit.as_str()]).await?;
        text.parse().map(Timestamp::from_seconds).map_err(|_| GitError::Answer { what })
    }

    /// Whether tracked files differ from the commit. Files that git does not track are what builds make; they do not count, as
    /// for `git describe --dirty`.
    pub(crate) async fn dirty(&self) -> Result<bool, GitError> {
        let arguments = ["status", "--porcelain", "--untracked-files=no", "--ignore-submodules=none"];
        Ok(!self.ask("whether files were changed", &arguments).await?.is_empty())
    }

    /// Whether the checkout has a remote of that name.
    pub(crate) async fn has_remote(&self, remote: &str) -> bool {
        self.ask("the remote's address", &["remote", "get-url", "--", remote]).await.is_ok()
    }

    /// The web address of a remote; `None` if there is none, or git is not at hand.
    pub(crate) async fn remote(&self, remote: &str) -> Option<String> {
        let url = self.ask("the remote's address", &["remote", "get-url", "--", remote]).await.ok()?;
        web_address(&url)
    }

    async fn ask(&self, what: &'static str, arguments: &[&str]) -> Result<String, GitError> {
        let mut git = Program::new("git")
            .search_path(self.path.as_str())
            .current_dir(&self.folder)
            .env("LC_ALL", "C")
            .env("GIT_TERMINAL_PROMPT", "0")
            .env("GIT_OPTIONAL_LOCKS", "0")
            .args(arguments.iter().copied());
        if let Some(home) = &self.home {
            git = git.env("HOME", home.as_str());
        }
        let failed = |source| GitError::Failed { what, source };
        let finished = git.run().await.map_err(failed)?.require_success().map_err(failed)?;
        let whole = finished.stdout.whole().ok_or(GitError::Answer { what })?;
        Ok(String::from_utf8_lossy(whole).trim().to_owned())
    }
}

/// `https://host/owner/name` for the ways a remote is written. Anything else (a path, an unknown form) has no web address. A
/// login in the URL is dropped: it would end up in labels.
fn web_address(url: &str) -> Option<String> {
    let rest = url.strip_prefix("https://").or_else(|| url.strip_prefix("ssh://"));
    let (host, path) = match rest {
        Some(rest) => rest.split_once('/')?,
        None if !url.contains("://") => url.split_once(':').filter(|(host, _)| !host.contains('/'))?,
        None => return None,
    };
    let host = host.rsplit_once('@').map_or(host, |(_, host)| host);
    let host = host.split(':').next().unwrap_or(host);
    let path = path.trim_matches('/');
    let path = path.strip_suffix(".git").unwrap_or(path);
    let word = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-' | '/');
    let good = host.contains('.') && !path.is_empty() && host.chars().all(word) && path.chars().all(word);
    good.then(|| format!("https://{host}/{path}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn remotes_become_web_addresses_without_logins() {
        let known = "https://github.com/acme/billing";
        for url in [
            "https://github.com/acme/billing.git",
            "https://github.com/acme/billing",
            "https://user:token@github.com/acme/billing.git",
            "git@github.com:acme/billing.git",
            "ssh://git@github.com:22/acme/billing.git",
        ] {
            assert_eq!(web_address(url).as_deref(), Some(known), "{url}");
        }
        for url in ["/srv/git/billing.git", "../billing", "file:///srv/x", "https://github.com/", "C:\\x", "host:x y"] {
            assert_eq!(web_address(url), None, "{url}");
        }
    }
}
