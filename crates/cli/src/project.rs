//! The project around us: the configuration, and the client, image and trust it describes.

mod registry;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use schleuse_config::env;
use schleuse_config::{Config, FILE_NAME, Flags, KeyRole, MAX_BYTES, Source, policy, policy_digest};
use schleuse_model::{Digest, Exit, Explain, Repository};
use schleuse_sign::{Revocation, Role, Trust, TrustedKey};

use crate::context::Context;
use crate::failure::Failure;
use crate::files::{self, FileError};
use crate::git::Git;
use crate::keys::{self, KeyReference};
pub(crate) use registry::Patience;

/// The configuration and where it lies.
#[derive(Debug)]
pub(crate) struct Project {
    /// What it says.
    pub(crate) config: Config,
    /// The folder that its paths are relative to: the file's own, or the one we are in.
    pub(crate) root: PathBuf,
    /// The file, if there is one.
    pub(crate) file: Option<PathBuf>,
}

/// Something that the configuration has to say is not said.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ProjectError {
    /// The file is no text.
    #[error("{} is not UTF-8 text", .0.display())]
    NotText(PathBuf),
    /// No image.
    #[error("which image is meant? nothing names one")]
    NoImage,
    /// A trusted key's file is not there.
    #[error("the trusted key {0} is not there")]
    NoKeyFile(String),
    /// No source repository.
    #[error("which source repository is this? nothing names one")]
    NoSource,
}

impl Explain for ProjectError {
    fn exit(&self) -> Exit {
        Exit::Usage
    }

    fn hints(&self) -> Vec<String> {
        match self {
            Self::NotText(_) => Vec::new(),
            Self::NoImage => vec![
                "write `image = \"ghcr.io/<owner>/<name>\"` into schleuse.toml, or pass `--image`".to_owned(),
                "in a git checkout with a remote at GitHub it is known without".to_owned(),
            ],
            Self::NoKeyFile(_) => vec![
                "no key yet: `schleuse key generate`; commit its public half".to_owned(),
                "or list the keys you trust: [trust] build = [\"…\"] in schleuse.toml".to_owned(),
            ],
            Self::NoSource => {
                vec!["write `source = \"https://…\"` into schleuse.toml, or give the checkout a git remote".to_owned()]
            }
        }
    }
}

impl Project {
    /// Reads the configuration: the named file, or the nearest `schleuse.toml`. None at all means defaults.
    pub(crate) fn load(context: &Context, flags: &Flags) -> Result<Self, Failure> {
        let here = context.folder()?;
        let file = context.named_config.clone().or_else(|| nearest(&here));
        let bytes = match &file {
            Some(path) => files::read(path, MAX_BYTES)?,
            None => Vec::new(),
        };
        let name = file.as_deref().map_or_else(|| FILE_NAME.to_owned(), |path| shown(path, &here));
        let Ok(text) = std::str::from_utf8(&bytes) else {
            return Err(ProjectError::NotText(file.unwrap_or_default()).into());
        };
        let config = schleuse_config::load(Source { name: &name, text }, flags, &context.environment)?;
        let root = match file.as_deref().and_then(Path::parent) {
            Some(folder) => here.join(folder),
            None => here,
        };
        Ok(Self { config, root, file })
    }

    /// The configuration file, or what to do without one.
    pub(crate) fn require_file(&self) -> Result<&Path, Failure> {
        let missing = || FileError::Read {
            path: FILE_NAME.into(),
            source: std::io::Error::new(std::io::ErrorKind::NotFound, "neither here nor in a folder above"),
        };
        Ok(self.file.as_deref().ok_or_else(missing)?)
    }

    /// git, in the project's folder.
    pub(crate) fn git(&self, context: &Context) -> Git {
        Git::new(&self.root, &context.environment)
    }

    /// The image's repository: as configured, or `ghcr.io/<owner>/<name>` of a GitHub remote.
    pub(crate) async fn image(&self, context: &Context) -> Result<Repository, Failure> {
        if let Some(image) = &self.config.connection.image {
            return Ok(image.value.clone());
        }
        let remote = self.git(context).remote(&self.config.connection.git_remote.value).await;
        let path = remote.as_deref().and_then(|source| source.strip_prefix("https://github.com/"));
        // Packages are lower-case, repositories need not be.
        let image = path.and_then(|path| format!("ghcr.io/{}", path.to_lowercase()).parse().ok());
        Ok(image.ok_or(ProjectError::NoImage)?)
    }

