//! The process that stays with an instance from outside.
//!
//! One thread and one loop: after `unshare(CLONE_NEWPID)` the kernel lets a process start no threads (`clone(2)`, EINVAL).

use std::fs;
use std::io::{self, PipeReader, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Child, Command, ExitCode, ExitStatus, Stdio};

use caps::{CapSet, CapsHashSet};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sched::{CloneFlags, unshare};
use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::unistd::{Gid, Uid, alarm, getegid, geteuid};
use schleuse_model::json;

use super::{INNER, VERB, complain};
use crate::atomic;
use crate::failure::Failure;
use crate::identity::{Identity, LifeLock, stand_alone};
use crate::local::log::{FILE_LIMIT, RotatingLog};
use crate::local::paths::InstancePaths;
use crate::local::wire::{Exit, REPORT_LIMIT, Report, Running, Spec};
use crate::target::Ended;

pub(super) fn main(spec: &Path) -> ExitCode {
    stand_alone();
    let Some(folder) = spec.parent() else { return ExitCode::FAILURE };
    match supervise(&InstancePaths::at(folder)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            complain(&failure.to_string());
            ExitCode::FAILURE
        }
    }
}

fn supervise(paths: &InstancePaths) -> Result<(), Failure> {
    let Some(_life) = LifeLock::at(&paths.lock()).take()? else { return Ok(()) };
    let Some(spec) = atomic::read_json::<Spec>(&paths.spec())? else { return Ok(()) };
    atomic::remove(&paths.exit())?;
    atomic::remove(&paths.running())?;
    let ended = match Instance::start(paths, &spec) {
        Ok(instance) => instance.watch(paths, &spec)?,
        Err(NotStarted { step, source }) => {
            Ended::NotStarted { step: step.to_owned(), why: source.to_string(), forbidden: step == NAMESPACES }
        }
    };
    atomic::write_json(&paths.exit(), &Exit { launch: spec.launch, ended })
}

const NAMESPACES: &str = "entering new namespaces";

struct NotStarted {
    step: &'static str,
    source: io::Error,
}

fn step<E: Into<io::Error>>(step: &'static str) -> impl FnOnce(E) -> NotStarted {
    move |source| NotStarted { step, source: source.into() }
}

struct Instance {
    child: Child,
    signals: SignalFd,
    output: PipeReader,
    control: UnixStream,
    log: RotatingLog,
    asked: bool,
}

impl Instance {
    fn start(paths: &InstancePaths, spec: &Spec) -> Result<Self, NotStarted> {
        let log = RotatingLog::open(&paths.log(), FILE_LIMIT).map_err(step("opening the log"))?;
        // Blocked before anything is started, so that no request to stop is lost.
        let mut wanted = SigSet::empty();
        for signal in [Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP, Signal::SIGCHLD, Signal::SIGALRM] {
            wanted.add(signal);
        }
        wanted.thread_block().map_err(step("blocking signals"))?;
        let flags = SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK;
        let signals = SignalFd::with_flags(&wanted, flags).map_err(step("listening for signals"))?;
        enter_namespaces(spec)?;
        let (output, writer) = io::pipe().map_err(step("opening a pipe"))?;
        let other = writer.try_clone().map_err(step("opening a pipe"))?;
        let (control, theirs) = UnixStream::pair().map_err(step("opening a socket"))?;
        control.set_nonblocking(true).map_err(step("opening a socket"))?;
        #[allow(clippy::disallowed_methods, reason = "std's, since it must happen in this thread, without a runtime")]
        let mut init = Command::new("/proc/self/exe");
        init.args([VERB, INNER]).arg(paths.spec()).env_clear();
        init.stdin(OwnedFd::from(theirs)).stdout(Stdio::from(writer)).stderr(Stdio::from(other));
        let child = init.spawn().map_err(step("starting init"))?;
        Ok(Self { child, signals, output, control, log, asked: false })
    }

    /// Until it has ended.
    fn watch(mut self, paths: &InstancePaths, spec: &Spec) -> Result<Ended, Failure> {
        let mut reports = Reports::default();
        let mut open = (true, true);
        loop {
            self.wait(open);
            open.0 = open.0 && self.copy_output() != Copied::End;
            open.1 = open.1 && reports.read(&self.control);
            if reports.has_started() {
                self.record_running(paths, spec)?;
            }
            self.heed_signals(spec);
            if let Ok(Some(status)) = self.child.try_wait() {
                // With process 1 all of the instance is gone: what pipe and socket hold now is all there is.
                while self.copy_output() == Copied::Some {}
                reports.read(&self.control);
                return Ok(reports.ended().unwrap_or_else(|| from_status(status)));
            }
        }
    }

    fn wait(&self, (output, control): (bool, bool)) {
        let mut watched = vec![PollFd::new(self.signals.as_fd(), PollFlags::POLLIN)];
        if output {
            watched.push(PollFd::new(self.output.as_fd(), PollFlags::POLLIN));
        }
        if control {
            watched.push(PollFd::new(self.control.as_fd(), PollFlags::POLLIN));
        }
        // Interrupted or not: everything is looked at again.
        let _ = poll(&mut watched, PollTimeout::NONE);
    }

