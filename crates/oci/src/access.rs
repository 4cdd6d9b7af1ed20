//! The capabilities: who can only read is handed a [`Pull`], and holds nothing that writes.

use std::fmt::Debug;
use std::path::{Path, PathBuf};

use async_trait::async_trait;
use bytes::Bytes;
use schleuse_model::{Digest, PinnedRef, Repository, Secret, Tag, TagRef, Timestamp};

use crate::descriptor::Descriptor;
use crate::error::Error;
use crate::manifest::Manifest;
use crate::stream::BodyStream;

/// Content to push. It can be opened again, so that a failed upload can be repeated.
#[derive(Clone, Debug)]
pub enum Body {
    /// In memory.
    Bytes(Bytes),
    /// A file, streamed. Its content is what its descriptor says: whoever made it has seen to that.
    File(PathBuf),
    /// A file, streamed, that nobody has looked at: checked on its way, and its last byte not sent if it is not what its descriptor
    /// says ([`Error::WrongDigest`]).
    Unchecked(PathBuf),
}

impl From<Vec<u8>> for Body {
    fn from(bytes: Vec<u8>) -> Self {
        Self::Bytes(bytes.into())
    }
}

impl From<&'static [u8]> for Body {
    fn from(bytes: &'static [u8]) -> Self {
        Self::Bytes(Bytes::from_static(bytes))
    }
}

/// What became of a create-once write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Created {
    /// This call created the tag.
    Won,
    /// The registry refused: the tag exists already.
    Exists,
}

/// Reading.
#[async_trait]
pub trait Pull: Debug + Send + Sync {
    /// Where the tag points now. The only bridge from what moves to what cannot.
    async fn resolve(&self, tag: &TagRef) -> Result<Option<PinnedRef>, Error>;

    /// The manifest of that digest, verified, at most [`crate::manifest::MANIFEST_LIMIT`] bytes.
    async fn manifest(&self, image: &PinnedRef) -> Result<Option<Manifest>, Error>;

    /// The manifest the tag points at now, with its digest (one request; [`Manifest::digest`] is computed from the bytes).
    async fn tagged(&self, tag: &TagRef) -> Result<Option<Manifest>, Error>;

    /// The blob, whole and verified, if it has at most `limit` bytes.
    async fn blob(&self, repository: &Repository, digest: &Digest, limit: usize) -> Result<Option<Bytes>, Error>;

    /// The blob as a verified stream of exactly `blob.size` bytes.
    async fn blob_stream(&self, repository: &Repository, blob: &Descriptor) -> Result<Option<BodyStream>, Error>;

    /// The file that has the blob and nothing else, where it lies in one of this machine. Not verified: [`Pull::blob_stream`] is.
    fn blob_file(&self, digest: &Digest) -> Option<PathBuf> {
        let _ = digest;
        None
    }

    /// Names of tags that start with `prefix`, in the registry's order, at most `limit` (else [`Error::TooLarge`]). A repository
    /// that does not exist has none.
    async fn tags(&self, repository: &Repository, prefix: &str, limit: usize) -> Result<Vec<Tag>, Error>;

    /// The registry's own clock (`Date`), as of this object's newest answer. `None`: it has not told.
    fn registry_time(&self) -> Option<RegistryTime> {
        None
    }
}

/// A registry's `Date` beside the local time at which it came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RegistryTime {
    /// What the registry said, whole seconds.
    pub registry: Timestamp,
    /// Our own clock then.
    pub local: Timestamp,
}

/// Writing.
#[async_trait]
pub trait Push: Debug + Send + Sync {
    /// Whether the blob is there already.
    async fn has_blob(&self, repository: &Repository, digest: &Digest) -> Result<bool, Error>;

    /// Uploads a blob. Uploading one that is there is a success that changes nothing.
    async fn push_blob(&self, repository: &Repository, blob: &Descriptor, body: Body) -> Result<(), Error>;

