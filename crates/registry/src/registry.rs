//! The registry as a value: a store, what is in progress, and the rules.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use schleuse_model::Secret;

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

/// How many locks the repositories share. Two repositories that fall on one lock only wait for each other.
const LOCKS: usize = 64;

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
}

#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) store: Box<dyn Store>,
    pub(crate) uploads: Arc<Uploads>,
    locks: [Mutex<()>; LOCKS],
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
        Ok(Self::over(DiskStore::open(path.as_ref())?))
    }

    fn over(store: impl Store + 'static) -> Self {
        let locks = std::array::from_fn(|_| Mutex::new(()));
        let shared = Shared { store: Box::new(store), uploads: Arc::default(), locks };
        Self {
            shared: Arc::new(shared),
            limits: Limits::DEFAULT,
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
