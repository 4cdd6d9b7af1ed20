//! Which process it is, and whether it lives.
//!
//! A process id is used again after its process has ended, so an id in a file is not enough to send a signal to. Two things
//! guard against that: whether a process of ours lives is decided by the lock it holds, which the kernel releases when it ends,
//! however it ends; and a signal goes out only if the process with that id was started when ours was.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::errno::Errno;
use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, close, setsid};
use serde::{Deserialize, Serialize};

use crate::atomic;
use crate::failure::Failure;

/// A process, for ever.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Identity {
    pub(crate) pid: i32,
    /// Clock ticks from boot to its start (`/proc/<pid>/stat`, field 22).
    start: u64,
}

impl Identity {
    /// The living process with that id. `None`: there is none, or it has ended and only waits to be collected, or nothing can keep
    /// it from ending: the kernel still accepts connections for one that was killed a moment ago.
    pub(crate) fn of(pid: i32) -> Option<Self> {
        /// The kernel's `PF_EXITING`, in field 9.
        const EXITING: u64 = 0x4;
        /// The bit of SIGKILL among the signals that wait for the process, field 31 (proc_pid_stat(5)).
        const KILLED: u64 = 1 << 8;
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        // The program's name stands in parentheses and can hold anything, also parentheses and spaces.
        let fields: Vec<&str> = stat.get(stat.rfind(')')? + 1..)?.split_ascii_whitespace().collect();
        let number = |field: usize| fields.get(field - 3).and_then(|text| text.parse::<u64>().ok());
        let alive = !matches!(fields.first(), Some(&"Z" | &"X" | &"x"))
            && number(9).is_none_or(|flags| flags & EXITING == 0)
            && number(31).is_none_or(|pending| pending & KILLED == 0);
        let start = number(22)?;
        alive.then_some(Self { pid, start })
    }

    pub(crate) fn alive(&self) -> bool {
        Self::of(self.pid) == Some(*self)
    }

    /// Sends the signal if the process still is the one it was. `false`: it has ended.
    pub(crate) fn signal(&self, signal: Signal) -> Result<bool, Errno> {
        if !self.alive() {
            return Ok(false);
        }
        match kill(Pid::from_raw(self.pid), signal) {
            Ok(()) => Ok(true),
            Err(Errno::ESRCH) => Ok(false),
            Err(errno) => Err(errno),
        }
    }
}

/// What a process of ours that outlives the tool does first thing: leads a session of its own (whoever started it waits for
/// that), and lets go of every file it inherited beyond its standard ones. Those are the tool's caller's, who may wait for the
/// other end of a pipe to close, as shells and CI systems do.
pub(crate) fn stand_alone() {
    // Fails only if it leads a session already.
    let _ = setsid();
    let inherited = fs::read_dir("/proc/self/fd").into_iter().flatten().flatten();
    let inherited: Vec<i32> = inherited.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect();
    for file in inherited.into_iter().filter(|file| *file > 2) {
        // One of them was the folder just read, and is closed already.
        let _ = close(file);
    }
}

/// How long somebody who only looks may have the lock: looking takes microseconds, a busy machine may stop it in between.
const LOOKING: Duration = Duration::from_millis(10);
const LOOKS: u32 = 100;

/// A lock file that says which process holds it.
#[derive(Clone, Debug)]
pub(crate) struct LifeLock {
    path: PathBuf,
}

/// Who holds a [`LifeLock`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Holder {
    /// Nobody.
    Nobody,
    /// A living process. Its identity is unknown in the moment before it has written it.
    Alive(Option<Identity>),
}

impl LifeLock {
    pub(crate) fn at(path: &Path) -> Self {
        Self { path: path.to_owned() }
    }

    fn file(&self) -> Result<File, Failure> {
        let opened =
            OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(&self.path);
        opened.map_err(Failure::io("lock", &self.path))
    }

    /// Takes it for this process's life. `None`: another one has it. The file must be kept.
    pub(crate) fn take(&self) -> Result<Option<File>, Failure> {
        let file = self.file()?;
        for _ in 0..LOOKS {
            match file.try_lock() {
                Ok(()) => {
                    let identity = i32::try_from(std::process::id()).ok().and_then(Identity::of);
                    // Not renamed into place: the lock is the file's.
                    atomic::write_json(&self.identity_path(), &identity)?;
                    return Ok(Some(file));
                }
                Err(TryLockError::WouldBlock) => std::thread::sleep(LOOKING),
                Err(TryLockError::Error(source)) => return Err(Failure::io("lock", &self.path)(source)),
            }
        }
        Ok(None)
    }

    /// Who has it.
    pub(crate) fn holder(&self) -> Result<Holder, Failure> {
        let file = match File::open(&self.path) {
            Ok(file) => file,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Holder::Nobody),
            Err(error) => return Err(Failure::io("lock", &self.path)(error)),
        };
        match file.try_lock_shared() {
            Ok(()) => Ok(Holder::Nobody),
            Err(TryLockError::WouldBlock) => {
                let identity: Option<Option<Identity>> = atomic::read_json(&self.identity_path())?;
                // What stands there may be its predecessor's, in the moment before it writes its own.
                Ok(Holder::Alive(identity.flatten().filter(Identity::alive)))
            }
            Err(TryLockError::Error(source)) => Err(Failure::io("lock", &self.path)(source)),
        }
    }

    pub(crate) fn is_held(&self) -> Result<bool, Failure> {
        Ok(self.holder()? != Holder::Nobody)
    }

    fn identity_path(&self) -> PathBuf {
        self.path.with_extension("pid")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn me() -> Identity {
        Identity::of(i32::try_from(std::process::id()).unwrap()).unwrap()
    }

    #[test]
    fn a_process_id_that_was_used_again_is_not_taken_for_the_process() {
        let impostor = Identity { start: me().start + 1, ..me() };
        assert!(me().alive());
        assert!(!impostor.alive());
        // The signal would end this very test.
        assert_eq!(impostor.signal(Signal::SIGKILL), Ok(false));
    }

    #[test]
    fn a_lock_tells_whether_its_holder_lives() {
        let folder = tempfile::tempdir().unwrap();
        let lock = LifeLock::at(&folder.path().join("life.lock"));
        assert_eq!(lock.holder().unwrap(), Holder::Nobody);
        let held = lock.take().unwrap().unwrap();
        assert_eq!(lock.holder().unwrap(), Holder::Alive(Some(me())));
        drop(held);
        assert_eq!(lock.holder().unwrap(), Holder::Nobody);
    }

    #[test]
    fn a_lock_whose_holder_is_not_known_yet_does_not_name_another() {
        let folder = tempfile::tempdir().unwrap();
        let lock = LifeLock::at(&folder.path().join("life.lock"));
        let _held = lock.take().unwrap().unwrap();
        let stale = Identity { start: me().start + 1, ..me() };
        atomic::write_json(&lock.identity_path(), &Some(stale)).unwrap();
        assert_eq!(lock.holder().unwrap(), Holder::Alive(None));
    }
}
