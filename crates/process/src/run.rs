//! Running a program to its end, its deadline, or the end of whoever waits for it.

use std::io;
use std::pin::{Pin, pin};
use std::process::Stdio;
use std::time::Duration;

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::process::{Child, ChildStdin, Command};
use tokio::time::{Instant, sleep_until, timeout};

use crate::capture::Collector;
use crate::redact::Redactor;
use crate::{Ended, Finished, ProcessError, Program};

/// Between SIGTERM and SIGKILL at the deadline: 2 s, enough to remove a lock file, not enough to carry on.
pub const TERMINATION_GRACE: Duration = Duration::from_secs(2);

/// How long output is still read after the program itself has ended: 1 s.
///
/// A grandchild inherits the pipe, and the pipe ends only when the last holder closes it. `sh -c 'server & exit'` would keep a
/// caller that reads to the end waiting for as long as the server lives (a classic with CI runners and with `ssh`). The second is
/// for the honest case, a `tee` behind the program that has not written its last line yet.
pub const DRAIN: Duration = Duration::from_secs(1);

impl Program {
    /// Runs it to its end. Takes at most the deadline plus [`TERMINATION_GRACE`] plus twice [`DRAIN`].
    ///
    /// Needs a tokio runtime with I/O and time, and real time: under a paused test clock the deadline comes at once.
    ///
    /// # Errors
    /// [`ProcessError`] if it did not start, passed its deadline, or was lost. A bad exit code is not an error here: see
    /// [`Finished::require_success`].
    pub async fn run(self) -> Result<Finished, ProcessError> {
        let started = Instant::now();
        let (mut child, group) = self.start()?;
        let lost = |source| ProcessError::Lost { program: self.name(), source };
        let collector = || Collector::new(self.output_limit, Redactor::new(&self.secrets));
        let (mut stdout, mut stderr) = (collector(), collector());
        let (input, output, errors) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
        let bytes = self.stdin.as_ref().map(|stdin| stdin.expose().as_slice());

        let ended = {
            let moving = pin!(async {
                let (_, out, err) =
                    tokio::join!(feed(input, bytes), pump(output, &mut stdout), pump(errors, &mut stderr));
                out.and(err)
            });
            let mut transfer = Transfer { moving, done: false };
            let ended = transfer.until_end(&mut child, started + self.deadline).await.map_err(lost)?;
            if ended.is_none() {
                group.terminate();
                transfer.until_end(&mut child, Instant::now() + TERMINATION_GRACE).await.map_err(lost)?;
                group.signal(Signal::SIGKILL);
                // SIGKILL is only late for a process in uninterruptible sleep (a dead NFS server): not waited for without end.
                transfer.until_end(&mut child, Instant::now() + DRAIN).await.map_err(lost)?;
            }
            transfer.drain().await.map_err(lost)?;
            ended
        };
        drop(group);
        let (stdout, stderr) = (stdout.finish(), stderr.finish());
        match ended {
            Some(ended) => Ok(Finished { program: self.name(), ended, stdout, stderr, took: started.elapsed() }),
            None => Err(ProcessError::Deadline { program: self.name(), deadline: self.deadline, stdout, stderr }),
        }
    }

    fn start(&self) -> Result<(Child, Group), ProcessError> {
        let mut command = self.command()?;
        command.stdin(if self.stdin.is_some() { Stdio::piped() } else { Stdio::null() });
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).process_group(0).kill_on_drop(true);
        let child = command.spawn().map_err(|source| ProcessError::Start { program: self.name(), source })?;
        let group = Group::of(&child);
        Ok((child, group))
    }

    /// The command with program, arguments and environment: all that attached and detached programs have in common.
    #[allow(clippy::disallowed_methods, reason = "the one home of process spawning")]
    pub(crate) fn command(&self) -> Result<Command, ProcessError> {
        let mut command = Command::new(self.locate()?);
        command.args(&self.args).env_clear().envs(self.environment());
        if let Some(folder) = &self.current_dir {
            command.current_dir(folder);
        }
        Ok(command)
    }
}

/// The program's process group. Killed when dropped: on every way out of `run`, also when the caller drops the future.
///
/// The group's number is the program's pid. It cannot have been given to somebody else while any member lives; once all are
/// gone, `killpg` finds nobody.
pub(crate) struct Group(Option<u32>);

impl Group {
    pub(crate) fn of(child: &Child) -> Self {
        Self(child.id())
    }

    pub(crate) fn terminate(&self) {
        self.signal(Signal::SIGTERM);
    }

    fn signal(&self, signal: Signal) {
        let leader = self.0.and_then(|pid| i32::try_from(pid).ok()).filter(|pid| *pid > 1);
        if let Some(leader) = leader {
            // ESRCH: nobody is left, which is what we want.
            let _ = killpg(Pid::from_raw(leader), signal);
        }
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.signal(Signal::SIGKILL);
    }
}

/// Input going in and output coming out while the program runs.
struct Transfer<'a, F> {
    moving: Pin<&'a mut F>,
    done: bool,
}

impl<F: Future<Output = io::Result<()>>> Transfer<'_, F> {
    /// Until the program ends or `deadline` comes (`None`), moving bytes meanwhile: a program whose pipe is full never ends.
    async fn until_end(&mut self, child: &mut Child, deadline: Instant) -> io::Result<Option<Ended>> {
        loop {
            tokio::select! {
                // The deadline first: a program that writes without end must not starve it (DESIGN, law 10).
                biased;
                () = sleep_until(deadline) => return Ok(None),
                status = child.wait() => return status.map(|status| Some(status.into())),
                moved = self.moving.as_mut(), if !self.done => {
                    self.done = true;
                    moved?;
                }
            }
        }
    }

    /// What is still in the pipes, at most for [`DRAIN`].
    async fn drain(&mut self) -> io::Result<()> {
        if !self.done
            && let Ok(moved) = timeout(DRAIN, self.moving.as_mut()).await
        {
            self.done = true;
            moved?;
        }
        Ok(())
    }
}

/// Writes `bytes` and closes the pipe. A program that stops reading early (`head -1`) is no error, and its exit code tells.
async fn feed(pipe: Option<ChildStdin>, bytes: Option<&[u8]>) {
    if let (Some(mut pipe), Some(bytes)) = (pipe, bytes) {
        let _ = pipe.write_all(bytes).await;
    }
}

async fn pump(pipe: Option<impl AsyncRead + Unpin>, collector: &mut Collector) -> io::Result<()> {
    let Some(mut pipe) = pipe else { return Ok(()) };
    let mut buffer = vec![0; 16 * 1024];
    loop {
        match pipe.read(&mut buffer).await? {
            0 => break,
            length => collector.push(&buffer[..length]),
        }
    }
    collector.end_of_stream();
    Ok(())
}
