//! One run of the program.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use schleuse_model::json;

/// How long any verb may take here. The slowest takes seconds; a machine that does much else takes longer.
const DEADLINE: Duration = Duration::from_secs(90);

/// What a run gave.
#[derive(Clone, Debug)]
pub(crate) struct Output {
    command: String,
    /// The exit code; `None`: a signal ended it.
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Output {
    /// Insists on the exit code.
    #[track_caller]
    pub(crate) fn exits(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "{self}");
        self
    }

    /// stdout as `json-v1`: what stands under `result`.
    #[track_caller]
    pub(crate) fn result(&self) -> serde_json::Value {
        let mut json: serde_json::Value = json::from_untrusted(self.stdout.as_bytes(), 64 << 20)
            .unwrap_or_else(|error| panic!("{error} in the output of {self}"));
        json["result"].take()
    }
}

impl std::fmt::Display for Output {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { command, code, stdout, stderr } = self;
        write!(f, "`{command}` ended with {code:?}\n-- stdout\n{stdout}-- stderr\n{stderr}--")
    }
}

/// A run that is under way. Killed when dropped.
#[derive(Debug)]
pub(crate) struct Running {
    command: String,
    child: Child,
    out: PathBuf,
    err: PathBuf,
    ended: bool,
}

impl Running {
    /// Starts `command`, whose output goes to files below `folder`: what outlives the command cannot hold us up, as with a pipe.
    pub(crate) fn start(mut command: Command, folder: &Path) -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let [out, err] = ["out", "err"].map(|name| folder.join(format!("{number}.{name}")));
        let file = |path: &Path| Stdio::from(File::create(path).expect("a file"));
        command.stdin(Stdio::null()).stdout(file(&out)).stderr(file(&err));
        let shown: Vec<_> = command.get_args().map(|argument| argument.to_string_lossy().into_owned()).collect();
        let child = command.spawn().expect("the program starts");
        Self { command: format!("schleuse {}", shown.join(" ")), child, out, err, ended: false }
    }

    pub(crate) fn pid(&self) -> Pid {
        Pid::from_raw(i32::try_from(self.child.id()).expect("a process id"))
    }

    /// Kills it with SIGKILL, if it still runs.
    pub(crate) fn kill(&mut self) {
        if !self.ended {
            // Not reaped yet, so the id is still this process's.
            let _ = kill(self.pid(), Signal::SIGKILL);
        }
    }

    /// What it has written to stderr so far.
    pub(crate) fn stderr(&self) -> String {
        String::from_utf8_lossy(&fs::read(&self.err).unwrap_or_default()).into_owned()
    }

    /// Whether it has ended by now.
    pub(crate) fn has_ended(&mut self) -> bool {
        self.poll().is_some()
    }

    fn poll(&mut self) -> Option<ExitStatus> {
        let status = self.child.try_wait().expect("its status");
        self.ended |= status.is_some();
        status
    }

    /// Waits for its end.
    pub(crate) fn wait(mut self) -> Output {
        let began = Instant::now();
        let status = loop {
            if let Some(status) = self.poll() {
                break status;
            }
            if began.elapsed() > DEADLINE {
                self.kill();
                panic!("`{}` did not end:\n{}", self.command, self.stderr());
            }
            std::thread::sleep(Duration::from_millis(5));
        };
        let text = |path: &Path| String::from_utf8_lossy(&fs::read(path).expect("its output")).into_owned();
        Output { command: self.command.clone(), code: status.code(), stdout: text(&self.out), stderr: text(&self.err) }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.kill();
        let _ = self.child.wait();
        let _ = fs::remove_file(&self.out);
        let _ = fs::remove_file(&self.err);
    }
}
