//! What a store must do. Narrow traits, each with one concern; all calls block and are made from the blocking pool.
//!
//! Every write is durable when it returns. Stores do not decide and do not lock: who may write which tag, and in which order
//! things are written, is `api`'s business.

use std::fmt::Debug;
use std::io;
use std::sync::Arc;

use bytes::Bytes;
use schleuse_model::{Digest, Tag, Timestamp};
use schleuse_oci::Descriptor;

use crate::error::Error;
use crate::route::Name;

pub(crate) mod disk;
pub(crate) mod memory;

/// Readable content of known length.
pub(crate) trait Content: Debug + Send + Sync {
    /// Its length in bytes.
    fn len(&self) -> u64;

    /// At most `wanted` bytes from `offset` on; fewer only at the end.
    fn read_at(&self, offset: u64, wanted: usize) -> io::Result<Bytes>;
}

/// The bytes of an upload in progress. Dropping it discards them.
pub(crate) trait Pending: Debug + Send {
    /// Adds `piece` at the end.
    fn append(&mut self, piece: &[u8]) -> Result<(), Error>;

    /// What has been added so far.
    fn content(&self) -> Result<Arc<dyn Content>, Error>;

    /// Makes it the blob `digest`, which the caller has verified.
    fn commit(self: Box<Self>, digest: &Digest) -> Result<(), Error>;
}

/// Content by digest, shared by all repositories.
pub(crate) trait Blobs {
    fn begin(&self, id: &str) -> Result<Box<dyn Pending>, Error>;
    fn blob(&self, digest: &Digest) -> Result<Option<Arc<dyn Content>>, Error>;
    /// Makes the blob durable, whoever wrote it: what is linked must outlive the link. `false`: it is not there.
    fn settle_blob(&self, digest: &Digest) -> Result<bool, Error>;
}

/// Which blobs a repository has, and when a client last relied on each.
pub(crate) trait Links {
    /// When the link was made or dated; `None`: the repository does not have the blob.
    fn linked(&self, name: &Name, digest: &Digest) -> Result<Option<Timestamp>, Error>;
    fn link(&self, name: &Name, digest: &Digest, now: Timestamp) -> Result<(), Error>;
    /// Dates a link that is there. Need not be durable.
    fn date_link(&self, name: &Name, digest: &Digest, now: Timestamp) -> Result<(), Error>;
    /// How many of them were there.
    fn unlink(&self, name: &Name, digests: &[Digest]) -> Result<usize, Error>;
}

/// A manifest with the media type it was pushed with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct StoredManifest {
    pub(crate) media_type: String,
    pub(crate) bytes: Bytes,
}

/// A repository's manifests by digest.
pub(crate) trait Manifests {
    fn manifest(&self, name: &Name, digest: &Digest) -> Result<Option<StoredManifest>, Error>;
    fn has_manifest(&self, name: &Name, digest: &Digest) -> Result<bool, Error>;
    fn write_manifest(&self, name: &Name, digest: &Digest, manifest: &StoredManifest) -> Result<(), Error>;
    /// Makes links and manifests that can be seen durable, whoever wrote them: what a manifest relies on must outlive it.
    fn settle(&self, name: &Name) -> Result<(), Error>;
    /// Whether there was one.
    fn remove_manifest(&self, name: &Name, digest: &Digest) -> Result<bool, Error>;
}

/// A repository's tags.
pub(crate) trait Tags {
    fn target(&self, name: &Name, tag: &Tag) -> Result<Option<Digest>, Error>;
    fn point(&self, name: &Name, tag: &Tag, digest: &Digest) -> Result<(), Error>;
    /// Whether there was one.
    fn remove_tag(&self, name: &Name, tag: &Tag) -> Result<bool, Error>;
    /// All names in byte order; `None`: there is no such repository.
    fn tag_names(&self, name: &Name) -> Result<Option<Vec<String>>, Error>;
}

/// Which manifests of a repository refer to which subject.
pub(crate) trait Referring {
    /// Those after `after`, in the order of their digests, one at a time for as long as `take` answers `true`: each may be as large as
    /// a manifest, and there may be any number of them.
    fn referring(
        &self,
        name: &Name,
        subject: &Digest,
        after: Option<&Digest>,
        take: &mut dyn FnMut(Descriptor) -> bool,
    ) -> Result<(), Error>;
    fn add_referring(&self, name: &Name, subject: &Digest, referrer: &Descriptor) -> Result<(), Error>;
    fn remove_referring(&self, name: &Name, subject: &Digest, referrer: &Digest) -> Result<(), Error>;
}

/// What is there, for the collector.
pub(crate) trait Inventory {
    fn repositories(&self) -> Result<Vec<Name>, Error>;
    fn links(&self, name: &Name) -> Result<Vec<Digest>, Error>;
    fn manifests(&self, name: &Name) -> Result<Vec<Digest>, Error>;
    fn blobs(&self) -> Result<Vec<Digest>, Error>;
    /// Removes the bytes. May be undone by a power cut: what nobody links to harms nobody.
    fn remove_blob(&self, digest: &Digest) -> Result<(), Error>;
    /// Half-written files that were cleared when the store was opened.
    fn swept(&self) -> usize;
}

/// Everything a registry needs.
pub(crate) trait Store: Blobs + Links + Manifests + Tags + Referring + Inventory + Debug + Send + Sync {}

impl<T: Blobs + Links + Manifests + Tags + Referring + Inventory + Debug + Send + Sync> Store for T {}