    /// The source repository's address for the provenance: as configured, in GitHub Actions the run's own, else the git remote's.
    pub(crate) async fn source(&self, context: &Context) -> Result<String, Failure> {
        if let Some(source) = &self.config.connection.source {
            return Ok(source.value.clone());
        }
        let environment = &context.environment;
        if let (Some(server), Some(name)) =
            (environment.get(&env::GITHUB_SERVER_URL), environment.get(&env::GITHUB_REPOSITORY))
        {
            return Ok(format!("{server}/{name}"));
        }
        let remote = self.git(context).remote(&self.config.connection.git_remote.value).await;
        Ok(remote.ok_or(ProjectError::NoSource)?)
    }

    /// The trusted keys of [trust], read from their files, each with its roles.
    pub(crate) fn trust(&self, context: &Context) -> Result<Trust, Failure> {
        let trusted = &self.config.policy.trust;
        let mut keys = Vec::new();
        for (role, files) in trusted.roles() {
            for one in files {
                keys.push(self.trusted_key(context, one, role)?);
            }
        }
        for one in &trusted.revoked {
            let revocation = match one.revocation {
                policy::Revocation::Superseded { since } => Revocation::Superseded { since },
                policy::Revocation::Compromised => Revocation::Compromised,
            };
            keys.push(self.trusted_key(context, &one.key, one.role)?.revoked_as(revocation));
        }
        Ok(Trust::new(keys)?)
    }

    fn trusted_key(&self, context: &Context, one: &policy::TrustedKey, role: KeyRole) -> Result<TrustedKey, Failure> {
        let role = match role {
            KeyRole::Build => Role::Build,
            KeyRole::Approve => Role::Approve,
            KeyRole::Quarantine => Role::Quarantine,
            KeyRole::BreakGlass => Role::BreakGlass,
        };
        let key = TrustedKey::new(self.key_file(context, &one.file)?, [role]);
        Ok(match &one.person {
            Some(person) => key.of(person.as_str()),
            None => key,
        })
    }

    /// The digest of the policy, which stands in every journal entry.
    pub(crate) fn policy_digest(&self, context: &Context) -> Result<Digest, Failure> {
        let mut fingerprints = BTreeMap::new();
        for one in self.config.policy.trust.keys() {
            fingerprints.insert(one.file.clone(), self.key_file(context, &one.file)?.fingerprint().to_string());
        }
        Ok(policy_digest(&self.config.policy, &fingerprints)?)
    }

    /// The public key in a file that the configuration names.
    pub(crate) fn key_file(&self, context: &Context, file: &str) -> Result<schleuse_sign::PublicKey, Failure> {
        if !self.root.join(file).exists() {
            return Err(ProjectError::NoKeyFile(file.to_owned()).into());
        }
        keys::public_only(context, &KeyReference::File(self.root.join(file)))
    }
}

/// The nearest file upwards, up to the checkout's root; outside a checkout, only here. Not beyond: a file above (in `/tmp`, say)
/// may be anybody's, and it decides whose signatures are believed.
fn nearest(from: &Path) -> Option<PathBuf> {
    let checkout = from.ancestors().position(|folder| folder.join(".git").exists()).unwrap_or(0);
    from.ancestors().take(checkout + 1).map(|folder| folder.join(FILE_NAME)).find(|file| file.is_file())
}

/// The path as a person would write it from here.
fn shown(path: &Path, here: &Path) -> String {
    path.strip_prefix(here).unwrap_or(path).display().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_search_ends_at_the_checkouts_root() {
        let folder = tempfile::tempdir().unwrap();
        let (checkout, below) = (folder.path().join("checkout"), folder.path().join("checkout/services/billing"));
        std::fs::create_dir_all(&below).unwrap();
        std::fs::create_dir(checkout.join(".git")).unwrap();
        std::fs::write(folder.path().join(FILE_NAME), "").unwrap();
        assert_eq!(nearest(&below), None, "a file above the checkout is not ours");
        std::fs::write(checkout.join(FILE_NAME), "").unwrap();
        assert_eq!(nearest(&below), Some(checkout.join(FILE_NAME)));
        let outside = folder.path().join("elsewhere");
        std::fs::create_dir(&outside).unwrap();
        assert_eq!(nearest(&outside), None, "nor is one above a folder that is no checkout");
        assert_eq!(nearest(folder.path()), Some(folder.path().join(FILE_NAME)));
    }
}
