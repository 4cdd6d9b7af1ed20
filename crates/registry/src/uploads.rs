//! Uploads in progress. They live in this process: a restart forgets them, and clients start again.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use schleuse_model::digest::{Algorithm, to_hex};
use schleuse_model::{Digest, Hasher, Timestamp};
use tokio::time::Instant;

use crate::error::Error;
use crate::limits::Limits;
use crate::problem::Problem;
use crate::registry::Shared;
use crate::route::Name;
use crate::store::{Content, Pending, Store};

/// One upload: what has arrived, hashed as it came.
#[derive(Debug)]
pub(crate) struct Session {
    id: String,
    name: Name,
    pending: Box<dyn Pending>,
    hasher: Hasher,
    algorithm: Algorithm,
    size: u64,
}

impl Session {
    pub(crate) fn id(&self) -> &str {
        &self.id
    }

    /// Bytes received.
    pub(crate) const fn size(&self) -> u64 {
        self.size
    }

    pub(crate) fn append(&mut self, piece: &[u8], limit: u64) -> Result<(), Problem> {
        let size = self.size.saturating_add(piece.len() as u64);
        if size > limit {
            return Err(Problem::too_large(limit));
        }
        self.pending.append(piece)?;
        self.hasher.update(piece);
        self.size = size;
        Ok(())
    }

    /// Verifies what arrived against `expected` and makes it a blob of the repository. Durable when it returns.
    pub(crate) fn finish(self, shared: &Shared, expected: &Digest, now: Timestamp) -> Result<(), Problem> {
        let actual = if expected.algorithm() == self.algorithm {
            self.hasher.finish()
        } else {
            rehash(&*self.pending.content()?, expected.algorithm())?
        };
        if actual != *expected {
            return Err(Problem::wrong_digest(expected, &actual));
        }
        // Between the two the blob belongs to nobody.
        let _linking = shared.linking();
        self.pending.commit(expected)?;
        Ok(shared.store.link(&self.name, expected, now)?)
    }
}

/// The client named its algorithm only at the end, and it was not the one we hashed with.
fn rehash(content: &dyn Content, algorithm: Algorithm) -> Result<Digest, Problem> {
    let mut hasher = Hasher::new(algorithm);
    let mut offset = 0;
    while offset < content.len() {
        let piece = content.read_at(offset, 1 << 20).map_err(Error::storage("read", "an upload".as_ref()))?;
        if piece.is_empty() {
            return Err(Problem::ended());
        }
        hasher.update(&piece);
        offset += piece.len() as u64;
    }
    Ok(hasher.finish())
}

#[derive(Debug)]
enum Slot {
    Idle {
        session: Box<Session>,
        since: Instant,
    },
    /// A request has it.
    Busy,
}

/// All uploads in progress.
#[derive(Debug, Default)]
pub(crate) struct Uploads(Mutex<HashMap<String, Slot>>);

impl Uploads {
    fn slots(&self) -> MutexGuard<'_, HashMap<String, Slot>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Starts one. `algorithm`: what its digest will be of, as far as known; `single`: it ends with this request.
    pub(crate) fn begin(
        self: &Arc<Self>,
        store: &dyn Store,
        name: &Name,
        algorithm: Algorithm,
        single: bool,
        limits: &Limits,
    ) -> Result<Checkout, Problem> {
        let id = random_id()?;
        let mut forgotten = Vec::new();
        {
            let mut slots = self.slots();
            forgotten.extend(expired(&mut slots, limits.upload_idle));
            if slots.len() >= limits.uploads {
                return Err(Problem::too_many_uploads());
            }
            slots.insert(id.clone(), Slot::Busy);
        }
        drop(forgotten);
        let mut checkout = Checkout { uploads: self.clone(), id: id.clone(), session: None, single };
        let pending = store.begin(&id)?;
        let hasher = Hasher::new(algorithm);
        let session = Session { id, name: name.clone(), pending, hasher, algorithm, size: 0 };
        checkout.session = Some(Box::new(session));
        Ok(checkout)
    }

