//! The stage: runs the real verbs, shows what they print, and insists on how they end.

use std::sync::Arc;
use std::time::Duration;

use schleuse_client::Client;
use schleuse_model::{Digest, Exit, Secret, Tag};
use schleuse_process::{Ended, Finished, Program};

use super::error::{DemoError, file};
use super::scene::Scene;
use crate::context::Context;
use crate::failure::Failure;
use crate::question;

/// How long one verb may take. The slowest here takes seconds.
const DEADLINE: Duration = Duration::from_secs(60);
/// The password of the demo's key. The key signs nothing but the demo's own images.
const PASSWORD: &str = "demo";

/// Runs verbs in a scene.
#[derive(Debug)]
pub(crate) struct Stage<'a> {
    context: &'a Context,
    pub(crate) scene: &'a Scene,
    /// What the users, the attacker and the onlookers use.
    pub(crate) client: Arc<Client>,
    /// Whether to wait for Enter before each command.
    step: bool,
    key: Option<Secret<String>>,
}

impl<'a> Stage<'a> {
    /// An empty stage.
    pub(crate) fn new(context: &'a Context, scene: &'a Scene, step: bool) -> Result<Self, Failure> {
        Ok(Self { context, scene, client: Arc::new(Client::builder().build()?), step, key: None })
    }

    /// From now on the verbs sign with this key, as CI has it in a secret.
    pub(crate) fn take_key(&mut self, name: &str) -> Result<(), DemoError> {
        let path = self.scene.folder.join(name);
        self.key = Some(Secret::new(std::fs::read_to_string(&path).map_err(file(path))?));
        Ok(())
    }

    /// A heading, and what is about to be seen.
    pub(crate) fn act(&self, title: &str, what: &str) {
        let paint = self.context.printer.paint();
        self.say("");
        self.say(&paint.strong(title));
        for line in what.lines() {
            self.say(&paint.dim(line));
        }
    }

    /// A line of the demo's own.
    pub(crate) fn say(&self, line: &str) {
        self.context.printer.note(line);
    }

    /// Runs a verb, shows it, and insists on its exit code.
    pub(crate) async fn run(&self, arguments: &[&str], expected: Exit) -> Result<(), Failure> {
        self.announce(arguments).await;
        let ended = self.program(arguments).run_attached().await?;
        insist(arguments, ended, &[expected])
    }

    /// Runs a verb until `moment` comes, then kills it with SIGKILL.
    pub(crate) async fn run_and_kill(
        &self,
        arguments: &[&str],
        moment: impl Future<Output = ()>,
    ) -> Result<(), Failure> {
        self.announce(arguments).await;
        // The loser is dropped: the program and its group are killed with it.
        tokio::select! {
            () = moment => Ok(()),
            ended = self.program(arguments).run_attached() => {
                let (command, ended) = (arguments.join(" "), ended?.to_string());
                Err(DemoError::Unexpected { command, ended, expected: "none: it is killed before".to_owned() }.into())
            }
        }
    }

    /// Runs two verbs at the same time and shows them one after the other. One must end with each of the exit codes.
    pub(crate) async fn race(&self, lanes: [&[&str]; 2], expected: [Exit; 2]) -> Result<(), Failure> {
        for arguments in lanes {
            self.announce(arguments).await;
        }
        let [left, right] = lanes;
        let (left, right) = tokio::join!(self.program(left).run(), self.program(right).run());
        let finished = [left?, right?];
        for (arguments, finished) in lanes.into_iter().zip(&finished) {
            insist(arguments, finished.ended, &expected)?;
            self.show(finished);
        }
        if finished[0].ended == finished[1].ended {
            return Err(DemoError::Wrong("both promoters ended alike: there was no race".to_owned()).into());
        }
        Ok(())
    }

    fn show(&self, finished: &Finished) {
        self.say(&self.context.printer.paint().dim("--"));
        for text in [finished.stderr.text(), finished.stdout.text()] {
            for line in text.lines() {
                self.say(line);
            }
        }
    }

    /// Builds a release and, unless told otherwise, signs it. Answers the digest.
    pub(crate) async fn release(&self, version: &str, fault: &str, sign: bool) -> Result<Digest, Failure> {
        self.scene.configure(version, fault)?;
        let commit = commit_of(version);
        self.run(&["build", "--commit", &commit, "--version", version, "--output", "build.json"], Exit::Done).await?;
        let tag: Tag = format!("sha-{commit}").parse().map_err(schleuse_oci::Error::from)?;
        let image: schleuse_model::Repository = self.scene.image().parse()?;
        if sign {
            let name = format!("{image}:{tag}");
            self.run(&["sign", &name, "--build-manifest", "build.json"], Exit::Done).await?;
        }
        use schleuse_oci::Pull as _;
        let pinned = self.client.resolve(&image.tag(tag)).await?;
        let gone = || schleuse_oci::Error::Missing { what: version.to_owned() };
        Ok(pinned.ok_or_else(gone)?.digest().clone())
    }

    async fn announce(&self, arguments: &[&str]) {
        let paint = self.context.printer.paint();
        let quoted = |text: &&str| if text.contains(' ') { format!("\"{text}\"") } else { (*text).to_owned() };
        let shown = arguments.iter().map(quoted).collect::<Vec<_>>().join(" ");
        self.say("");
        self.say(&format!("{} {}", paint.hint("$"), paint.strong(format_args!("schleuse {shown}"))));
        if self.step && self.context.printer.settings().interactive {
            // End of input goes on by itself.
            let _ = question::line(self.context, "  (Enter) ").await;
        }
    }

    fn program(&self, arguments: &[&str]) -> Program {
        let variables = &self.context.variables;
        let mut program = Program::new(&self.scene.exe)
            .args(arguments.iter().copied())
            .current_dir(&self.scene.folder)
            .deadline(DEADLINE)
            .env("HOME", &self.scene.folder)
            .env("SOURCE_DATE_EPOCH", "1790000000")
            .secret_env("COSIGN_PASSWORD", &Secret::new(PASSWORD.to_owned()));
        for name in ["PATH", "TERM", "NO_COLOR", "CI", "USER", "LANG", "TMPDIR"] {
            if let Some(value) = variables.get(name) {
                program = program.env(name, value);
            }
        }
        match &self.key {
            Some(key) => program.secret_env("COSIGN_PRIVATE_KEY", key),
            None => program,
        }
    }
}

fn insist(arguments: &[&str], ended: Ended, expected: &[Exit]) -> Result<(), Failure> {
    if expected.iter().any(|exit| ended == Ended::Code(i32::from(exit.code()))) {
        return Ok(());
    }
    let expected: Vec<String> = expected.iter().map(|exit| exit.code().to_string()).collect();
    let (command, expected) = (arguments.join(" "), expected.join(" or "));
    Err(DemoError::Unexpected { command, ended: ended.to_string(), expected }.into())
}

/// A commit hash for a version that was never committed.
pub(crate) fn commit_of(version: &str) -> String {
    Digest::sha256(version.as_bytes()).hex().chars().take(40).collect()
}
