//! Uploads that were opened by a mount that did not happen (distribution-spec, "Mounting a blob from another repository": 202).
//!
//! Who mounts in vain pushes the blob next, once it is at hand. That push goes on with the upload that is open already, which
//! saves a request, and leaves nothing behind at the registry.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use reqwest::Url;
use schleuse_model::{Digest, Repository};
use tokio::time::Instant;

/// How many are kept. More than blobs are on their way at once; the oldest goes first, and the registry expires it.
const KEPT: usize = 64;
/// How long one is kept: 10 minutes, for the blob has to be fetched first. One that the registry has forgotten by then costs a
/// request.
const LIFE: Duration = Duration::from_secs(600);

/// The uploads that are open, oldest first.
#[derive(Debug, Default)]
pub(crate) struct Opened(Mutex<VecDeque<Entry>>);

#[derive(Debug)]
struct Entry {
    repository: Repository,
    digest: Digest,
    location: Url,
    until: Instant,
}

impl Opened {
    /// Keeps `location` for the push of `digest` to `repository`.
    pub(crate) fn keep(&self, repository: &Repository, digest: &Digest, location: Url) {
        let mut entries = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if entries.len() >= KEPT {
            entries.pop_front();
        }
        let until = Instant::now() + LIFE;
        entries.push_back(Entry { repository: repository.clone(), digest: digest.clone(), location, until });
    }

    /// Whether one is kept for `digest` in `repository`: the registry has just said that the blob is not there.
    pub(crate) fn has(&self, repository: &Repository, digest: &Digest) -> bool {
        let entries = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        entries.iter().any(|entry| entry.repository == *repository && entry.digest == *digest)
    }

    /// Takes the upload for `digest` in `repository` out, if one is open. It is used once.
    pub(crate) fn take(&self, repository: &Repository, digest: &Digest) -> Option<Url> {
        let mut entries = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        entries.retain(|entry| entry.until > now);
        let at = entries.iter().position(|entry| entry.repository == *repository && entry.digest == *digest)?;
        entries.remove(at).map(|entry| entry.location)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(number: usize) -> Url {
        Url::parse(&format!("https://r.io/u/{number}")).unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn each_is_used_once_and_not_for_ever() {
        let (here, there): (Repository, Repository) = ("r.io/a".parse().unwrap(), "r.io/b".parse().unwrap());
        let (opened, digest) = (Opened::default(), Digest::sha256(b"x"));
        opened.keep(&here, &digest, url(1));
        assert_eq!(opened.take(&there, &digest), None);
        assert_eq!(opened.take(&here, &Digest::sha256(b"y")), None);
        assert_eq!(opened.take(&here, &digest), Some(url(1)));
        assert_eq!(opened.take(&here, &digest), None);
        opened.keep(&here, &digest, url(2));
        tokio::time::advance(LIFE).await;
        assert_eq!(opened.take(&here, &digest), None);
        for number in 0..KEPT + 1 {
            opened.keep(&here, &Digest::sha256(&number.to_le_bytes()), url(number));
        }
        assert_eq!(opened.take(&here, &Digest::sha256(&0usize.to_le_bytes())), None);
        assert_eq!(opened.take(&here, &Digest::sha256(&1usize.to_le_bytes())), Some(url(1)));
    }
}
