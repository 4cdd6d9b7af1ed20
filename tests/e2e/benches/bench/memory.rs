//! The most memory a process had at a time.
//!
//! The kernel says it to the parent, of the largest child it has waited for, and counts what the child was before it became the
//! program: a copy of its parent. So each is started by a small process of its own: this program again, with [`FLAG`], which has
//! nothing yet.

use std::process::{Command, ExitCode, Stdio};

use nix::sys::resource::{UsageWho, getrusage};

use crate::measure::Series;

/// Followed by the program and its arguments.
pub(crate) const FLAG: &str = "--peak-memory-of";

/// Odd, so that a median is a run that happened. Memory hardly depends on what else the machine does.
const RUNS: usize = 7;

/// The process between: runs what is named behind [`FLAG`], and prints its peak in KiB.
pub(crate) fn wrapper(mut arguments: impl Iterator<Item = String>) -> ExitCode {
    let program = arguments.next().expect("a program");
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::null());
    let status = command.status().expect("the program starts");
    assert!(status.success(), "{command:?}: {status}");
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN).expect("the kernel's figures");
    println!("{}", usage.max_rss());
    ExitCode::SUCCESS
}

/// The peaks of several runs of what `command` makes, in MiB.
pub(crate) fn peaks(command: impl Fn() -> Command) -> Series {
    let mut series = Series::default();
    for _ in 0..RUNS {
        series.add(peak(&command()));
    }
    series
}

fn peak(command: &Command) -> f64 {
    let mut between = Command::new(std::env::current_exe().expect("this program lies somewhere"));
    between.arg(FLAG).arg(command.get_program()).args(command.get_args()).env_clear();
    between.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
    if let Some(folder) = command.get_current_dir() {
        between.current_dir(folder);
    }
    let output = between.stdin(Stdio::null()).output().expect("this program starts");
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    let kib: f64 = String::from_utf8_lossy(&output.stdout).trim().parse().expect("a number");
    kib / 1024.0
}
