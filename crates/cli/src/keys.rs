//! Where keys are: `--key` names a file or, as `env://NAME`, a variable.

use std::path::PathBuf;

use schleuse_model::{Exit, Explain, Secret};
use schleuse_sign::keys::{Described, KEY_FILE_LIMIT};
use schleuse_sign::{KeyError, KeyPair, PublicKey, Signer as _};

use crate::context::Context;
use crate::failure::Failure;
use crate::{files, password};

/// The variable that holds the CI's key, as cosign's users have it.
pub(crate) const VARIABLE: &str = "COSIGN_PRIVATE_KEY";
/// What stands before a variable's name.
const SCHEME: &str = "env://";

/// Where a key is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum KeyReference {
    /// A file.
    File(PathBuf),
    /// A variable that holds the file's content.
    Variable(String),
}

impl KeyReference {
    /// Why the key here cannot be used.
    pub(crate) fn unusable(&self, source: KeyError) -> KeyProblem {
        KeyProblem::Unusable { name: self.to_string(), source }
    }

    /// As written behind `--key`. Never fails: what is no `env://` is a path.
    pub(crate) fn parse(text: &str) -> Self {
        match text.strip_prefix(SCHEME) {
            Some(name) => Self::Variable(name.to_owned()),
            None => Self::File(text.into()),
        }
    }
}

impl std::fmt::Display for KeyReference {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::File(path) => write!(f, "{}", path.display()),
            Self::Variable(name) => write!(f, "{SCHEME}{name}"),
        }
    }
}

/// There is no usable key.
#[derive(Debug, thiserror::Error)]
pub(crate) enum KeyProblem {
    /// None is named.
    #[error("no signing key: neither --key nor {VARIABLE} names one")]
    None,
    /// The variable is not set.
    #[error("the variable {0} is not set")]
    NotSet(String),
    /// A key service that is not supported.
    #[error("keys at `{0}` are not supported: a key is a file, or a variable that holds it (env://NAME)")]
    Service(String),
    /// A name without a letter.
    #[error("the name of the key is empty")]
    NoName,
    /// Not a file.
    #[error("{} is a folder, not a key file", _0.display())]
    Folder(PathBuf),
    /// Nothing can be signed with it.
    #[error("{0} is a public key: signing needs the private one")]
    PublicHalf(String),
    /// It is there and cannot be used.
    #[error("cannot use the key {name}")]
    Unusable {
        /// Where it is.
        name: String,
        /// Why.
        source: KeyError,
    },
}

impl Explain for KeyProblem {
    fn exit(&self) -> Exit {
        Exit::Usage
    }

    fn hints(&self) -> Vec<String> {
        match self {
            Self::None => vec![
                "name a key file: `--key schleuse.key`".to_owned(),
                format!("or set {VARIABLE} to the key file's content; no key yet: `schleuse key generate`"),
            ],
            Self::NotSet(_) => vec!["on GitHub Actions the job has to map the secret to the variable".to_owned()],
            Self::Service(_) => Vec::new(),
            Self::NoName => {
                vec![format!("in a script: is the variable behind it set? a key is a file, or {SCHEME}NAME")]
            }
            Self::Folder(path) => {
                vec![format!("name the file in it, such as {}", path.join("schleuse.key").display())]
            }
            Self::PublicHalf(_) => vec![
                "name its other half, the file that `schleuse key generate` called NAME.key".to_owned(),
                format!("or set {VARIABLE} to that file's content"),
            ],
            Self::Unusable { source, .. } => source.hints(),
        }
    }
}

/// The signing key: `--key`, else `COSIGN_PRIVATE_KEY`. Unlocking takes about 0.1 s, on a thread of its own.
pub(crate) async fn signer(context: &Context, flag: Option<&str>) -> Result<KeyPair, Failure> {
    let reference = match flag {
        Some(text) => KeyReference::parse(text),
        None if context.variables.get(VARIABLE).is_some() => KeyReference::Variable(VARIABLE.to_owned()),
        None => return Err(KeyProblem::None.into()),
    };
    unlock(context, &reference).await
}

