//! Process 1 inside an instance.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};

use nix::errno::Errno;
use nix::sys::prctl::set_pdeathsig;
use nix::sys::signal::{SigSet, Signal, kill};
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::Pid;
use schleuse_model::json;

use super::{complain, sandbox};
use crate::atomic;
use crate::local::wire::{Report, Spec};
use crate::target::Ended;

pub(super) fn main(path: &Path) -> ExitCode {
    // The supervisor's ears are ours too: standard input is the line to it, in both directions.
    let line = match io::stdin().as_fd().try_clone_to_owned() {
        Ok(fd) => UnixStream::from(fd),
        Err(error) => {
            complain(&error.to_string());
            return ExitCode::FAILURE;
        }
    };
    let ended = match run(path, &line) {
        Ok(ended) => ended,
        Err(error) => {
            complain(&format!("{}: {}", error.step, error.source));
            // Some systems let a user enter a namespace and then forbid everything in it (AppArmor on Ubuntu 24.04).
            let forbidden = error.source.kind() == io::ErrorKind::PermissionDenied && error.step != PROGRAM;
            Ended::NotStarted { step: error.step.to_owned(), why: error.source.to_string(), forbidden }
        }
    };
    report(&line, &Report::Ended { ended });
    ExitCode::SUCCESS
}

fn report(mut line: &UnixStream, report: &Report) {
    let mut bytes = json::to_bytes(report);
    bytes.push(b'\n');
    // If nobody listens, the supervisor is dead, and we are about to be.
    let _ = line.write_all(&bytes);
}

/// What could not be done, and why.
pub(super) struct Broken {
    pub(super) step: &'static str,
    pub(super) source: io::Error,
}

pub(super) fn at<E: Into<io::Error>>(step: &'static str) -> impl FnOnce(E) -> Broken {
    move |source| Broken { step, source: source.into() }
}

fn run(path: &Path, line: &UnixStream) -> Result<Ended, Broken> {
    // Inherited from the supervisor, who has them blocked; the release must not inherit that.
    SigSet::empty().thread_set_mask().map_err(at("unblocking signals"))?;
    set_pdeathsig(Signal::SIGKILL).map_err(at("tying our life to the supervisor's"))?;
    let spec: Spec = match atomic::read_json(path) {
        Ok(Some(spec)) => spec,
        Ok(None) => return Err(at("reading the specification")(io::Error::from(io::ErrorKind::NotFound))),
        Err(failure) => return Err(at("reading the specification")(io::Error::other(failure))),
    };
    let heard = line.try_clone().map_err(at("listening to the supervisor"))?;
    sandbox::build(&spec)?;
    sandbox::give_up_rights(&spec)?;
    // Changing the user clears it (prctl(2), PR_SET_PDEATHSIG). If the supervisor died in between, its line has ended.
    set_pdeathsig(Signal::SIGKILL).map_err(at("tying our life to the supervisor's"))?;
    let release = start(&spec)?;
    report(line, &Report::Started);
    std::thread::spawn(move || obey(heard, release));
    reap_until(release)
}

const PROGRAM: &str = "starting the program";

fn start(spec: &Spec) -> Result<Pid, Broken> {
    let null = || File::options().read(true).open("/dev/null");
    let (program, args) = spec.argv.split_first().ok_or_else(|| at(PROGRAM)(Errno::EINVAL))?;
    #[allow(clippy::disallowed_methods, reason = "process 1 starts the one program it exists for, and reaps it itself")]
    let mut command = Command::new(program);
    command.args(args).env_clear().envs(&spec.env).current_dir(&spec.folder);
    command.stdin(Stdio::from(null().map_err(at("opening /dev/null"))?));
    let child = command.spawn().map_err(at(PROGRAM))?;
    i32::try_from(child.id()).map(Pid::from_raw).map_err(|_| at(PROGRAM)(Errno::ERANGE))
}

/// Passes on the signals that the supervisor asks for. Its end is the end of everything here.
fn obey(mut line: UnixStream, release: Pid) {
    let mut asked = [0];
    while line.read_exact(&mut asked).is_ok() {
        if let Ok(signal) = Signal::try_from(i32::from(asked[0])) {
            // It may have ended already.
            let _ = kill(release, signal);
        }
    }
    // As process 1: everybody but ourselves; then the loop below ends, and with it we.
    let _ = kill(Pid::from_raw(-1), Signal::SIGKILL);
}

/// Collects whatever ends, until the release does. What it leaves behind ends with us.
fn reap_until(release: Pid) -> Result<Ended, Broken> {
    loop {
        match waitpid(Pid::from_raw(-1), None) {
            Ok(WaitStatus::Exited(pid, code)) if pid == release => return Ok(Ended::Code { code }),
            Ok(WaitStatus::Signaled(pid, signal, _)) if pid == release => {
                return Ok(Ended::Signal { signal: signal as i32 });
            }
            Ok(_) | Err(Errno::EINTR) => {}
            Err(errno) => return Err(at("waiting for the program")(errno)),
        }
    }
}