    /// Takes over a file that was read against the blob's digest, instead of a copy of it; the file is gone then. `false`: it
    /// could not; upload it.
    async fn adopt_blob(&self, repository: &Repository, blob: &Descriptor, file: &Path) -> Result<bool, Error> {
        let _ = (repository, blob, file);
        Ok(false)
    }

    /// Makes a blob of `from` (same registry) available in `repository` without uploading it, where the registry can.
    /// `false`: it could not; push it, which goes on with the upload that the registry may have opened instead.
    async fn mount_blob(&self, repository: &Repository, digest: &Digest, from: &Repository) -> Result<bool, Error>;

    /// Uploads a manifest by its digest, no tag. Its blobs are there already. Answers whether the registry said that it
    /// indexed the manifest's `subject` itself (`OCI-Subject`).
    async fn push_manifest(&self, repository: &Repository, manifest: &Manifest) -> Result<bool, Error>;

    /// Points the tag at `manifest` (uploading it), whatever it pointed at before.
    async fn tag(&self, tag: &TagRef, manifest: &Manifest) -> Result<(), Error>;

    /// Asks the registry to create the tag only if it does not exist (`If-None-Match: *`). Registries that do not know the
    /// condition answer `Won` to everybody: whether this registry honours it must be proven before it is relied upon (DESIGN §7).
    async fn create_tag(&self, tag: &TagRef, manifest: &Manifest) -> Result<Created, Error>;
}

/// Taking away (distribution-spec, "Deleting Tags", "Deleting Manifests"). Apart from [`Push`]: nearly nobody needs it.
///
/// A registry that cannot delete answers [`Error::Undeletable`]. `false` means "was not there": also after an attempt of the same
/// call whose answer got lost.
///
/// # Caveats
/// The specification says that deleting a tag leaves its manifest alone. Registries older than that resolved the tag and deleted
/// the *manifest*, and with it every other tag of it; none can be told by its answer. So [`Delete::delete_tag`] is only for tags
/// whose manifest nobody else needs, or on a registry that was seen to keep it (delete a tag of a manifest made for the purpose,
/// then ask for the manifest). docker-registry 2.8, GHCR and Docker Hub refuse it.
#[async_trait]
pub trait Delete: Debug + Send + Sync {
    /// Deletes the manifest, and with it every tag that points at it. Its blobs and what refers to it stay. `false`: it was not
    /// there.
    async fn delete_manifest(&self, image: &PinnedRef) -> Result<bool, Error>;

    /// Deletes the tag; see the caveats above. `false`: it was not there.
    async fn delete_tag(&self, tag: &TagRef) -> Result<bool, Error>;
}

/// Evidence beside an image (distribution-spec 1.1, "Listing Referrers", and DESIGN §6).
#[async_trait]
pub trait Referrers: Debug + Send + Sync {
    /// The manifests that refer to `subject`: the union of the referrers API, the fallback index and our own evidence tags.
    /// Untrusted: whoever can push can add to it or drop from it. At most `limit` (else [`Error::TooLarge`]).
    async fn referrers(&self, subject: &PinnedRef, limit: usize) -> Result<Vec<Descriptor>, Error>;

    /// Pushes `manifest`, whose `subject` is `subject`, so that [`Referrers::referrers`] and other tools find it, also beside
    /// concurrent writers. Its blobs are there already.
    async fn attach(&self, subject: &PinnedRef, manifest: &Manifest) -> Result<(), Error>;
}

/// How to log in at a registry.
#[derive(Clone, Debug)]
pub enum Credential {
    /// User and password, or user and token.
    Basic {
        /// The user.
        username: String,
        /// The password or token.
        password: Secret<String>,
    },
    /// An OAuth2 refresh ("identity") token, as `docker login` stores it for some registries.
    IdentityToken(Secret<String>),
    /// A bearer token to present as it is.
    Bearer(Secret<String>),
}

/// Where credentials come from.
#[async_trait]
pub trait CredentialSource: Debug + Send + Sync {
    /// The credential for `repository`; `Ok(None)`: there is none, go anonymously.
    async fn credential(&self, repository: &Repository) -> Result<Option<Credential>, Error>;
}