/// The signing keys: each `--key`, in order and once; without any, `COSIGN_PRIVATE_KEY`.
pub(crate) async fn signers(context: &Context, flags: &[String]) -> Result<Vec<KeyPair>, Failure> {
    if flags.is_empty() {
        return Ok(vec![signer(context, None).await?]);
    }
    let mut pairs: Vec<KeyPair> = Vec::new();
    for flag in flags {
        let pair = signer(context, Some(flag)).await?;
        if !pairs.iter().any(|known| known.public_key() == pair.public_key()) {
            pairs.push(pair);
        }
    }
    Ok(pairs)
}

/// Opens the private key at `reference` with its password.
pub(crate) async fn unlock(context: &Context, reference: &KeyReference) -> Result<KeyPair, Failure> {
    let file = content(context, reference)?;
    open(context, reference, file).await
}

async fn open(context: &Context, reference: &KeyReference, file: Secret<Vec<u8>>) -> Result<KeyPair, Failure> {
    // Before anybody is asked for a password that it does not have.
    if PublicKey::from_pem(file.expose()).is_ok() {
        return Err(KeyProblem::PublicHalf(reference.to_string()).into());
    }
    let password = password::existing(context).await?;
    let opened = tokio::task::spawn_blocking(move || KeyPair::decrypt(file.expose(), &password));
    let interrupted = |_| KeyError::Malformed("unlocking it was interrupted".to_owned());
    Ok(opened.await.map_err(interrupted)?.map_err(|source| reference.unusable(source))?)
}

/// The public key at `reference`, whose file may hold the private key too: then it is unlocked.
pub(crate) async fn public(context: &Context, reference: &KeyReference) -> Result<PublicKey, Failure> {
    let file = content(context, reference)?;
    public_of(context, reference, file).await
}

/// The public key in `file`, read from `reference`: a FIFO gives its content once.
pub(crate) async fn public_of(
    context: &Context,
    reference: &KeyReference,
    file: Secret<Vec<u8>>,
) -> Result<PublicKey, Failure> {
    match Described::of(file.expose()) {
        Ok(Described::Public(key)) => Ok(key),
        Ok(Described::Plain(key)) => {
            warn_of_plain(context);
            Ok(key)
        }
        Ok(Described::Encrypted { .. }) => Ok(open(context, reference, file).await?.public_key().clone()),
        Err(source) => Err(reference.unusable(source).into()),
    }
}

/// A private key lies there without encryption.
pub(crate) fn warn_of_plain(context: &Context) {
    context
        .printer
        .warn("this private key is not encrypted: whoever can read it can sign; `schleuse key import` helps");
}

/// The public key in a file that must hold nothing else.
pub(crate) fn public_only(context: &Context, reference: &KeyReference) -> Result<PublicKey, Failure> {
    let file = content(context, reference)?;
    Ok(PublicKey::from_pem(file.expose()).map_err(|source| reference.unusable(source))?)
}

/// What stands there, whatever it is.
pub(crate) fn content(context: &Context, reference: &KeyReference) -> Result<Secret<Vec<u8>>, Failure> {
    match reference {
        KeyReference::File(path) if path.to_string_lossy().contains("://") => {
            Err(KeyProblem::Service(reference.to_string()).into())
        }
        KeyReference::File(path) if path.as_os_str().is_empty() => Err(KeyProblem::NoName.into()),
        KeyReference::File(path) if path.is_dir() => Err(KeyProblem::Folder(path.clone()).into()),
        KeyReference::File(path) => Ok(Secret::new(files::read(path, KEY_FILE_LIMIT)?)),
        KeyReference::Variable(name) => match context.variables.get(name) {
            Some(text) => Ok(Secret::new(text.as_bytes().to_vec())),
            None => Err(KeyProblem::NotSet(name.clone()).into()),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_are_files_or_variables() {
        assert_eq!(KeyReference::parse("env://KEY"), KeyReference::Variable("KEY".to_owned()));
        assert_eq!(KeyReference::parse("a/b.key"), KeyReference::File("a/b.key".into()));
        assert_eq!(KeyReference::parse("env://KEY").to_string(), "env://KEY");
    }
}