    fn record_running(&self, paths: &InstancePaths, spec: &Spec) -> Result<(), Failure> {
        // It may have ended since; then its end is recorded, and nobody asks.
        let identity = |pid: u32| i32::try_from(pid).ok().and_then(Identity::of);
        let (Some(init), Some(supervisor)) = (identity(self.child.id()), identity(std::process::id())) else {
            return Ok(());
        };
        atomic::write_json(&paths.running(), &Running { address: spec.address, supervisor, init })
    }

    /// Copies what is there, without waiting for more.
    fn copy_output(&mut self) -> Copied {
        let mut ready = [PollFd::new(self.output.as_fd(), PollFlags::POLLIN)];
        if poll(&mut ready, PollTimeout::ZERO) != Ok(1) {
            return Copied::Nothing;
        }
        let mut buffer = [0; 16 << 10];
        match self.output.read(&mut buffer) {
            Ok(0) => Copied::End,
            Ok(read) => {
                self.log.write(buffer.get(..read).unwrap_or_default());
                Copied::Some
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Copied::Nothing,
            Err(_) => Copied::End,
        }
    }

    fn heed_signals(&mut self, spec: &Spec) {
        while let Ok(Some(info)) = self.signals.read_signal() {
            match i32::try_from(info.ssi_signo).ok().and_then(|number| Signal::try_from(number).ok()) {
                Some(Signal::SIGTERM | Signal::SIGINT | Signal::SIGHUP) => {
                    // A byte, not a signal: process 1 would lose one that comes before it listens.
                    let asked = u8::try_from(spec.stop_signal).unwrap_or(15);
                    let _ = self.control.write_all(&[asked]);
                    // Who asks twice does not give it more time.
                    if !std::mem::replace(&mut self.asked, true) {
                        alarm::set(spec.stop_grace.max(1));
                    }
                }
                Some(Signal::SIGALRM) => {
                    let _ = self.child.kill();
                }
                _ => {}
            }
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Copied {
    Some,
    Nothing,
    End,
}

/// Collects init's reports, line by line.
#[derive(Default)]
struct Reports {
    pending: Vec<u8>,
    started: bool,
    ended: Option<Ended>,
}

impl Reports {
    /// Reads what is there. `false`: nothing more will come.
    fn read(&mut self, mut control: &UnixStream) -> bool {
        let mut buffer = [0; REPORT_LIMIT];
        loop {
            match control.read(&mut buffer) {
                Ok(0) => return false,
                Ok(read) => self.take_in(buffer.get(..read).unwrap_or_default()),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return true,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => return false,
            }
        }
    }

    fn take_in(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            if byte != b'\n' {
                // Init is ours; a line that is too long is cut and then not understood.
                if self.pending.len() < REPORT_LIMIT {
                    self.pending.push(byte);
                }
                continue;
            }
            match json::from_untrusted(&std::mem::take(&mut self.pending), REPORT_LIMIT) {
                Ok(Report::Started) => self.started = true,
                Ok(Report::Ended { ended }) => self.ended = Some(ended),
                Err(error) => complain(&error.to_string()),
            }
        }
    }

    /// Once.
    fn has_started(&mut self) -> bool {
        std::mem::take(&mut self.started)
    }

    fn ended(self) -> Option<Ended> {
        self.ended
    }
}

fn from_status(status: ExitStatus) -> Ended {
    match (status.signal(), status.code()) {
        (Some(signal), _) => Ended::Signal { signal },
        (None, code) => Ended::Code { code: code.unwrap_or(-1) },
    }
}

/// Leaves the machine's namespaces for new ones, which init (the next child) will live in.
fn enter_namespaces(spec: &Spec) -> Result<(), NotStarted> {
    let (uid, gid) = (geteuid(), getegid());
    let mut flags = CloneFlags::CLONE_NEWPID | CloneFlags::CLONE_NEWIPC | CloneFlags::CLONE_NEWUTS;
    if !uid.is_root() {
        flags |= CloneFlags::CLONE_NEWUSER;
    }
    unshare(flags).map_err(step(NAMESPACES))?;
    if uid.is_root() { Ok(()) } else { become_user(spec, uid, gid) }
}

/// In a user namespace of our own: the release's user stands for ourselves, and nobody else exists.
fn become_user(spec: &Spec, uid: Uid, gid: Gid) -> Result<(), NotStarted> {
    // user_namespaces(7): without this an unprivileged process may not map its group.
    fs::write("/proc/self/setgroups", "deny").map_err(step("giving up groups"))?;
    fs::write("/proc/self/uid_map", format!("{} {uid} 1", spec.uid)).map_err(step("mapping the user"))?;
    fs::write("/proc/self/gid_map", format!("{} {gid} 1", spec.gid)).map_err(step("mapping the group"))?;
    // Executing init as another user than root drops all rights within the namespace, and init needs them to mount. Only
    // ambient ones survive (capabilities(7)); init gives them up before it starts the release.
    let held: CapsHashSet =
        caps::read(None, CapSet::Permitted).map_err(|e| step("reading rights")(io::Error::other(e)))?;
    let keep = |set| caps::set(None, set, &held).map_err(|e| step("keeping rights for init")(io::Error::other(e)));
    keep(CapSet::Inheritable)?;
    keep(CapSet::Ambient)
}
