//! `schleuse build`, behind the flags: from which source, by which recipe, and whether it was built already.

pub(crate) mod dockerfile;
mod pushing;
mod recipe;
pub(crate) mod record;
mod reuse;
mod source;

pub(crate) use pushing::Pushing;
pub(crate) use recipe::Recipe;
pub(crate) use reuse::{Existing, existing};
pub(crate) use source::{SourceArgs, SourceState, is_dirty};
