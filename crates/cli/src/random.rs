//! Randomness from the operating system.

use rand_core::{OsRng, RngCore as _};
use schleuse_model::Explain;

/// The operating system gives no randomness.
#[derive(Debug, thiserror::Error)]
#[error("the operating system gives no randomness")]
pub(crate) struct NoRandomness(#[source] rand_core::Error);

impl Explain for NoRandomness {}

/// `N` random bytes.
pub(crate) fn bytes<const N: usize>() -> Result<[u8; N], NoRandomness> {
    let mut bytes = [0; N];
    OsRng.try_fill_bytes(&mut bytes).map_err(NoRandomness)?;
    Ok(bytes)
}
