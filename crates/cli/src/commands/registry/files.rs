//! What the registry reads from files beside its content, and whom it lets in.

use std::path::Path;

use schleuse_config::env;
use schleuse_registry::{AccessLog, Registry, Tls, Users};

use super::serve::Args;
use crate::context::Context;
use crate::failure::Failure;
use crate::usage::Usage;

/// What is read from files beside the content, and read again on SIGHUP.
#[derive(Debug, Default)]
pub(super) struct Files {
    pub(super) users: Option<Users>,
    pub(super) tls: Option<Tls>,
    pub(super) log: Option<AccessLog>,
}

impl Files {
    pub(super) fn open(args: &Args) -> Result<Self, Failure> {
        let tls = match (&args.tls_cert, &args.tls_key) {
            (Some(certificate), Some(key)) => Some(Tls::open(certificate, key)?),
            _ => None,
        };
        let log = match args.access_log.as_deref() {
            None => None,
            Some(path) if path == Path::new("-") => Some(AccessLog::to_stderr()),
            Some(path) => Some(AccessLog::to_file(path)?),
        };
        Ok(Self { users: args.htpasswd.as_ref().map(Users::open).transpose()?, tls, log })
    }
}

pub(super) fn with_login(
    registry: Registry,
    users: Option<&Users>,
    context: &Context,
) -> Result<(Registry, bool), Usage> {
    let environment = &context.environment;
    match (environment.get(&env::REGISTRY_USERNAME), environment.secret(&env::REGISTRY_PASSWORD), users) {
        (None, None, Some(users)) => Ok((registry.with_users(users), true)),
        (Some(user), Some(password), None) => Ok((registry.with_login(user, password), true)),
        (None, None, None) => Ok((registry, false)),
        (_, _, Some(_)) => Err(Usage::new(
            "--htpasswd and REGISTRY_USERNAME or REGISTRY_PASSWORD are both there",
            "put that user into the file as well, and unset the variables",
        )),
        (_, _, None) => Err(Usage::new(
            "only one of REGISTRY_USERNAME and REGISTRY_PASSWORD is set",
            "set both, or none for a registry without login",
        )),
    }
}
