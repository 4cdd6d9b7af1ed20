//! What an OCI registry holds, and the narrow ways to reach it.
//!
//! **For**: media types, descriptors, manifests and indexes (image-spec 1.1), and the traits [`Pull`], [`Push`] and
//! [`Referrers`] that everything else is written against.
//!
//! **Guarantees**: no transport, no runtime. What is written is deterministic: ordered structs, `BTreeMap` annotations. A
//! [`Manifest`] keeps the bytes it was received with; they are never re-serialised, so digests and signatures hold. Reading
//! takes a limit; "not there" is `Ok(None)`; anything else that is not the content is an [`Error`]: nothing fails open.
//!
//! **Start reading** at [`access`], then [`manifest`].
//!
//! **Must not depend on** a transport, a runtime, or any crate of the workspace but `model`.

pub mod access;
pub mod descriptor;
pub mod error;
pub mod evidence;
pub mod manifest;
pub mod media_type;
mod stream;

pub use access::{Body, Created, Credential, CredentialSource, Delete, Pull, Push, Referrers};
pub use descriptor::{Descriptor, Platform};
pub use error::Error;
pub use manifest::{ImageConfig, ImageManifest, Index, Manifest};
pub use stream::{BodyStream, Check, Pieces, collect, stream_of};
