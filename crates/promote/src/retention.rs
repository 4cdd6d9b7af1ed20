//! What must not be cleaned away, and what may go.
//!
//! Registries are cleaned by rules that know nothing of releases: "untagged versions", "older than 90 days". Such a rule has eaten
//! the platform children of an index, the signatures of an image, and the release that one would have gone back to
//! (`research/promotion.md`, "a deleted tag wiped a release"). So before a commit everything that the environment then rests on is
//! given a tag `keep-…` ([`schleuse_oci::evidence::keep_tag`]): untagged it is no more, and one exception in a cleanup rule covers
//! it all.
//!
//! # Guarantees
//! What the journal comes to name has been pinned before it names it ([`crate::promote`]). A pin's name says what it points at: two
//! writers cannot disagree. Nothing that any journal entry names is ever removed ([`prune`]), nor what that consists of; what
//! cannot be read, dated or attributed stays.
//!
//! # Caveats
//! Pinning is not locking: whoever may delete tags can delete these. `schleuse retention --check` says so.

mod check;
mod contents;
mod hold;
mod needed;
mod pins;
pub mod prune;
mod record;

pub use check::{Kept, check};
pub use contents::{Item, Part, contents};
pub(crate) use hold::{hold, hold_after, hold_on};
pub use needed::{Staying, staying};
pub use pins::{Pinned, pin, pinned, set_right};
pub use record::{Named, named};
