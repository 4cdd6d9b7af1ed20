//! The registry as a value: a store, what is in progress, and the rules.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::Duration;

use schleuse_model::{Clock, Digest, Secret, SystemClock, Timestamp};

use crate::access::users::Users;
use crate::access::{Access, Login};
use crate::error::Error;
use crate::limits::Limits;
use crate::log::AccessLog;
use crate::observe::Observer;
use crate::problem::Problem;
use crate::route::Name;
use crate::store::Store;
use crate::store::disk::DiskStore;
use crate::store::memory::MemoryStore;
use crate::tls::Tls;
use crate::uploads::Uploads;
use crate::volume::{FolderVolume, Volume};

/// How many locks the repositories share. Two repositories that fall on one lock only wait for each other.
const LOCKS: usize = 64;

/// How old a link's date may become before somebody who relies on it renews it. A small part of the least grace of a collection,
/// and long enough that a busy repository is not dated at each request.
pub(crate) const REDATE: Duration = Duration::from_secs(60);

/// An OCI registry. Cloning gives another handle on the same one.
#[derive(Clone, Debug)]
pub struct Registry {
    pub(crate) shared: Arc<Shared>,
    pub(crate) limits: Limits,
    pub(crate) access: Access,
    pub(crate) tls: Option<Tls>,
    pub(crate) observer: Observer,
    pub(crate) read_only: bool,
    /// Whether a manifest may name what is not here.
    pub(crate) sparse: bool,
    pub(crate) clock: Arc<dyn Clock>,
}

#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) store: Box<dyn Store>,
    pub(crate) uploads: Arc<Uploads>,
    locks: [Mutex<()>; LOCKS],
    /// Shared by who links a blob to a repository, or tells a client that it is linked; held alone by the collector between its
    /// last look and its removal.
    links: RwLock<()>,
}

impl Shared {
    /// Held by whoever changes manifests, referrers or tags of `name`, from reading the condition to the last write. Readers
    /// need no lock: each reads whole files.
    pub(crate) fn lock(&self, name: &Name) -> MutexGuard<'_, ()> {
        let mut hasher = DefaultHasher::new();
        name.hash(&mut hasher);
        let index = usize::try_from(hasher.finish() % LOCKS as u64).unwrap_or(0);
        self.locks[index].lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Held while a link is made or relied upon: the collector removes nothing meanwhile. Taken after [`Shared::lock`], if both.
    pub(crate) fn linking(&self) -> RwLockReadGuard<'_, ()> {
        self.links.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Held by the collector: nobody makes a link meanwhile, nor relies on one.
    pub(crate) fn collecting(&self) -> RwLockWriteGuard<'_, ()> {
        self.links.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the repository has the blob, and its bytes are there. Who is told so will not push it again, so the link counts as
    /// new from now on.
    pub(crate) fn rely_on(&self, name: &Name, digest: &Digest, now: Timestamp) -> Result<bool, Problem> {
        let Some(dated) = self.store.linked(name, digest)? else { return Ok(false) };
        if now.since(dated) >= REDATE {
            let _linking = self.linking();
            // Looked at again: it may have been collected since.
            if self.store.linked(name, digest)?.is_none() {
                return Ok(false);
            }
            match self.store.date_link(name, digest, now) {
                // The disk takes no changes any more (mostly after an error): nothing will be collected there either.
                Err(Error::Storage { source, .. }) if source.kind() == io::ErrorKind::ReadOnlyFilesystem => {}
                dated => dated?,
            }
        }
        Ok(self.store.blob(digest)?.is_some())
    }

    /// Whether the repository has the blob now, whatever becomes of it.
    pub(crate) fn has(&self, name: &Name, digest: &Digest) -> Result<bool, Problem> {
        Ok(self.store.linked(name, digest)?.is_some() && self.store.blob(digest)?.is_some())
    }
}

impl Registry {
    /// A registry in memory, empty.
    pub fn memory() -> Self {
        Self::over(MemoryStore::default())
    }

    /// The registry in the folder `path`, which is made if it is not there. The folder is locked until the last clone is gone;
    /// what an earlier process left unfinished is cleared.
    ///
    /// # Errors
    /// [`Error::Locked`] if another process has it, [`Error::Storage`] if the folder cannot be used.
    pub fn disk(path: impl AsRef<Path>) -> Result<Self, Error> {
        Self::on(Arc::new(FolderVolume::create(path)?))
    }

    /// The registry on a volume, which nobody else may change. What an earlier process left unfinished is cleared.
    ///
    /// # Errors
    /// [`Error::Storage`] if the volume cannot be used.
    pub fn on(volume: Arc<dyn Volume>) -> Result<Self, Error> {
        Ok(Self::over(DiskStore::open(volume)?))
    }

    fn over(store: impl Store + 'static) -> Self {
        let locks = std::array::from_fn(|_| Mutex::new(()));
        let shared = Shared { store: Box::new(store), uploads: Arc::default(), locks, links: RwLock::default() };
        Self {
            shared: Arc::new(shared),
            limits: Limits::DEFAULT,
            clock: Arc::new(SystemClock),
            access: Access::Open,
            tls: None,
            observer: Observer::default(),
            read_only: false,
            sparse: false,
        }
    }

    /// With other limits.
    #[must_use]
    pub fn with_limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// With another clock than the machine's: what links are dated by. [`Registry::serve`] brings its own.
    #[must_use]
    pub fn with_clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// Accepts manifests that name blobs and manifests which are not here: for mirrors that carry only some platforms of an
    /// image. Otherwise such a push is refused, because half an image is mostly a mistake.
    #[must_use]
    pub fn accepting_sparse(mut self) -> Self {
        self.sparse = true;
        self
    }

    /// Lets only this user in (basic authentication), for reading and writing.
    #[must_use]
    pub fn with_login(mut self, username: &str, password: &Secret<String>) -> Self {
        self.access = Access::One(Login::new(username, password));
        self
    }

    /// Lets only these users in, for reading and writing.
    #[must_use]
    pub fn with_users(mut self, users: &Users) -> Self {
        self.access = Access::Users(users.clone());
        self
    }

    /// Speaks TLS and nothing else.
    #[must_use]
    pub fn with_tls(mut self, tls: &Tls) -> Self {
        self.tls = Some(tls.clone());
        self
    }

    /// Leaves a line of each request there.
    #[must_use]
    pub fn with_access_log(mut self, log: &AccessLog) -> Self {
        self.observer.log = Some(log.clone());
        self
    }

    /// Answers 405 to everything that would change something.
    #[must_use]
    pub fn read_only(mut self) -> Self {
        self.read_only = true;
        self
    }

    /// Runs `work` where it may block.
    pub(crate) async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Shared) -> Result<T, Problem> + Send + 'static,
    ) -> Result<T, Problem> {
        let shared = self.shared.clone();
        tokio::task::spawn_blocking(move || work(&shared)).await.map_err(|_| Problem::ended())?
    }
}