    /// Takes out what nobody went on with for `idle`. Dropping it discards it, which may block.
    pub(crate) fn expired(&self, idle: Duration) -> Vec<impl Send + use<>> {
        expired(&mut self.slots(), idle)
    }

    /// How many are in progress.
    pub(crate) fn len(&self) -> usize {
        self.slots().len()
    }

    /// Takes one for the duration of a request.
    pub(crate) fn check_out(self: &Arc<Self>, name: &Name, id: &str) -> Result<Checkout, Problem> {
        let mut slots = self.slots();
        let slot = slots.get_mut(id).ok_or_else(Problem::upload_unknown)?;
        match slot {
            Slot::Busy => return Err(Problem::upload_busy()),
            Slot::Idle { session, .. } if session.name != *name => return Err(Problem::upload_unknown()),
            Slot::Idle { .. } => {}
        }
        match std::mem::replace(slot, Slot::Busy) {
            Slot::Idle { session, .. } => {
                Ok(Checkout { uploads: self.clone(), id: id.to_owned(), session: Some(session), single: false })
            }
            Slot::Busy => Err(Problem::upload_busy()),
        }
    }
}

fn expired(slots: &mut HashMap<String, Slot>, idle: Duration) -> Vec<Slot> {
    let now = Instant::now();
    let old = |slot: &Slot| matches!(slot, Slot::Idle { since, .. } if now.duration_since(*since) > idle);
    slots.extract_if(|_, slot| old(slot)).map(|(_, slot)| slot).collect()
}

/// An upload in the hands of one request. Goes back when dropped, unless it was taken.
#[derive(Debug)]
pub(crate) struct Checkout {
    uploads: Arc<Uploads>,
    id: String,
    session: Option<Box<Session>>,
    /// Nobody else can go on with it: it does not go back.
    single: bool,
}

impl Checkout {
    pub(crate) fn session(&mut self) -> Result<&mut Session, Problem> {
        self.session.as_deref_mut().ok_or_else(Problem::ended)
    }

    /// The upload for good: it is finished, or cancelled.
    pub(crate) fn take(mut self) -> Result<Box<Session>, Problem> {
        self.session.take().ok_or_else(Problem::ended)
    }
}

impl Drop for Checkout {
    fn drop(&mut self) {
        let session = self.session.take();
        let mut slots = self.uploads.slots();
        match session {
            Some(session) if !self.single => {
                slots.insert(std::mem::take(&mut self.id), Slot::Idle { session, since: Instant::now() });
            }
            session => {
                slots.remove(&self.id);
                drop(slots);
                // Its file is removed, at once or after what is being written to it: an unlink, short enough for any thread.
                drop(session);
            }
        }
    }
}

/// 128 random bits: who does not know an upload's id cannot write to it.
fn random_id() -> Result<String, Error> {
    let mut bytes = [0; 16];
    getrandom::getrandom(&mut bytes).map_err(|_| Error::NoEntropy)?;
    Ok(to_hex(&bytes))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::memory::MemoryStore;

    #[tokio::test(start_paused = true)]
    async fn what_nobody_goes_on_with_expires_and_a_single_request_leaves_nothing() {
        let (uploads, store, name) = (Arc::new(Uploads::default()), MemoryStore::default(), Name::parse("a").unwrap());
        let begin = |single| uploads.begin(&store, &name, Algorithm::Sha256, single, &Limits::DEFAULT).unwrap();
        drop(begin(true));
        assert_eq!(uploads.len(), 0);
        drop(begin(false));
        let busy = begin(false);
        tokio::time::advance(Limits::DEFAULT.upload_idle - Duration::from_secs(1)).await;
        assert_eq!((uploads.expired(Limits::DEFAULT.upload_idle).len(), uploads.len()), (0, 2));
        tokio::time::advance(Duration::from_secs(2)).await;
        // The one that a request has stays, however long that takes.
        assert_eq!((uploads.expired(Limits::DEFAULT.upload_idle).len(), uploads.len()), (1, 1));
        drop(busy);
        assert_eq!(uploads.expired(Limits::DEFAULT.upload_idle).len(), 0);
    }
}
