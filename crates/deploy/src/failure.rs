//! What goes wrong on a target.

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use schleuse_image::unpack::UnpackError;
use schleuse_model::json::JsonError;
use schleuse_model::{Exit, Explain};
use schleuse_process::ProcessError;

use crate::target::Ended;

/// How long to wait before something is tried again that failed in passing: long enough for a port to be released or a
/// registry to come back from a restart behind its balancer, short enough not to be noticed.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// Why a target did not do a step; [`crate::TargetError`] says whether trying again may help.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The image cannot be fetched or unpacked.
    #[error(transparent)]
    Unpack(#[from] UnpackError),
    /// A program of ours could not be started.
    #[error(transparent)]
    Process(#[from] ProcessError),
    /// A file or folder of the target cannot be used.
    #[error("cannot {doing} {}", path.display())]
    Io {
        /// What was being done: `read`, `write`.
        doing: &'static str,
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A record of ours is not what we write.
    #[error("{} is damaged", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// Why.
        source: JsonError,
    },
    /// The receipt is another environment's.
    #[error("the receipt is of the environment `{got}`, this target is `{have}`")]
    Foreign {
        /// This target's environment.
        have: String,
        /// The receipt's.
        got: String,
    },
    /// The target knows nothing of this rollout.
    #[error("entry {sequence} was never prepared on this target")]
    NotPrepared {
        /// The receipt's sequence.
        sequence: u64,
    },
    /// Two images for one sequence.
    #[error("entry {sequence} was prepared with another image")]
    Conflict {
        /// The sequence.
        sequence: u64,
    },
    /// The rollout has been brought back; it cannot go forward again.
    #[error("the rollout of entry {sequence} has been brought back; it cannot go forward again")]
    BroughtBack {
        /// The sequence.
        sequence: u64,
    },
    /// The rollout has not received the traffic yet.
    #[error("the rollout of entry {sequence} has no traffic yet")]
    NotSwitched {
        /// The sequence.
        sequence: u64,
    },
    /// The new instance is not running.
    #[error("the new instance {name} does not run")]
    NotRunning {
        /// The instance.
        name: String,
    },
    /// The instance did not start.
    #[error("the instance {name} {ended}")]
    NotStarted {
        /// The instance.
        name: String,
        /// What happened.
        ended: Ended,
    },
    /// What starts the instance said nothing in time.
    #[error("the instance {name} did not start in time")]
    Silent {
        /// The instance.
        name: String,
    },
    /// It lives on after being killed.
    #[error("{what} could not be stopped")]
    Unstoppable {
        /// Which process.
        what: String,
    },
    /// What is needed to return to it has been deleted.
    #[error("the instance {name} cannot be started again: its {missing} is gone")]
    WayBackGone {
        /// The instance.
        name: String,
        /// What is missing.
        missing: &'static str,
    },
    /// Somebody else has the port.
    #[error("another program listens on {address}")]
    PortTaken {
        /// The address.
        address: SocketAddr,
    },
    /// The front door cannot listen there.
    #[error("the front door cannot listen on {address}: {why}")]
    CannotListen {
        /// The address.
        address: SocketAddr,
        /// The system's reason.
        why: String,
    },
    /// The front door does not answer.
    #[error("the front door on {address} does not answer")]
    DoorSilent {
        /// Where it listens.
        address: SocketAddr,
    },
    /// Neither a front door nor a port was configured.
    #[error("the environment `{environment}` has neither a front door nor a port")]
    NoPort {
        /// The environment.
        environment: String,
    },
    /// The image says no command.
    #[error("the image has no command to run")]
    NoCommand,
    /// The image's user does not exist in it.
    #[error("the image's user `{user}` is not in its {file}")]
    UnknownUser {
        /// The user or group, shortened.
        user: String,
        /// `/etc/passwd` or `/etc/group`.
        file: &'static str,
    },
    /// The image has something in the place of a folder that a process needs.
    #[error("the image has something that is no folder at /{place}")]
    NoFolder {
        /// `dev`, `proc` or `tmp`.
        place: &'static str,
    },
    /// The note is too long.
    #[error("the intent has {size} bytes; at most {limit} are kept")]
    IntentTooLarge {
        /// Its size.
        size: usize,
        /// The limit.
        limit: usize,
    },
}

impl Failure {
    pub(crate) fn io(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { doing, path, source }
    }

    /// How long to wait before trying again; `None`: trying again changes nothing.
    pub(crate) fn worth_retrying_after(&self) -> Option<Duration> {
        let passing = match self {
            Self::Unpack(UnpackError::Registry(error)) => error.is_transient(),
            Self::Silent { .. } | Self::DoorSilent { .. } | Self::PortTaken { .. } => true,
            _ => false,
        };
        passing.then_some(RETRY_AFTER)
    }
}

impl Explain for Failure {
    fn exit(&self) -> Exit {
        match self {
            Self::Unpack(error) => error.exit(),
            Self::Process(error) => error.exit(),
            Self::NoPort { .. } | Self::CannotListen { .. } | Self::PortTaken { .. } => Exit::Usage,
            _ => Exit::Error,
        }
    }

    fn hints(&self) -> Vec<String> {
        match self {
            Self::Unpack(error) => error.hints(),
            Self::Process(error) => error.hints(),
            Self::NotStarted { ended: Ended::NotStarted { forbidden: true, .. }, .. } => vec![
                "this system forbids the namespaces a sandbox needs; as a user: run as root, or allow them with \
                 `sysctl -w user.max_user_namespaces=15000`"
                    .to_owned(),
                "on Ubuntu 24.04 and later also `sysctl -w kernel.apparmor_restrict_unprivileged_userns=0`, on older \
                 Debian `sysctl -w kernel.unprivileged_userns_clone=1`"
                    .to_owned(),
                "in a container: start it with the capability SYS_ADMIN and without its seccomp profile".to_owned(),
            ],
            Self::PortTaken { address } | Self::CannotListen { address, .. } => {
                vec![format!("see who has it with `ss -ltnp 'sport = :{}'`, or choose another port", address.port())]
            }
            Self::Damaged { path, .. } => vec![format!(
                "it was edited, or the disk is damaged; stop the environment, move {} away, and promote again",
                path.parent().unwrap_or(path).display()
            )],
            Self::NoPort { environment } => {
                vec![format!("set `port`, and better also `listen`, in [environment.{environment}]")]
            }
            Self::NoCommand => vec!["set an entrypoint or a command when the image is built".to_owned()],
            Self::Io { source, .. } if source.kind() == io::ErrorKind::PermissionDenied => {
                vec!["was the environment set up by another user, perhaps root? run as that user".to_owned()]
            }
            _ => Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forbidden_namespaces_name_the_switch() {
        let ended = |forbidden| Ended::NotStarted { step: "s".to_owned(), why: "w".to_owned(), forbidden };
        let hints =
            |forbidden| Failure::NotStarted { name: "i".to_owned(), ended: ended(forbidden) }.hints().join("\n");
        assert!(hints(true).contains("sysctl -w user.max_user_namespaces"));
        assert_eq!(hints(false), "");
    }
}
