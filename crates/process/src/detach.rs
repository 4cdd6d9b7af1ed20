//! Programs that outlive us: local instances and the front door.

use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use nix::unistd::{Pid, getsid};
use tokio::process::Child;
use tokio::time::{Instant, sleep};

use crate::{ProcessError, Program};

/// How long a detached program may take until it leads its own session: 5 s. It does so first thing; only a machine that is
/// short of memory or processors needs more than a few milliseconds.
pub const DETACH_DEADLINE: Duration = Duration::from_secs(5);

/// A program in a session of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Detached {
    /// Its process id, which is also that of its process group and of its session. A pid alone does not identify a process for
    /// ever: who keeps it beyond this run keeps the start time of `/proc/<pid>/stat` with it.
    pub pid: u32,
}

impl Program {
    /// Starts the program in its own session, standard input closed, standard output and error appended to `log` (created with
    /// mode 0600), and returns once it stands on its own: it then survives our end, a closed terminal and Ctrl-C.
    ///
    /// # Expected flow
    /// **The program itself must call `setsid(2)`, first thing.** A parent cannot do that for its child without code between
    /// fork and exec, which needs `unsafe`; and it must not put the child into a process group of its own either, because the
    /// leader of a group cannot start a session (`EPERM`). So we start it plainly and watch until it leads its session. Our own
    /// verbs do that; any other program is started through one of them (or through `setsid(1)` without `--fork`).
    ///
    /// Standard input bytes, deadline, output limit and redaction do not apply: nobody reads along.
    ///
    /// Its end is collected by the runtime for as long as we live, so that it leaves no zombie behind.
    ///
    /// # Errors
    /// [`ProcessError::Log`]; [`ProcessError::EndedAtOnce`]; [`ProcessError::NotDetached`] after [`DETACH_DEADLINE`], the
    /// program is then killed; and what [`run`](Self::run) says about programs that cannot be started. When the future is
    /// dropped before the program stands on its own, it is killed too.
    pub async fn spawn_detached(self, log: &Path) -> Result<Detached, ProcessError> {
        let mut child = self.start_with_log(log)?;
        let deadline = Instant::now() + DETACH_DEADLINE;
        let Some(pid) = child.0.as_ref().and_then(Child::id) else {
            return Err(ProcessError::NotDetached { program: self.name(), deadline: DETACH_DEADLINE });
        };
        loop {
            if Instant::now() >= deadline {
                return Err(ProcessError::NotDetached { program: self.name(), deadline: DETACH_DEADLINE });
            }
            let status = child.0.as_mut().map_or(Ok(None), Child::try_wait);
            match status {
                Err(source) => return Err(ProcessError::Lost { program: self.name(), source }),
                Ok(Some(status)) => {
                    let (program, log) = (self.name(), log.to_path_buf());
                    return Err(ProcessError::EndedAtOnce { program, ended: status.into(), log });
                }
                Ok(None) if leads_session(pid) => {
                    // Dropped without being killed: the runtime collects its exit status whenever it ends.
                    drop(child.0.take());
                    return Ok(Detached { pid });
                }
                Ok(None) => sleep(Duration::from_millis(2)).await,
            }
        }
    }

    fn start_with_log(&self, log: &Path) -> Result<Attached, ProcessError> {
        let lost_log = |source| ProcessError::Log { path: log.to_path_buf(), source };
        let mut command = self.command()?;
        let file = OpenOptions::new().create(true).append(true).mode(0o600).open(log).map_err(lost_log)?;
        let copy = file.try_clone().map_err(lost_log)?;
        command.stdin(Stdio::null()).stdout(file).stderr(copy);
        let child = command.spawn().map_err(|source| ProcessError::Start { program: self.name(), source })?;
        Ok(Attached(Some(child)))
    }
}

fn leads_session(pid: u32) -> bool {
    i32::try_from(pid).is_ok_and(|pid| getsid(Some(Pid::from_raw(pid))) == Ok(Pid::from_raw(pid)))
}

/// A child that does not stand on its own yet, and ends with us.
struct Attached(Option<Child>);

impl Drop for Attached {
    fn drop(&mut self) {
        if let Some(child) = &mut self.0 {
            // It has ended already, or ends now; there is nobody to report a failure to.
            let _ = child.start_kill();
        }
    }
}
