//! What can go wrong with the registry itself. What a client did wrong is an HTTP answer instead (`problem`).

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use schleuse_model::{Exit, Explain};

/// Why the registry could not be opened, served, or could not keep its promise to a client.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Another process (or another [`crate::Registry`] of this one) has the folder.
    #[error("the registry folder {} is in use by another process", path.display())]
    Locked {
        /// The folder.
        path: PathBuf,
    },
    /// There is no registry in that folder.
    #[error("{} is not the folder of a registry", path.display())]
    NoRegistry {
        /// The folder.
        path: PathBuf,
    },
    /// The folder holds something else, and nothing of a registry.
    #[error("the folder {} holds other files, and no registry", path.display())]
    NotEmpty {
        /// The folder.
        path: PathBuf,
    },
    /// A file operation failed.
    #[error("cannot {action} {}", path.display())]
    Storage {
        /// What was tried, as a verb.
        action: &'static str,
        /// On which file or folder.
        path: PathBuf,
        /// Why it failed.
        source: io::Error,
    },
    /// A file of ours does not hold what we write into such files.
    #[error("{} is damaged: {reason}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// A line of the file of users is not understood.
    #[error("{} {reason}", at_line(path, *line))]
    Htpasswd {
        /// The file.
        path: PathBuf,
        /// Which line, counted from one; 0: all of it.
        line: usize,
        /// What is wrong with it. Never the line itself.
        reason: &'static str,
    },
    /// A certificate or a key is not what TLS needs.
    #[error("{} {reason}", path.display())]
    Tls {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: &'static str,
        /// What to do.
        hint: &'static str,
    },
    /// The address could not be listened on.
    #[error("cannot listen on {address}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// Why.
        source: io::Error,
    },
    /// The operating system gave no random bytes.
    #[error("no random bytes to be had from the operating system")]
    NoEntropy,
    /// The server's task ended in an unforeseen way.
    #[error("the registry's server task ended abnormally")]
    Ended,
}

impl Error {
    pub(crate) fn storage(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self + use<> {
        let path = path.to_owned();
        move |source| Self::Storage { action, path, source }
    }
}

fn at_line(path: &Path, line: usize) -> String {
    match line {
        0 => format!("{}:", path.display()),
        line => format!("{}, line {line}:", path.display()),
    }
}

impl Explain for Error {
    fn exit(&self) -> Exit {
        match self {
            Self::Locked { .. }
            | Self::NoRegistry { .. }
            | Self::NotEmpty { .. }
            | Self::Listen { .. }
            | Self::Htpasswd { .. }
            | Self::Tls { .. } => Exit::Usage,
            Self::Storage { .. } | Self::Damaged { .. } | Self::NoEntropy | Self::Ended => Exit::Error,
        }
    }

    fn hints(&self) -> Vec<String> {
        match self {
            Self::Locked { .. } => vec!["stop the other registry, or give this one a folder of its own".to_owned()],
            Self::NoRegistry { .. } => {
                vec!["name the folder that `schleuse registry serve --folder` was given".to_owned()]
            }
            Self::NotEmpty { .. } => {
                vec!["name an empty folder, or one that is not there yet: a registry needs one of its own".to_owned()]
            }
            Self::Listen { .. } => vec!["choose another port, or port 0 for any free one".to_owned()],
            Self::Htpasswd { path, .. } => {
                vec![format!("`htpasswd -B {} USER` writes such lines with bcrypt", path.display())]
            }
            Self::Tls { hint, .. } => vec![(*hint).to_owned()],
            Self::Damaged { path, .. } => {
                vec![format!("push the image again, or restore {} from a backup", path.display())]
            }
            Self::Storage { source, .. } if source.kind() == io::ErrorKind::StorageFull => {
                vec!["make room on the disk".to_owned()]
            }
            Self::Storage { .. } | Self::NoEntropy | Self::Ended => Vec::new(),
        }
    }
}
