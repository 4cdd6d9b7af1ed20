//! A program whose output is ours: shown to the person as it comes.

use std::process::Stdio;

use tokio::time::{Instant, sleep, timeout_at};

use crate::run::Group;
use crate::{Ended, ProcessError, Program, TERMINATION_GRACE};

impl Program {
    /// Runs it to its end with our own stdout and stderr; it reads nothing. For a program of ours that shows another of ours:
    /// the output is neither bounded nor redacted.
    ///
    /// Dropping the future kills the program and its group with SIGKILL.
    ///
    /// # Errors
    /// As [`Program::run`]; at the deadline nothing of the output is known.
    pub async fn run_attached(self) -> Result<Ended, ProcessError> {
        let deadline = Instant::now() + self.deadline;
        let mut command = self.command()?;
        command.stdin(Stdio::null()).process_group(0).kill_on_drop(true);
        let started = command.spawn();
        let mut child = started.map_err(|source| ProcessError::Start { program: self.name(), source })?;
        let group = Group::of(&child);
        let lost = |source| ProcessError::Lost { program: self.name(), source };
        if let Ok(status) = timeout_at(deadline, child.wait()).await {
            return status.map(Ended::from).map_err(lost);
        }
        group.terminate();
        sleep(TERMINATION_GRACE).await;
        drop(group);
        let (stdout, stderr) = Default::default();
        Err(ProcessError::Deadline { program: self.name(), deadline: self.deadline, stdout, stderr })
    }
}
