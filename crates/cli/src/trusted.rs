//! Keys that a person names on the command line, instead of [trust] in the configuration.

use schleuse_sign::{Role, Trust, TrustedKey};

use crate::context::Context;
use crate::failure::Failure;
use crate::keys::{self, KeyReference};

/// Trusts these public keys for builds, and no others.
pub(crate) fn trusted(keys: &[String], context: &Context) -> Result<Trust, Failure> {
    let key = |text: &String| -> Result<TrustedKey, Failure> {
        Ok(TrustedKey::new(keys::public_only(context, &KeyReference::parse(text))?, [Role::Build]))
    };
    Ok(Trust::new(keys.iter().map(key).collect::<Result<Vec<_>, _>>()?)?)
}
