//! Images as files: building them, keeping them in a folder, moving them, and unpacking them safely.
//!
//! **For**: the deterministic [`layers`] builder, the builders of a [`dockerfile`], the OCI image [`layout`], the [`archive`]s of skopeo and `docker save`,
//! [`copy()`](copy::copy) between any source and any destination, an [`index`] of several images, [`mod@inspect`], [`unpack`] of an image into a root folder, the choice of a platform ([`mod@select`]), and the build [`manifest`]
//! with its provenance and the rule by which a commit's image is reused.
//!
//! **Guarantees**: the same input gives the same bytes, whatever the umask, user, time zone or order of files on disk (law 7).
//! Manifests travel as the bytes they came in; blobs are streamed to files, never held whole in memory, and nothing is used
//! before its digest was checked. Unpacking never writes outside its root, never follows a symbolic link, and every quantity an
//! image's author controls has a limit ([`unpack::Limits`], law 10).
//!
//! **Start reading** at [`layers`] for building and at [`unpack`] for the threat model.
//!
//! **Must not depend on** `client` or `registry`: registries are reached through `oci`'s `Pull` and `Push`, which [`layout::Layout`]
//! implements too.

pub mod archive;
pub mod copy;
pub mod dockerfile;
pub mod index;
pub mod inspect;
pub mod layers;
pub mod layout;
pub mod listing;
pub mod manifest;
pub mod path;
pub mod place;
pub mod select;
pub mod unpack;
mod work;

pub use archive::{Archive, ArchiveError};
pub use copy::{CopyError, Moved, Progress, Silent};
pub use dockerfile::DockerfileError;
pub use inspect::{Inspection, inspect};
pub use layers::{Base, BuildError, Built, ImageSpec, LayerSpec, Port, Runtime, Source, SourceInfo};
pub use layout::Layout;
pub use manifest::{BuildIdentity, BuildManifest, Reuse, RunInfo};
pub use path::ImagePath;
pub use place::{Pick, Place};
pub use select::{SelectError, select};
pub use unpack::{Limits, Ownership, UnpackError, Unpacked};
